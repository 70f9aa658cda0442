import { link, type LinkInput, type LinkSpec } from "../../../lib/kinds/link";
import { linkKinds } from "../../../lib/kinds/link/schema";

const parse = (input: unknown): LinkSpec => link.schema.parse(input);

/** Every finding of schema and check, as `path: message`. */
function findings(input: unknown): string[] {
  const parsed = link.schema.safeParse(input);
  const found = parsed.success ? (link.check?.(parsed.data) ?? []) : parsed.error.issues;
  return found.map(({ path, message }) => `${path.join(".")}: ${message}`);
}

const gre = { name: "gre1", kind: "gre", local: "10.0.0.1", remote: "10.0.0.2" } as const;
const veth = (peer: object, more: object = {}) => ({ netns: "a", name: "v0", kind: "veth", peer, ...more });

describe("a link's identity", () => {
  test.each([
    [{ name: "gre1" }, ["gre1"]],
    [{ netns: "site1", name: "gre1" }, ["site1", "gre1"]],
  ])("%j is located by %j", (located, identity) => {
    expect(link.identity(parse({ ...located, kind: "dummy" }))).toEqual(identity);
    expect(link.locate(identity)).toEqual(located);
  });

  test("what names no link is not located", () => {
    expect(link.locate([])).toBeUndefined();
    expect(link.locate(["a", "b", "c"])).toBeUndefined();
    expect(link.locate(["site1", "a name with spaces"])).toBeUndefined();
  });
});

describe("canonical form", () => {
  test("addresses are sorted and spelt as the kernel prints them", () => {
    const { addresses } = parse({
      name: "t0",
      kind: "dummy",
      addresses: ["2001:DB8::0:1/64", "10.0.0.1/8", "10.0.0.1/8"],
    });
    expect(addresses).toEqual(["10.0.0.1/8", "2001:db8::1/64"]);
  });

  test("unspecified ends are any", () => {
    expect(parse({ ...gre, local: "0.0.0.0" }).local).toBe("any");
    expect(parse({ name: "t0", kind: "ip6gre", local: "0::0", remote: "2001:DB8::1" })).toMatchObject({
      local: "any",
      remote: "2001:db8::1",
    });
  });

  test("a link is up unless it is said to be down", () => {
    expect(parse(gre).up).toBe(true);
    expect(parse(veth({ name: "p0" })).peer?.up).toBe(true);
  });

  test("what a property becomes when it is taken out is canonical too", () => {
    for (const [property, policy] of Object.entries(link.policy)) {
      if (policy.change !== "inPlace" || !("unset" in policy)) continue;
      const field = link.schema.shape[property as keyof typeof link.schema.shape];
      expect({ property, unset: field.parse(policy.unset) }).toEqual({ property, unset: policy.unset });
    }
  });
});

describe("a good link has no findings", () => {
  const good: LinkInput[] = [
    gre,
    { ...gre, key: 0, ttl: "inherit", tos: "inherit", pathMtuDiscovery: false },
    { ...gre, inputKey: 1, outputKey: 2 },
    { name: "g", kind: "gre", external: true },
    {
      name: "g",
      kind: "gretap",
      remote: "any",
      local: "10.0.0.1",
      key: 1,
      mac: "02:00:00:00:00:01",
      master: "br0",
    },
    { name: "g", kind: "ip6gre", local: "2001:db8::1", remote: "2001:db8::2", encapLimit: 4 },
    { name: "g", kind: "geneve", vni: 1, remote: "2001:db8::2", ttl: "auto" },
    { name: "x", kind: "vxlan", vni: 1, remote: "239.0.0.1", link: "eth0" },
    { name: "x", kind: "vxlan", external: true, port: 4789 },
    { name: "eth0.5", kind: "vlan", link: "eth0", vlanId: 5 },
    { name: "b", kind: "bridge", stp: true, forwardDelay: 200 },
    { name: "eno1", kind: "physical", mtu: 9000, addresses: ["10.0.0.1/24"] },
    { netns: "a", name: "v", kind: "veth", peer: { netns: "b", name: "v" } },
    {
      name: "d",
      kind: "dummy",
      mtu: 1280,
      addresses: ["2001:db8::1/64"],
      sysctls: { "ipv6/accept_ra": "0" },
    },
  ];

  test.each(good.map((input) => [`${input.kind} ${input.name}`, input] as const))("%s", (_, input) => {
    expect(findings(input)).toEqual([]);
  });
});

describe("a bad link is told what is wrong, and where", () => {
  const bad: [string, unknown, RegExp][] = [
    ["a name of 16 bytes", { ...gre, name: "abcdefghijklmnop" }, /^name: .*16 bytes.*allows 15/],
    ["a kind that there is not", { ...gre, kind: "wireguard" }, /^kind: must be one of veth, bridge/],
    ["a property of another kind", { ...gre, vni: 7 }, /^vni: a gre link has no vni$/],
    ["a property of no kind", { ...gre, colour: "red" }, /Unrecognized key/],
    [
      "a missing remote end",
      { name: "g", kind: "gre", local: "10.0.0.1" },
      /^remote: is required for a gre link$/,
    ],
    [
      "a missing VNI",
      { name: "g", kind: "geneve", remote: "10.0.0.1" },
      /^vni: is required for a geneve link$/,
    ],
    ["a missing VLAN", { name: "g", kind: "vlan", link: "eth0" }, /^vlanId: is required for a vlan link$/],
    ["a veth without another end", { name: "v", kind: "veth" }, /^peer: is required for a veth link$/],
    [
      "an IPv6 end of an IPv4 tunnel",
      { ...gre, remote: "2001:db8::1" },
      /^remote: .*gre goes over IPv4: write ip6gre$/,
    ],
    [
      "an IPv4 end of an IPv6 tunnel for frames",
      { name: "g", kind: "ip6gretap", remote: "10.0.0.1" },
      /^remote: .*ip6gretap goes over IPv6: write gretap$/,
    ],
    [
      "ends of two families",
      { name: "x", kind: "vxlan", vni: 1, local: "10.0.0.1", remote: "2001:db8::1" },
      /^local: .*not of one family/,
    ],
    [
      "the same address at both ends",
      { ...gre, remote: "10.0.0.1" },
      /^remote: both ends have the same address/,
    ],
    ["two ways to give keys", { ...gre, key: 1, inputKey: 2 }, /^inputKey: key is for both directions/],
    [
      "a key that is too large",
      { ...gre, key: 4294967296 },
      /^key: must be a whole number from 0 to 4294967295$/,
    ],
    [
      "ends of an external tunnel",
      { name: "g", kind: "gre", local: "10.0.0.1", external: true },
      /^local: comes with each packet/,
    ],
    ["a ttl that only UDP tunnels have", { ...gre, ttl: "auto" }, /^ttl: "auto" is for geneve and vxlan/],
    ["an odd traffic class", { ...gre, tos: 17 }, /^tos: must be even/],
    [
      "a fixed ttl without path MTU discovery",
      { ...gre, kind: "ipip", ttl: 64, pathMtuDiscovery: false },
      /^pathMtuDiscovery: ipip with a fixed ttl always/,
    ],
    ["a sit too small for IPv6", { ...gre, kind: "sit", mtu: 1000 }, /^mtu: is 1000, and sit carries IPv6/],
    ["UDP without a port", { ...gre, encap: { type: "fou" } }, /^encap.destinationPort: is required/],
    [
      "a MAC address without frames",
      { ...gre, mac: "02:00:00:00:00:01" },
      /^mac: a gre link has no MAC address/,
    ],
    [
      "a small MTU with IPv6",
      { ...gre, mtu: 1000, addresses: ["2001:db8::1/64"] },
      /^mtu: is 1000, and IPv6 needs 1280/,
    ],
    [
      "a small MTU with IPv6 settings",
      { ...gre, mtu: 1000, sysctls: { "ipv6/accept_ra": "0" } },
      /^sysctls.ipv6\/accept_ra: .*1000/,
    ],
    [
      "IPv6 addresses where IPv6 is disabled",
      { ...gre, addresses: ["2001:db8::1/64"], sysctls: { "ipv6/disable_ipv6": "1" } },
      /^sysctls.ipv6\/disable_ipv6: IPv6 is disabled/,
    ],
    [
      "one IPv6 address twice",
      { ...gre, addresses: ["2001:db8::1/64", "2001:db8::1/128"] },
      /^addresses.1: .*another prefix length/,
    ],
    ["a multicast address", { ...gre, addresses: ["224.0.0.1/24"] }, /^addresses.0: .*multicast/],
    [
      "an address without a prefix length",
      { ...gre, addresses: ["10.0.0.1"] },
      /^addresses.0: .*write "10.0.0.1\/32"/,
    ],
    ["both ends of one name", veth({ netns: "a", name: "v0" }), /^peer.name: both ends are called v0/],
    [
      "a small MTU with IPv6 at the other end",
      veth({ name: "p", mtu: 1000, addresses: ["2001:db8::1/64"] }),
      /^peer.mtu: is 1000/,
    ],
    [
      "a port of itself",
      { name: "b", kind: "dummy", master: "b" },
      /^master: a link cannot be a port of itself/,
    ],
    [
      "a VLAN above itself",
      { name: "v", kind: "vlan", link: "v", vlanId: 1 },
      /^link: a link cannot be above itself/,
    ],
    [
      "a name that a driver takes",
      { ...gre, name: "gre0" },
      /^name: the kernel's driver makes a gre0 by itself/,
    ],
    ["a name that stands for all", { ...gre, name: "all" }, /^name: "all" stands for every link/],
    ["a group for a tunnel", { ...gre, remote: "239.0.0.1" }, /^remote: .*only vxlan takes one/],
    [
      "a group without a way",
      { name: "x", kind: "vxlan", vni: 1, remote: "239.0.0.1" },
      /^link: the multicast group/,
    ],
    [
      "a delay too short for stp",
      { name: "b", kind: "bridge", stp: true, forwardDelay: 100 },
      /^forwardDelay: is 100/,
    ],
    [
      "a setting that is no link's",
      { ...gre, sysctls: { "net/ipv4/ip_forward": "1" } },
      /is no setting of a link/,
    ],
  ];

  test.each(bad)("%s", (_, input, message) => {
    expect(findings(input)).toEqual([expect.stringMatching(message)]);
  });

  test("a key never shows in a finding", () => {
    for (const key of [73219000000, "73219", -73219])
      expect(findings({ ...gre, key }).join()).not.toContain("73219");
  });

  const strings = ["netns", "name", "mac", "master", "local", "remote", "link", "protocol", "kind"] as const;
  const hostile = ["; rm -rf /", "$(reboot)", "`id`", "a\nlink del dev eth0", "a b", "|sh", "'", '"'];
  test.each(strings.flatMap((property) => hostile.map((text) => [property, text] as const)))(
    "%s cannot be %j",
    (property, text) => {
      expect(link.schema.safeParse({ ...gre, [property]: text }).success).toBe(false);
    },
  );

  test.each(hostile)("no address, peer, setting or its value can be %j", (text) => {
    for (const more of [
      { addresses: [text] },
      { sysctls: { [text]: "1" } },
      { sysctls: { [`ipv4/${text}`]: "1" } },
      { encap: { type: text } },
      { peer: { name: text } },
      { peer: { name: "p", netns: text } },
      { peer: { name: "p", master: text } },
    ]) {
      expect({ more, ok: link.schema.safeParse({ ...gre, ...more }).success }).toEqual({ more, ok: false });
    }
  });
});

describe("every kind", () => {
  test("every property of the schema has a policy, and a description for the docs", () => {
    for (const [property, field] of Object.entries(link.schema.shape)) {
      expect(Object.keys(link.policy)).toContain(property);
      const { description } = field.meta() ?? {};
      expect({ property, described: (description ?? "").length > 10 }).toEqual({ property, described: true });
    }
  });

  test("a driver that is missing is named by its module", () => {
    for (const kind of linkKinds) {
      const said = link.explain?.("RTNETLINK answers: Unknown device type", parse({ name: "t0", kind }));
      if (kind !== "physical") expect(said).toMatch(/it needs the module \w+ \(modprobe \w+; CONFIG_\w+\)/);
    }
  });
});

describe("what the kernel says is put into words", () => {
  const tunnel = parse(gre);
  test.each<[string, LinkSpec, RegExp | undefined]>([
    ["ip link add failed: RTNETLINK answers: Operation not supported", tunnel, /module ip_gre/],
    ["ip link set failed: RTNETLINK answers: Operation not supported", tunnel, undefined],
    [
      "RTNETLINK answers: Operation not supported",
      parse({ ...gre, encap: { type: "fou", destinationPort: 5555 } }),
      /cannot put gre into UDP: it needs the module fou/,
    ],
    [
      "RTNETLINK answers: Invalid argument",
      parse({ name: "t", kind: "ip6gre", remote: "::1", encap: { type: "gue", destinationPort: 1 } }),
      /module fou6/,
    ],
    [
      "RTNETLINK answers: Operation not supported",
      parse({ name: "b", kind: "bridge", vlanFiltering: true }),
      /CONFIG_BRIDGE_VLAN_FILTERING/,
    ],
    [
      "RTNETLINK answers: Operation not supported",
      parse({ name: "eth0", kind: "physical" }),
      /the driver of eth0/,
    ],
    [
      "RTNETLINK answers: File exists",
      tunnel,
      /another gre tunnel between 10\.0\.0\.1 and 10\.0\.0\.2 with the same key/,
    ],
    [
      "RTNETLINK answers: File exists",
      parse(veth({ name: "p0" })),
      /a link called v0 or p0 is there already/,
    ],
    [
      "RTNETLINK answers: Invalid argument",
      parse({ ...gre, master: "br0" }),
      /cannot be a port of br0.*use gretap/,
    ],
    [
      "RTNETLINK answers: Permission denied",
      parse({ ...gre, addresses: ["2001:db8::1/64"] }),
      /IPv6 is disabled/,
    ],
    ["RTNETLINK answers: Permission denied", tunnel, undefined],
    [
      "RTNETLINK answers: Network is down",
      parse({ name: "v", kind: "vlan", link: "eth1", vlanId: 3 }),
      /eth1 below it is down/,
    ],
    ["something else altogether", tunnel, undefined],
  ])("%s", (said, spec, meaning) => {
    const told = link.explain?.(said, spec);
    if (meaning === undefined) expect(told).toBeUndefined();
    else {
      expect(told).toMatch(meaning);
      expect(told).toContain(said);
    }
  });
});

describe("claims", () => {
  test("both ends of a veth pair claim their names, addresses and ports", () => {
    const spec = parse(
      veth(
        { netns: "b", name: "p0", master: "br0", addresses: ["10.0.0.2/24"] },
        { mtu: 1400, addresses: ["10.0.0.1/24"] },
      ),
    );
    expect(link.claims?.(spec)).toEqual([
      { claim: "interface", netns: "a", name: "v0", kind: "veth", mtu: 1400, path: ["name"] },
      { claim: "address", netns: "a", interface: "v0", address: "10.0.0.1/24", path: ["addresses", 0] },
      { claim: "interface", netns: "b", name: "p0", kind: "veth", path: ["peer", "name"] },
      { claim: "port", netns: "b", name: "p0", master: "br0", path: ["peer", "master"] },
      {
        claim: "address",
        netns: "b",
        interface: "p0",
        address: "10.0.0.2/24",
        path: ["peer", "addresses", 0],
      },
    ]);
  });

  test.each<[LinkInput, object]>([
    [
      { ...gre, key: 7 },
      { protocol: "gre", local: "10.0.0.1", remote: "10.0.0.2", key: 7, overhead: 28 },
    ],
    [
      { ...gre, kind: "gretap" },
      { protocol: "gretap", overhead: 38 },
    ],
    [{ ...gre, encap: { type: "fou", destinationPort: 5555 } }, { overhead: 32 }],
    [{ name: "t", kind: "ip6gre", remote: "2001:db8::2", encapLimit: 4 }, { overhead: 52 }],
    [
      { name: "t", kind: "geneve", vni: 5, remote: "10.0.0.2" },
      { protocol: "geneve", key: 5, overhead: 50 },
    ],
    [{ name: "t", kind: "geneve", vni: 5, remote: "2001:db8::2" }, { overhead: 70 }],
    [{ name: "t", kind: "vxlan", vni: 5, local: "2001:db8::1" }, { overhead: 70 }],
    [{ name: "t", kind: "sit", remote: "10.0.0.2" }, { overhead: 20 }],
    // A tag is part of the frame's header and not of the MTU: a VLAN of a 1500 byte link carries 1500 bytes.
    [
      { name: "t", kind: "vlan", link: "eth0", vlanId: 5 },
      { protocol: "vlan", link: "eth0", key: 5, overhead: 0 },
    ],
  ])("%j is a tunnel", (input, claim) => {
    expect(link.claims?.(parse(input))).toContainEqual(
      expect.objectContaining({ claim: "tunnel", ...claim }),
    );
  });

  test.each(["dummy", "bridge", "ifb", "physical"] as const)("a %s is no tunnel", (kind) => {
    expect(link.claims?.(parse({ name: "t", kind }))).toEqual([
      { claim: "interface", name: "t", kind, path: ["name"] },
    ]);
  });

  test("a tunnel whose ends come with each packet claims none", () => {
    expect(link.claims?.(parse({ name: "t", kind: "gre", external: true }))).toHaveLength(1);
  });
});
