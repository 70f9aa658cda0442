import { execFileSync } from "node:child_process";
import * as fc from "fast-check";
import type { z } from "zod";
import { firewall } from "../../../lib/kinds/firewall";
import type { Query, Step } from "../../../lib/kinds/step";
import { converges } from "../../support/converge";
import { run } from "../../support/host";
import { scratchNetns } from "../../support/scratch";

const netns = scratchNetns("firewall");

type Input = z.input<typeof firewall.schema>;
type Rule = NonNullable<NonNullable<Input["forward"]>["rules"]>[number];

const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });

/** Networks that touch, overlap and merge into what is no prefix. */
const v4: fc.Arbitrary<string[]> = fc.uniqueArray(
  fc.constantFrom(
    "10.0.0.0/8",
    "10.1.0.0/16",
    "192.0.2.0/25",
    "192.0.2.128/26",
    "192.0.2.192/27",
    "192.0.2.1",
    "198.51.100.7/32",
  ),
  { minLength: 1, maxLength: 4 },
);
const v6: fc.Arbitrary<string[]> = fc.uniqueArray(
  fc.constantFrom("2001:db8::/32", "2001:db8:1::/48", "fd00::/9", "fd80::/9", "fd00::1"),
  { minLength: 1, maxLength: 3 },
);
const interfaces = fc.oneof(
  fc.constantFrom("v0", "not.there", "ppp*"),
  fc.uniqueArray(fc.constantFrom("v0", "w0", "gre-1"), { minLength: 1, maxLength: 3 }),
);
const ports = fc.oneof(
  fc.constantFrom<number | string>(22, "80-90", 65535, "1-65535"),
  fc.uniqueArray(fc.constantFrom<number | string>(22, 23, "24-30", "29-40", 443, "1024-65535"), {
    minLength: 1,
    maxLength: 4,
  }),
);
const comment = fc.constantFrom("seen from outside", "#1 (ssh)", "a;b", "100% * ?");

type Family = NonNullable<Input["family"]>;

function addressesOf(family: Family, version: 4 | 6) {
  const list = version === 4 ? v4 : v6;
  return {
    source: optional(list),
    notSource: optional(list),
    destination: optional(list),
    notDestination: optional(list),
    ipVersion: family === "inet" ? fc.constantFrom(undefined, version) : fc.constant(undefined),
  };
}

const anyVersion = (family: Family) =>
  family === "inet"
    ? fc.constantFrom(4 as const, 6 as const)
    : fc.constant(family === "ip" ? (4 as const) : (6 as const));

const transport = fc.oneof(
  fc.record({
    protocol: fc.constantFrom("tcp", "udp", "sctp"),
    sourcePort: optional(ports),
    destinationPort: optional(ports),
  }),
  fc.record({
    protocol: optional(fc.constantFrom<string | number>("tcp", "gre", 47, 50, 253, "icmp", "icmpv6")),
  }),
);

const suits = (version: 4 | 6) => (one: { protocol?: string | number }) =>
  one.protocol !== (version === 4 ? "icmpv6" : "icmp");

function ruleOf(family: Family): fc.Arbitrary<Rule> {
  return anyVersion(family).chain((version) =>
    fc
      .tuple(
        fc.record({
          ...addressesOf(family, version),
          inInterface: optional(interfaces),
          outInterface: optional(interfaces),
          connectionState: optional(
            fc.subarray(["established", "related", "new", "invalid", "untracked"], { minLength: 1 }),
          ),
          counter: optional(fc.boolean()),
          comment: optional(comment),
        }),
        transport.filter(suits(version)),
        fc.oneof(
          fc.record({ action: fc.constantFrom("accept", "drop", "reject") }),
          fc.record({
            action: fc.constant("reject"),
            rejectWith: fc.constantFrom("port-unreachable", "admin-prohibited"),
          }),
        ),
      )
      .map(([match, over, verdict]) => ({ ...match, ...over, ...verdict }) as Rule),
  );
}

function chainOf(family: Family, hook: "input" | "forward" | "output") {
  const fits = (rule: Rule) =>
    hook === "forward" ||
    (hook === "input" ? rule.outInterface === undefined : rule.inInterface === undefined);
  const rules = fc.array(ruleOf(family).filter(fits), { maxLength: 4 });
  return optional(
    fc.record({ policy: optional(fc.constantFrom("accept" as const, "drop" as const)), rules }),
  );
}

const tcpReset: Rule = { action: "reject", protocol: "tcp", destinationPort: 113, rejectWith: "tcp-reset" };

function tableOf(family: Family): fc.Arbitrary<Input> {
  const masquerade = anyVersion(family).chain((version) =>
    fc
      .tuple(
        fc.record({
          ...addressesOf(family, version),
          outInterface: interfaces,
          counter: optional(fc.boolean()),
          comment: optional(comment),
          toAddresses: optional(
            version === 4
              ? fc.constantFrom("192.0.2.1", "192.0.2.1-192.0.2.8")
              : fc.constantFrom("2001:db8::1", "2001:DB8::1-2001:db8::9"),
          ),
        }),
        transport.filter(suits(version)),
      )
      .map(([match, over]) => ({ ...match, ...over })),
  );
  const portForward = anyVersion(family).chain((version) =>
    fc.record({
      inInterface: optional(interfaces),
      source: optional(version === 4 ? v4 : v6),
      notSource: optional(version === 4 ? v4 : v6),
      destination: optional(version === 4 ? v4 : v6),
      protocol: fc.constantFrom("tcp", "udp"),
      port: ports,
      toAddress: fc.constant(version === 4 ? "10.0.0.9" : "2001:db8::99"),
      toPort: optional(fc.constant(8080)),
      counter: optional(fc.boolean()),
    }),
  );
  const version = family === "inet" ? optional(fc.constantFrom(4, 6)) : fc.constant(undefined);
  const mss = fc.oneof(fc.constant("pmtu"), fc.integer({ min: 536, max: 65495 }));
  const clamp = fc.oneof(
    fc.record({
      outInterface: optional(interfaces),
      ipVersion: version,
      mss,
      output: optional(fc.boolean()),
    }),
    fc.record({ inInterface: interfaces, ipVersion: version, mss }),
  );
  return fc.record({
    netns: fc.constant(netns),
    family: fc.constant(family),
    table: fc.constant("netloom"),
    masquerade: optional(fc.array(masquerade, { maxLength: 3 })),
    portForward: optional(fc.array(portForward, { maxLength: 3 })),
    clampMss: optional(fc.array(clamp, { maxLength: 3 })),
    input: chainOf(family, "input").map((chain) => chain && { ...chain, rules: [...chain.rules, tcpReset] }),
    forward: chainOf(family, "forward"),
    output: chainOf(family, "output"),
  }) as fc.Arbitrary<Input>;
}

describe("firewall tables converge from any to any other, also after an interruption", () => {
  test.each(["inet", "ip", "ip6"] as const)(
    "in family %s",
    async (family) => {
      await converges({ kind: firewall, specs: tableOf(family), run, cases: family === "inet" ? 40 : 15 });
    },
    300_000,
  );
});

const owner = { owner: "netloom:demo/dev" };
const wanted = firewall.schema.parse({
  netns,
  table: "netloom",
  masquerade: [{ outInterface: "w0", source: "10.0.0.0/24" }],
  clampMss: [{ outInterface: "v0", mss: "pmtu", output: true }],
  forward: {
    policy: "drop",
    rules: [
      { action: "accept", connectionState: ["established", "related"], counter: true },
      { action: "accept", inInterface: "v0" },
    ],
  },
});
const queries = firewall.queries(wanted);
const observe = async () => firewall.observe(await run([], queries), [wanted]);
const nft = (...commands: object[]): Step => ({ tool: "nft", netns, commands });
const list: Query = { tool: "nft", netns, args: ["list", "ruleset"] };

describe("tables changed behind our back", () => {
  beforeEach(async () => {
    await run(firewall.plan(await observe(), wanted, owner));
    expect(await observe()).toEqual(wanted);
  });

  test("a rule added by hand shows as it is, and nothing else does", async () => {
    await run([
      nft({
        add: {
          rule: {
            family: "inet",
            table: "netloom",
            chain: "forward",
            expr: [{ match: { op: "==", left: { meta: { key: "mark" } }, right: 7 } }, { accept: null }],
          },
        },
      }),
    ]);
    expect(await observe()).toEqual({
      ...wanted,
      unrecognised: [
        'rule {"chain":"forward","expr":[{"match":{"op":"==","left":{"meta":{"key":"mark"}},"right":7}},{"accept":null}]}',
      ],
    });
    expect(firewall.plan(await observe(), wanted, owner)).toHaveLength(1);
  });

  test("a rule added by hand that we have words for shows in its chain", async () => {
    await run([
      nft({ add: { rule: { family: "inet", table: "netloom", chain: "forward", expr: [{ drop: null }] } } }),
    ]);
    expect(await observe()).toEqual({
      ...wanted,
      forward: { ...wanted.forward, rules: [...wanted.forward.rules, { action: "drop" }] },
    });
  });

  test("a rule that was deleted is missing", async () => {
    const listed = (await run([], queries)).get(queries[0]!);
    if (!listed.ok) throw new Error(listed.error);
    const members = (listed.value as { nftables: { rule?: { chain: string; handle: number } }[] }).nftables;
    const handle = members.find(({ rule }) => rule?.chain === "postrouting")?.rule?.handle;
    await run([
      nft({ delete: { rule: { family: "inet", table: "netloom", chain: "postrouting", handle } } }),
    ]);
    expect(await observe()).toEqual({ ...wanted, masquerade: [] });
  });

  test("a set and a chain of others show", async () => {
    await run([
      nft(
        { add: { set: { family: "inet", table: "netloom", name: "bad", type: "ipv4_addr" } } },
        { add: { chain: { family: "inet", table: "netloom", name: "mine" } } },
      ),
    ]);
    expect((await observe())?.unrecognised).toEqual(
      ['set {"name":"bad","type":"ipv4_addr"}', 'chain {"name":"mine"}'].sort((a, b) => (a < b ? 1 : -1)),
    );
  });

  test("a policy that was changed shows", async () => {
    await run([
      nft({
        add: {
          chain: {
            family: "inet",
            table: "netloom",
            name: "forward",
            type: "filter",
            hook: "forward",
            prio: 0,
            policy: "accept",
          },
        },
      }),
    ]);
    expect(await observe()).toEqual({ ...wanted, forward: { ...wanted.forward, policy: "accept" } });
  });

  test("a clamp that the output chain has lost shows", async () => {
    await run([nft({ flush: { chain: { family: "inet", table: "netloom", name: "mss_output" } } })]);
    expect(await observe()).toEqual({ ...wanted, clampMss: [{ outInterface: ["v0"], mss: "pmtu" }] });
  });

  test("what a counter has counted is no drift", async () => {
    const counting = firewall.schema.parse({
      ...wanted,
      output: { rules: [{ action: "accept", counter: true }] },
    });
    await run(firewall.plan(await observe(), counting, owner));
    const send = `require("node:dgram").createSocket("udp4").send("x", 9, "127.0.0.1", () => process.exit())`;
    execFileSync("ip", ["netns", "exec", netns, process.execPath, "-e", send]);
    const listed = (await run([], queries)).get(queries[0]!);
    expect(JSON.stringify(listed)).toMatch(/"packets":[1-9]/);
    expect(await observe()).toEqual(counting);
    expect(firewall.plan(await observe(), counting, owner)).toEqual([]);
  });

  test("a table of somebody else stays, and deleting ours leaves it alone", async () => {
    await run([nft({ add: { table: { family: "inet", name: "theirs" } } })]);
    await run(firewall.plan(await observe(), undefined, owner));
    expect(await observe()).toBeUndefined();
    const after = (await run([], [list])).get(list);
    expect(after).toMatchObject({
      ok: true,
      value: { nftables: [{ metainfo: {} }, { table: { name: "theirs" } }] },
    });
    await run([nft({ delete: { table: { family: "inet", name: "theirs" } } })]);
  });
});

test("the owner is on every rule that has no comment of its own", async () => {
  await run(firewall.plan(await observe(), wanted, owner));
  const listed = (await run([], queries)).get(queries[0]!);
  if (!listed.ok) throw new Error(listed.error);
  const rules = (listed.value as { nftables: { rule?: { comment?: string } }[] }).nftables.flatMap(
    ({ rule }) => rule ?? [],
  );
  expect(rules.map(({ comment: words }) => words)).toEqual(rules.map(() => "netloom:demo/dev"));
  expect(rules.length).toBe(5);
});

test("an import reads a table without knowing what to look for", async () => {
  const located = firewall.locate([netns, "firewall", "inet", "netloom"]);
  if (located === undefined) throw new Error("the id is not understood");
  expect(firewall.observe(await run([], firewall.queries(located)), [located])).toEqual(wanted);
});
