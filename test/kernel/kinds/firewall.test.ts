import { execFileSync } from "node:child_process";
import { firewall } from "../../../lib/kinds/firewall";
import type { Query, Step } from "../../../lib/kinds/step";
import { converges } from "../../support/converge";
import { run } from "../../support/host";
import { scratchNetns } from "../../support/scratch";
import { firewallSpecs } from "../../support/specs/firewall";

const netns = scratchNetns("firewall");

describe("firewall tables converge from any to any other, also after an interruption", () => {
  test.each(["inet", "ip", "ip6"] as const)(
    "in family %s",
    async (family) => {
      await converges({
        kind: firewall,
        specs: firewallSpecs(netns, family),
        run,
        cases: family === "inet" ? 40 : 15,
      });
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
