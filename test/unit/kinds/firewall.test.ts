import type { z } from "zod";
import { firewall } from "../../../lib/kinds/firewall";
import { canonicalPrefixes, mergedRanges } from "../../../lib/kinds/firewall/sets";
import { factsThatFail } from "../../support/recorded";

type Input = z.input<typeof firewall.schema>;
type Rule = NonNullable<NonNullable<Input["forward"]>["rules"]>[number];
interface Command {
  readonly add?: {
    readonly rule?: { readonly chain: string; readonly expr: unknown; readonly comment?: string };
    readonly chain?: { readonly name: string };
  };
}

const spec = (given: Partial<Input> = {}) => firewall.schema.parse({ table: "t", ...given });
const commands = (given: Partial<Input>, owner = "netloom:demo/dev") => {
  const [step] = firewall.plan(undefined, spec(given), { owner });
  return (step?.tool === "nft" ? step.commands : []) as readonly Command[];
};
const rulesOf = (given: Partial<Input>) => commands(given).flatMap(({ add }) => add?.rule ?? []);
const expr = (rule: Rule, family: Input["family"] = "inet") =>
  rulesOf({ family, forward: { rules: [rule] } })[0]?.expr;
const problems = (given: object) => {
  const parsed = firewall.schema.safeParse({ table: "t", ...given });
  const findings = parsed.success ? (firewall.check?.(parsed.data) ?? []) : parsed.error.issues;
  return findings.map(({ path, message }) => `${path.join(".")}: ${message}`);
};

describe("sets of addresses and ports have one form", () => {
  test.each<[string[], string[]]>([
    [["10.0.0.1"], ["10.0.0.1/32"]],
    [["10.1.0.0/16", "10.0.0.0/8"], ["10.0.0.0/8"]],
    [["192.0.2.128/25", "192.0.2.0/25"], ["192.0.2.0/24"]],
    [
      ["10.0.0.0/25", "10.0.0.128/26"],
      ["10.0.0.0/25", "10.0.0.128/26"],
    ],
    [
      ["10.0.0.3", "10.0.0.2", "10.0.0.1", "10.0.0.3"],
      ["10.0.0.1/32", "10.0.0.2/31"],
    ],
    [["128.0.0.0/1", "0.0.0.0/1"], ["0.0.0.0/0"]],
    [["2001:DB8::/33", "2001:db8:8000::/33"], ["2001:db8::/32"]],
    [
      ["ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::"],
      ["::/128", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"],
    ],
    [
      ["9.0.0.0/8", "10.0.0.0/8"],
      ["9.0.0.0/8", "10.0.0.0/8"],
    ],
  ])("%j is %j", (given, form) => {
    expect(canonicalPrefixes(given)).toEqual(form);
    expect(canonicalPrefixes(form)).toEqual(form);
  });

  test.each([
    [
      [
        [1, 2],
        [3, 4],
      ],
      [[1, 4]],
    ],
    [
      [
        [5, 9],
        [1, 3],
        [7, 8],
      ],
      [
        [1, 3],
        [5, 9],
      ],
    ],
    [
      [
        [1, 65535],
        [80, 80],
      ],
      [[1, 65535]],
    ],
  ])("ports %j are %j", (given, form) => {
    const ranges = (pairs: number[][]) => pairs.map(([from = 0, to = 0]) => ({ from, to }));
    expect(mergedRanges(ranges(given))).toEqual(ranges(form));
  });
});

describe("tables in their canonical form", () => {
  test("one value is a list, and nothing is said twice", () => {
    const [rule] = spec({
      forward: {
        rules: [
          {
            action: "accept",
            inInterface: "b",
            source: "10.0.0.1",
            ipVersion: 4,
            protocol: 6,
            destinationPort: [22, "23-30"],
            connectionState: ["new", "established"],
            counter: false,
          },
        ],
      },
    }).forward.rules;
    expect(rule).toEqual({
      ...{ action: "accept", inInterface: ["b"], source: ["10.0.0.1/32"], protocol: "tcp" },
      ...{ destinationPort: ["22-30"], connectionState: ["established", "new"] },
    });
  });

  test.each<[Rule, number | undefined]>([
    [{ action: "drop", ipVersion: 6, destination: "fd00::/8" }, undefined],
    [{ action: "drop", ipVersion: 4, protocol: "icmp" }, undefined],
    [{ action: "drop", ipVersion: 6, protocol: "tcp" }, 6],
    [{ action: "reject", rejectWith: "port-unreachable", ipVersion: 4 }, 4],
  ])("%j asks for version %s", (rule, version) => {
    expect(spec({ forward: { rules: [rule] } }).forward.rules[0]).toEqual(
      expect.objectContaining(version === undefined ? { action: rule.action } : { ipVersion: version }),
    );
    expect(spec({ forward: { rules: [rule] } }).forward.rules[0]?.ipVersion).toBe(version);
  });

  test("is a fixed point", () => {
    const given = spec({
      masquerade: [{ outInterface: ["w", "a"], toAddresses: "2001:DB8::1-2001:db8::9", ipVersion: 6 }],
      portForward: [{ protocol: "tcp", port: "80-80", toAddress: "10.0.0.1" }],
      clampMss: [{ outInterface: "a", mss: "pmtu", output: false }],
      input: { policy: "drop" },
    });
    expect(firewall.schema.parse(given)).toEqual(given);
    expect(given.masquerade[0]).toEqual({ outInterface: ["a", "w"], toAddresses: "2001:db8::1-2001:db8::9" });
  });
});

describe("what is refused", () => {
  const inForward = (rule: object) => ({ forward: { rules: [rule] } });
  test.each<[object, RegExp]>([
    [{ table: "a b" }, /^table: /],
    [{ table: "t; flush ruleset" }, /^table: /],
    [{ family: "bridge" }, /^family: must be one of inet, ip, ip6/],
    [{ masquerade: [{}] }, /^masquerade\.0\.outInterface: is required/],
    [{ masquerade: [{ outInterface: "$(id)" }] }, /^masquerade\.0\.outInterface/],
    [{ masquerade: [{ outInterface: ["a", "ppp*"] }] }, /^masquerade\.0\.outInterface: .*rule of its own/],
    [{ masquerade: [{ outInterface: "a", source: "0.0.0.0/0" }] }, /^masquerade\.0\.source: is any address/],
    [
      { masquerade: [{ outInterface: "a", source: ["0.0.0.0/1", "128.0.0.0/1"] }] },
      /^masquerade\.0\.source: is any address/,
    ],
    [{ masquerade: [{ outInterface: "a", source: "10.0.0.1/8" }] }, /^masquerade\.0\.source: .*host bits/],
    [
      { masquerade: [{ outInterface: "a", source: ["10.0.0.0/8", "fd00::/8"] }] },
      /^masquerade\.0\.source: mixes/,
    ],
    [
      { masquerade: [{ outInterface: "a", source: "fd00::/8", toAddresses: "192.0.2.1" }] },
      /^masquerade\.0: .*IPv4 and for IPv6/,
    ],
    [
      { masquerade: [{ outInterface: "a", toAddresses: "192.0.2.9-192.0.2.1" }] },
      /^masquerade\.0\.toAddresses: /,
    ],
    [{ masquerade: [{ outInterface: "a", inInterface: "b" }] }, /^masquerade\.0: .*inInterface/],
    [{ portForward: [{ protocol: "icmp", port: 1, toAddress: "10.0.0.1" }] }, /^portForward\.0\.protocol: /],
    [
      { portForward: [{ protocol: "tcp", port: 80, toAddress: "10.0.0.1", destination: "fd00::1" }] },
      /^portForward\.0: .*IPv4 and for IPv6/,
    ],
    [{ clampMss: [{ mss: 100 }] }, /^clampMss\.0\.mss: .*536 to 65495/],
    [{ clampMss: [{ mss: "pmtu", inInterface: "a", output: true }] }, /^clampMss\.0\.output: /],
    [
      { clampMss: [{ mss: "pmtu" }, { mss: 1200 }, { mss: "pmtu", output: true }] },
      /^clampMss\.2: is clampMss\[0\] once more, but for output/,
    ],
    [inForward({ action: "jump" }), /^forward\.rules\.0\.action: must be one of accept, drop, reject/],
    [
      inForward({ action: "drop", destinationPort: 22 }),
      /^forward\.rules\.0\.protocol: .*where ports are given/,
    ],
    [inForward({ action: "drop", protocol: "gre", sourcePort: 22 }), /^forward\.rules\.0\.protocol/],
    [inForward({ action: "drop", protocol: "tcp", sourcePort: 0 }), /^forward\.rules\.0\.sourcePort/],
    [inForward({ action: "drop", protocol: "tcp", sourcePort: "9-1" }), /^forward\.rules\.0\.sourcePort/],
    [
      inForward({ action: "drop", source: "10.0.0.1", destination: "::1" }),
      /^forward\.rules\.0: holds for no packet/,
    ],
    [
      inForward({ action: "drop", ipVersion: 6, protocol: "icmp" }),
      /^forward\.rules\.0: holds for no packet/,
    ],
    [
      inForward({ action: "drop", rejectWith: "tcp-reset" }),
      /^forward\.rules\.0\.rejectWith: belongs to the action reject/,
    ],
    [
      inForward({ action: "reject", rejectWith: "tcp-reset" }),
      /^forward\.rules\.0\.rejectWith: .*set protocol to tcp/,
    ],
    [inForward({ action: "drop", comment: 'x" accept' }), /^forward\.rules\.0\.comment: must be/],
    [inForward({ action: "drop", comment: "a\nb" }), /^forward\.rules\.0\.comment: must be/],
    [inForward({ action: "drop", comment: "netloom:x" }), /^forward\.rules\.0\.comment: .*mark our own/],
    [inForward({ action: "drop", connectionState: "open" }), /^forward\.rules\.0\.connectionState: /],
    [
      { family: "ip", ...inForward({ action: "drop", source: "fd00::/8" }) },
      /^forward\.rules\.0: .*no IPv4 one/,
    ],
    [
      { family: "ip6", portForward: [{ protocol: "tcp", port: 1, toAddress: "10.0.0.1" }] },
      /^portForward\.0: .*no IPv6 one/,
    ],
    [
      { family: "ip", ...inForward({ action: "drop", ipVersion: 4 }) },
      /^forward\.rules\.0\.ipVersion: goes without saying/,
    ],
    [{ unrecognised: ["x"] }, /^unrecognised: /],
  ])("%j", (given, message) => {
    expect(problems(given).join("\n")).toMatch(message);
  });
});

const meta = (key: string, right: unknown) => ({ match: { op: "==", left: { meta: { key } }, right } });
const field = (protocol: string, name: string, right: unknown, op = "==") => ({
  match: { op, left: { payload: { protocol, field: name } }, right },
});

describe("rules as libnftables-json(5)", () => {
  test.each<[string, Rule, unknown[]]>([
    ["a verdict alone", { action: "accept" }, [{ accept: null }]],
    [
      "interfaces",
      { action: "drop", inInterface: "a", outInterface: ["b", "c"] },
      [meta("iifname", "a"), meta("oifname", { set: ["b", "c"] }), { drop: null }],
    ],
    [
      "a network and a host",
      { action: "drop", source: "10.0.0.0/8", notDestination: "192.0.2.1" },
      [
        field("ip", "saddr", { prefix: { addr: "10.0.0.0", len: 8 } }),
        field("ip", "daddr", "192.0.2.1", "!="),
        { drop: null },
      ],
    ],
    [
      "several networks",
      { action: "drop", destination: ["fd00::/8", "::1"] },
      [field("ip6", "daddr", { set: ["::1", { prefix: { addr: "fd00::", len: 8 } }] }), { drop: null }],
    ],
    ["a protocol, by number", { action: "drop", protocol: "gre" }, [meta("l4proto", 47), { drop: null }]],
    [
      "ports name their protocol",
      { action: "drop", protocol: "udp", destinationPort: [53, "100-200"] },
      [field("udp", "dport", { set: [53, { range: [100, 200] }] }), { drop: null }],
    ],
    [
      "one state, several states",
      { action: "drop", connectionState: "invalid" },
      [{ match: { op: "in", left: { ct: { key: "state" } }, right: "invalid" } }, { drop: null }],
    ],
    ["a family", { action: "drop", ipVersion: 6 }, [meta("nfproto", "ipv6"), { drop: null }]],
    [
      "a counter, before the verdict",
      { action: "drop", counter: true },
      [{ counter: { packets: 0, bytes: 0 } }, { drop: null }],
    ],
    ["a rejection", { action: "reject" }, [{ reject: { type: "icmpx", expr: "port-unreachable" } }]],
    [
      "a reset",
      { action: "reject", protocol: "tcp", rejectWith: "tcp-reset" },
      [meta("l4proto", 6), { reject: { type: "tcp reset" } }],
    ],
  ])("%s", (_, rule, expected) => {
    expect(expr(rule)).toEqual(expected);
  });

  test("a rejection is of the table's family", () => {
    expect(expr({ action: "reject" }, "ip")).toEqual([
      { reject: { type: "icmp", expr: "port-unreachable" } },
    ]);
    expect(expr({ action: "reject" }, "ip6")).toEqual([
      { reject: { type: "icmpv6", expr: "port-unreachable" } },
    ]);
  });

  test("NAT says its family in a table of both, and only there", () => {
    const nat = (family: Input["family"]) =>
      rulesOf({
        family,
        masquerade: [{ outInterface: "w", toAddresses: "192.0.2.1-192.0.2.3" }],
        portForward: [{ protocol: "tcp", port: 80, toAddress: "10.0.0.1", toPort: 8080 }],
      }).map((rule) => (rule.expr as unknown[]).at(-1));
    expect(nat("inet")).toEqual([
      { dnat: { family: "ip", addr: "10.0.0.1", port: 8080 } },
      { snat: { family: "ip", addr: { range: ["192.0.2.1", "192.0.2.3"] } } },
    ]);
    expect(nat("ip")).toEqual([
      { dnat: { addr: "10.0.0.1", port: 8080 } },
      { snat: { addr: { range: ["192.0.2.1", "192.0.2.3"] } } },
    ]);
  });

  test("a clamp is in the forward chain, and in the output chain where it is asked for", () => {
    const clamps = rulesOf({
      clampMss: [
        { outInterface: "gre1", mss: "pmtu", output: true },
        { inInterface: "gre1", mss: 1360 },
      ],
    });
    expect(clamps.map(({ chain }) => chain)).toEqual(["mss_forward", "mss_output", "mss_forward"]);
    expect(clamps[0]?.expr).toEqual([
      meta("oifname", "gre1"),
      field("tcp", "flags", "syn", "in"),
      { mangle: { key: { "tcp option": { name: "maxseg", field: "size" } }, value: { rt: { key: "mtu" } } } },
    ]);
    expect(clamps[2]?.expr).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ mangle: expect.objectContaining({ value: 1360 }) as unknown }),
      ]),
    );
  });
});

describe("plans", () => {
  const some = spec({ netns: "n", masquerade: [{ outInterface: "w" }], forward: { policy: "drop" } });

  test("a table is replaced in one transaction, with no chain that has nothing to do", () => {
    const steps = firewall.plan(spec({ netns: "n" }), some, { owner: "netloom:demo/dev" });
    expect(steps).toHaveLength(1);
    expect(steps[0]).toMatchObject({ tool: "nft", netns: "n" });
    const list = (steps[0]?.tool === "nft" ? steps[0].commands : []) as readonly Command[];
    expect(
      list.map((command) => JSON.stringify(command).replace(/^\{"(\w+)":\{"(\w+)".*$/, "$1 $2")),
    ).toEqual([...["add table", "delete table", "add table", "add chain", "add chain", "add rule"]]);
    expect(list.flatMap(({ add }) => add?.chain?.name ?? [])).toEqual(["postrouting", "forward"]);
  });

  test("nothing for what is there, and one deletion at the end", () => {
    expect(firewall.plan(some, some, { owner: "x" })).toEqual([]);
    expect(firewall.plan(some, undefined, { owner: "x" })).toEqual([
      { tool: "nft", netns: "n", commands: [{ delete: { table: { family: "inet", name: "t" } } }] },
    ]);
  });

  test("what others have put into the table is taken away", () => {
    expect(firewall.plan({ ...some, unrecognised: ["rule {}"] }, some, { owner: "x" })).toHaveLength(1);
  });

  test("a rule says whose it is, in the bytes that nftables keeps, unless it has something else to say", () => {
    const rules: Rule[] = [{ action: "accept" }, { action: "drop", comment: "the rest" }];
    const comments = (owner: string) =>
      commands({ forward: { rules } }, owner).flatMap(({ add }) => add?.rule?.comment ?? []);
    expect(comments("netloom:demo/dev")).toEqual(["netloom:demo/dev", "the rest"]);
    expect(comments("demo/dev")[0]).toBe("netloom:demo/dev");
    expect(comments(`netloom:${"x".repeat(300)}`)[0]).toHaveLength(127);
  });
});

test("ids are found again, and those of other kinds are not", () => {
  for (const identity of [
    ["n", "firewall", "inet", "t"],
    ["firewall", "ip6", "t"],
  ]) {
    const located = firewall.locate(identity);
    expect(located && firewall.identity({ ...spec(), ...located })).toEqual(identity);
  }
  for (const identity of [
    ["n", "firewall", "arp", "t"],
    ["firewall", "t"],
    ["n", "rules", "t"],
  ]) {
    expect(firewall.locate(identity)).toBeUndefined();
  }
});

describe("looking", () => {
  test("no such table is an absence, and so is a kernel without nf_tables; a look that failed is not", () => {
    expect(
      firewall.observe(factsThatFail("Error: No such file or directory\nlist table inet t\n"), [spec()]),
    ).toBeUndefined();
    expect(
      firewall.observe(factsThatFail("Error: Could not process rule: Operation not supported"), [spec()]),
    ).toBeUndefined();
    expect(() =>
      firewall.observe(factsThatFail("Operation not permitted (you must be root)"), [spec()]),
    ).toThrow(/nft list table inet t failed/);
  });
});

test.each([
  ["nft failed: Error: Could not process rule: Operation not supported", /nft_masq/],
  ["nft failed: Error: Could not process rule: No such file or directory", /nft_chain_nat/],
  ["nft failed: Operation not permitted (you must be root)", /CAP_NET_ADMIN/],
  ["nft failed: Error: Could not process rule: Device or resource busy", /run the update again/],
])("%s is explained", (said, meaning) => {
  const told = firewall.explain?.(said, spec());
  expect(told).toContain(said);
  expect(told).toMatch(meaning);
});
