import fc from "fast-check";
import * as pulumi from "@pulumi/pulumi";
import type { App } from "../../../../lib";
import {
  GreSiteToSite,
  type GreSite,
  type GreSiteToSiteProps,
  Host,
  Link,
  Namespace,
  type PlannedResource,
  Testing,
} from "../../../../lib";
import { refusals } from "../../synth/support";

/** A program with one host a site: wan addresses 192.0.2.N, LANs 172.16.N.0/24, N from the name's own number. */
function programOf(
  names: readonly string[],
  props: Omit<Partial<GreSiteToSiteProps>, "sites"> = {},
  change: (site: GreSite) => GreSite = (site) => site,
): App {
  const app = Testing.app();
  const sites = names.map((name) => {
    const number = Number(/\d+$/.exec(name)?.[0]);
    const host = new Host(app, name);
    const lans = [`172.16.${number}.0/24`];
    return change({ name, host, wanInterface: "eth1", wanAddress: `192.0.2.${number}`, lans });
  });
  new GreSiteToSite(app, "vpn", { ...props, sites });
  return app;
}

const planOf = (...args: Parameters<typeof programOf>) => Testing.synth(programOf(...args));

const at = (plan: readonly PlannedResource[], path: string) => {
  const found = plan.find((resource) => resource.path === path);
  if (found === undefined) throw new Error(`no ${path} in ${plan.map((r) => r.path).join(", ")}`);
  return found;
};

interface RouteSpec {
  readonly destination: string;
  readonly via?: string;
  readonly dev?: string;
}

const routesOf = (resource: PlannedResource) => resource.spec["routes"] as readonly RouteSpec[];

describe("a full mesh", () => {
  test("of two sites has two ends, the routes between their networks, forwarding and a firewall", () => {
    expect(planOf(["s1", "s2"])).toMatchSnapshot();
  });

  test("of four sites joins every two of them", () => {
    const links = planOf(["s1", "s2", "s3", "s4"]).filter(({ token }) => token === "netloom:net:Link");
    expect(links.map(({ path }) => path)).toEqual([
      ...["vpn/s1/s2", "vpn/s1/s3", "vpn/s1/s4", "vpn/s2/s1", "vpn/s2/s3", "vpn/s2/s4"],
      ...["vpn/s3/s1", "vpn/s3/s2", "vpn/s3/s4", "vpn/s4/s1", "vpn/s4/s2", "vpn/s4/s3"],
    ]);
    for (const { spec } of links) {
      const mirrored = links.find(
        (other) => other.spec["local"] === spec["remote"] && other.spec["remote"] === spec["local"],
      );
      expect(mirrored?.spec["mtu"]).toBe(spec["mtu"]);
    }
  });

  test("every network is reached over the tunnel to its own site, by the address at its other end", () => {
    const plan = planOf(["s1", "s2", "s3"]);
    const far = at(plan, "vpn/s3/s1").spec["addresses"] as readonly string[];
    expect(routesOf(at(plan, "vpn/s1/to-s3"))).toEqual([
      { destination: "172.16.3.0/24", dev: "gre-s3", via: far[0]?.split("/")[0] },
    ]);
  });
});

describe("a hub with spokes", () => {
  const topology = { hub: "s2" };

  test("of three sites has a tunnel from each spoke to the hub, and none between spokes", () => {
    expect(planOf(["s1", "s2", "s3"], { topology })).toMatchSnapshot();
  });

  test("spokes reach one another's networks through the hub, and the hub reaches each spoke's directly", () => {
    const plan = planOf(["s1", "s2", "s3", "s4"], { topology });
    const destinations = (path: string) => routesOf(at(plan, path)).map(({ destination }) => destination);
    expect(destinations("vpn/s1/to-s2")).toEqual(["172.16.2.0/24", "172.16.3.0/24", "172.16.4.0/24"]);
    expect(destinations("vpn/s2/to-s1")).toEqual(["172.16.1.0/24"]);
    expect(new Set(routesOf(at(plan, "vpn/s1/to-s2")).map(({ via }) => via)).size).toBe(1);
  });
});

describe("adding a site", () => {
  const names = fc.uniqueArray(fc.integer({ min: 1, max: 200 }), { minLength: 2, maxLength: 6 });
  const pool = { tunnelPool: "10.0.0.0/8" };

  /** Resources by path, without what may grow with the number of sites. */
  const fixed = (plan: readonly PlannedResource[], grows: (resource: PlannedResource) => boolean) =>
    plan.filter((resource) => !grows(resource));
  const isFirewall = ({ token }: PlannedResource) => token === "netloom:net:Firewall";

  test("to a mesh changes no link, no address, no route and no setting of the others, wherever it is added", () => {
    fc.assert(
      fc.property(names, fc.integer({ min: 201, max: 250 }), fc.nat(), (numbers, extra, where) => {
        const before = numbers.map((n) => `s${n}`);
        const index = where % (before.length + 1);
        const after = [...before.slice(0, index), `s${extra}`, ...before.slice(index)];
        const [one, two] = [planOf(before, pool), planOf(after, pool)];
        expect(two).toEqual(expect.arrayContaining(fixed(one, isFirewall)));
        for (const old of one.filter(isFirewall)) {
          // The table learns of the new tunnel and the new network, and forgets nothing.
          const rules = (plan: readonly PlannedResource[]) => JSON.stringify(at(plan, old.path).spec);
          for (const text of rules(one).match(/"[^"]+"/g) ?? []) expect(rules(two)).toContain(text);
        }
      }),
      { numRuns: 25 },
    );
  });

  test("to a hub changes nothing but the routes through the hub, which gain the new network", () => {
    fc.assert(
      fc.property(names, fc.integer({ min: 201, max: 250 }), (numbers, extra) => {
        const before = numbers.map((n) => `s${n}`);
        const props = { ...pool, topology: { hub: before[0] ?? "" } };
        const [one, two] = [planOf(before, props), planOf([...before, `s${extra}`], props)];
        const throughHub = ({ path }: PlannedResource) => path.endsWith(`/to-${before[0]}`);
        expect(two).toEqual(expect.arrayContaining(fixed(one, (r) => isFirewall(r) || throughHub(r))));
        for (const old of one.filter(throughHub)) {
          const grown = routesOf(at(two, old.path));
          expect(grown).toEqual(expect.arrayContaining([...routesOf(old)]));
          expect(grown.map(({ destination }) => destination)).toContain(`172.16.${extra}.0/24`);
          expect(grown).toHaveLength(routesOf(old).length + 1);
        }
      }),
      { numRuns: 25 },
    );
  });

  test("in another order gives the same plan", () => {
    const byPath = (plan: readonly PlannedResource[]) =>
      [...plan].filter((r) => !isFirewall(r)).sort((a, b) => (a.path < b.path ? -1 : 1));
    expect(byPath(planOf(["s3", "s1", "s2"]))).toEqual(byPath(planOf(["s1", "s2", "s3"])));
  });
});

describe("the MTU of a tunnel", () => {
  const mtus = (...args: Parameters<typeof programOf>) =>
    planOf(...args).flatMap(({ token, spec }) => (token === "netloom:net:Link" ? [spec["mtu"]] : []));
  const over = (ipv6: boolean) => (site: GreSite) =>
    ipv6 ? { ...site, wanAddress: `2001:db8::${site.name.slice(1)}` } : site;

  test.each([
    ["GRE over IPv4", {}, false, 1476],
    ["with a key", { key: 1 }, false, 1472],
    ["with a checksum", { checksum: true }, false, 1472],
    ["with both", { key: 1, checksum: true }, false, 1468],
    ["GRE over IPv6", {}, true, 1456],
    ["GRE over IPv6 with both", { key: 1, checksum: true }, true, 1448],
  ])("of 1500 bytes, %s", (_, props, ipv6, mtu) => {
    expect(mtus(["s1", "s2"], props, over(ipv6))).toEqual([mtu, mtu]);
  });

  test("goes by the smaller WAN MTU of its two sites, on both ends, and leaves other tunnels alone", () => {
    const plan = planOf(["s1", "s2", "s3"], {}, (site) =>
      site.name === "s3" ? { ...site, wanMtu: 1492 } : site,
    );
    const mtu = (path: string) => at(plan, path).spec["mtu"];
    expect([mtu("vpn/s1/s3"), mtu("vpn/s3/s1"), mtu("vpn/s1/s2")]).toEqual([1468, 1468, 1476]);
  });

  test("goes by the links that the program makes below it", () => {
    const app = Testing.app();
    const sites = ["s1", "s2"].map((name, index): GreSite => {
      const host = new Host(app, name);
      const wanAddress = `192.0.2.${index + 1}`;
      new Link(host, "wan", {
        name: "eth1",
        kind: "physical",
        mtu: index === 0 ? 1500 : 1400,
        addresses: [`${wanAddress}/24`],
      });
      return { name, host, wanInterface: "eth1", wanAddress, lans: [`172.16.${index}.0/24`] };
    });
    new GreSiteToSite(app, "vpn", { sites });
    const links = Testing.synth(app).filter(({ path }) => path.startsWith("vpn/") && !path.includes("to-"));
    expect(links.flatMap(({ spec }) => spec["mtu"] ?? [])).toEqual([1376, 1376]);
  });

  test("can be set, and is refused where it does not fit or is too small for IPv6", () => {
    expect(mtus(["s1", "s2"], { mtu: 1400 })).toEqual([1400, 1400]);
    expect(mtus(["s1", "s2"], {}, (site) => ({ ...site, wanMtu: 1294 }))).toEqual([1270, 1270]);
    const tight = programOf(["s1", "s2"], { tunnelPool: "fd00:1::/64" }, (site) => ({
      ...site,
      wanMtu: 1294,
    }));
    expect(refusals(tight)).toEqual([
      expect.stringMatching(/^\[vpn\/s1\/s2\] mtu: .*1280/) as string,
      expect.stringMatching(/^\[vpn\/s2\/s1\] mtu: .*1280/) as string,
    ]);
  });
});

describe("IPv6", () => {
  test("WAN addresses make ip6gre tunnels", () => {
    const plan = planOf(["s1", "s2"], {}, (site) => ({
      ...site,
      wanAddress: `2001:db8::${site.name.slice(1)}`,
    }));
    expect(at(plan, "vpn/s1/s2").spec).toMatchObject({
      kind: "ip6gre",
      local: "2001:db8::1",
      remote: "2001:db8::2",
    });
  });

  test("networks go over a tunnel with IPv4 addresses by its link alone", () => {
    const plan = planOf(["s1", "s2"], {}, (site) => ({
      ...site,
      lans: [...site.lans, `2001:db8:${site.name.slice(1)}::/64`],
    }));
    expect(routesOf(at(plan, "vpn/s1/to-s2"))).toEqual([
      { destination: "172.16.2.0/24", dev: "gre-s2", via: expect.stringMatching(/^10\.255\./) as string },
      { destination: "2001:db8:2::/64", dev: "gre-s2" },
    ]);
  });

  test("tunnel addresses come from an IPv6 pool as /127", () => {
    const plan = planOf(["s1", "s2"], { tunnelPool: "fd00:1::/64" });
    expect((at(plan, "vpn/s1/s2").spec["addresses"] as string[])[0]).toMatch(/^fd00:1::[0-9a-f:]+\/127$/);
  });
});

describe("keys", () => {
  test("may be secret, and are then seen by nobody before they are deployed", () => {
    const plan = planOf(["s1", "s2"], { key: pulumi.secret(4711) });
    expect(at(plan, "vpn/s1/s2").spec["key"]).toBe(Testing.UNKNOWN);
    expect(JSON.stringify(plan)).not.toContain("4711");
  });

  test("that are missing on two tunnels with the same ends are refused", () => {
    const app = Testing.app();
    const host = new Host(app, "one");
    const far = new Host(app, "far");
    const site = (name: string, on: Host, wanAddress: string, n: number): GreSite => ({
      ...{ name, host: on, wanInterface: "eth1", wanAddress, lans: [`172.16.${n}.0/24`] },
    });
    const sites = [
      site("a", host, "192.0.2.1", 1),
      site("b", host, "192.0.2.1", 2),
      site("c", far, "192.0.2.3", 3),
    ];
    new GreSiteToSite(app, "vpn", { topology: { hub: "c" }, sites });
    expect(refusals(app)).toContainEqual(
      expect.stringMatching(
        /^\[vpn\/c\/b\] remote: .* have the same protocol gre, ends 192\.0\.2\.3 → 192\.0\.2\.1 and no key/,
      ),
    );
  });
});

describe("leak protection", () => {
  const firewall = (props: Partial<GreSiteToSiteProps>) =>
    at(planOf(["s1", "s2"], props), "vpn/s1/firewall").spec;
  const leak = { outInterface: "eth1", source: ["172.16.1.0/24", "172.16.2.0/24"] };

  test("drops what comes from a site's network and leaves by the WAN, unless told otherwise", () => {
    expect(firewall({})).toMatchObject({ forward: { rules: [{ action: "drop", ...leak }] }, masquerade: [] });
  });

  test("masquerades it instead, and drops what cannot be translated", () => {
    expect(firewall({ leakProtection: "masquerade" })).toMatchObject({
      masquerade: [leak],
      forward: { rules: [{ action: "drop", ...leak, connectionState: "invalid" }] },
    });
  });

  test("does nothing when it is off, and without clamping there is then no table at all", () => {
    expect(firewall({ leakProtection: false })).toMatchObject({ forward: { rules: [] }, masquerade: [] });
    const plan = planOf(["s1", "s2"], { leakProtection: false, clampMss: false });
    expect(plan.filter(({ token }) => token === "netloom:net:Firewall")).toEqual([]);
  });

  test("has a rule for each version of IP", () => {
    const plan = planOf(["s1", "s2"], {}, (site) => ({
      ...site,
      lans: [...site.lans, `2001:db8:${site.name.slice(1)}::/64`],
    }));
    const forward = at(plan, "vpn/s1/firewall").spec["forward"] as { rules: { source: string[] }[] };
    expect(forward.rules.map(({ source }) => source)).toEqual([
      ["172.16.1.0/24", "172.16.2.0/24"],
      ["2001:db8:1::/64", "2001:db8:2::/64"],
    ]);
  });

  test("and clamping name the tunnels' own interfaces", () => {
    expect(firewall({})["clampMss"]).toEqual([{ mss: "pmtu", outInterface: ["gre-s2"] }]);
  });
});

describe("sites in namespaces of one host", () => {
  test("live in them, are deleted with them, and turn their forwarding on", () => {
    const app = Testing.app();
    const edge = new Host(app, "edge");
    const sites = ["s1", "s2"].map((name, index): GreSite => {
      const namespace = new Namespace(edge, name);
      return {
        name,
        namespace,
        wanInterface: "eth0",
        wanAddress: `10.${index}.0.1`,
        lans: [`172.16.${index}.0/24`],
        tunnelInterface: "gre1",
      };
    });
    new GreSiteToSite(edge, "vpn", { sites });
    const plan = Testing.synth(app);
    expect(at(plan, "edge/vpn/s1/s2")).toMatchObject({
      spec: { netns: "s1", name: "gre1" },
      deletedWith: "edge/s1",
    });
    expect(at(plan, "edge/vpn/s1/firewall").spec["netns"]).toBe("s1");
    expect(at(plan, "edge/s1").spec["sysctls"]).toEqual({
      "net/ipv4/ip_forward": "1",
      "net/ipv6/conf/all/forwarding": "1",
    });
    expect(plan.some(({ token }) => token === "netloom:kernel:Sysctls")).toBe(false);
  });
});

describe("what is refused", () => {
  const lines = (...args: Parameters<typeof programOf>) => refusals(programOf(...args));
  const only =
    (name: string, change: Partial<GreSite>) =>
    (site: GreSite): GreSite =>
      site.name === name ? { ...site, ...change } : site;

  test("overlapping networks of two sites, and nothing that only follows from it", () => {
    expect(lines(["s1", "s2"], {}, only("s2", { lans: ["172.16.0.0/16"] }))).toEqual([
      "[vpn] sites[1].lans[0]: 172.16.0.0/16 overlaps 172.16.1.0/24 of s1; a packet to it has two ways",
    ]);
  });

  test("a network that is in the tunnels' pool or in a pair's own subnet", () => {
    expect(lines(["s1", "s2"], {}, only("s2", { lans: ["10.0.0.0/8"] }))).toEqual([
      "[vpn] tunnelPool: 10.255.0.0/16 overlaps 10.0.0.0/8 of s2; take a pool that no site uses",
    ]);
    const pairs = [{ between: ["s1", "s2"], tunnelSubnet: "172.16.1.0/30" }] as const;
    expect(lines(["s1", "s2"], { pairs })).toContain(
      "[vpn] pairs[0].tunnelSubnet: 172.16.1.0/30 overlaps 172.16.1.0/24 of s1",
    );
  });

  test("fewer than two sites, two of one name, and a hub that is none of them", () => {
    expect(lines(["s1"])).toEqual(["[vpn] sites: must be at least two sites"]);
    expect(lines(["s1", "s2", "s3"], {}, only("s3", { name: "s1" }))).toEqual([
      "[vpn] sites[2].name: sites[0] is named s1 too",
    ]);
    expect(lines(["s1", "s2"], { topology: { hub: "s9" } })).toEqual([
      "[vpn] topology.hub: there is no site s9: they are s1, s2",
    ]);
  });

  test("one interface name for several peers, and a name of more than 15 bytes", () => {
    expect(lines(["s1", "s2", "s3"], {}, only("s1", { tunnelInterface: "gre1" }))).toContain(
      "[vpn] sites[0].tunnelInterface: one name, and s1 has 2 peers; give a function of the peer's name, or leave it out",
    );
    expect(
      lines(["s1", "s2"], {}, only("s1", { tunnelInterface: () => "gre-to-the-other-site" })),
    ).toContainEqual(expect.stringMatching(/^\[vpn\/s1\/s2\] name: "gre-to-the-other-site" has 21 bytes/));
  });

  test("ends of two families", () => {
    expect(lines(["s1", "s2"], {}, only("s2", { wanAddress: "2001:db8::2" }))).toEqual([
      "[vpn] sites[1].wanAddress: 2001:db8::2 of s2 and 192.0.2.1 of s1 are of two families; a tunnel goes over IPv4 or over IPv6",
    ]);
  });

  test("a site on no host, and one whose namespace is on another host", () => {
    expect(lines(["s1", "s2"], {}, only("s2", { host: undefined }))).toEqual([
      "[vpn] sites[1].host: s2 has neither a host nor a namespace",
    ]);
    const app = Testing.app();
    const [a, b] = [new Host(app, "a"), new Host(app, "b")];
    new GreSiteToSite(app, "vpn", {
      sites: [
        { name: "a", host: a, wanInterface: "eth1", wanAddress: "192.0.2.1", lans: [] },
        {
          name: "b",
          host: a,
          namespace: new Namespace(b, "x"),
          wanInterface: "eth1",
          wanAddress: "192.0.2.2",
          lans: [],
        },
      ],
    });
    expect(refusals(app)).toEqual(["[vpn] sites[1].namespace: is on b, and the site's host is a"]);
  });

  test("exceptions for pairs that no tunnel joins, or that are named twice", () => {
    const pairs = [{ between: ["s1", "s3"] }, { between: ["s1", "s2"] }, { between: ["s2", "s1"] }] as const;
    expect(lines(["s1", "s2", "s3"], { topology: { hub: "s2" }, pairs })).toEqual([
      "[vpn] pairs[0].between: no tunnel joins s1 and s3",
      "[vpn] pairs[2].between: s2 and s1 are named twice",
    ]);
  });
});
