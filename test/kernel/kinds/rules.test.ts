import { rules } from "../../../lib/kinds/rules";
import type { Step } from "../../../lib/kinds/step";
import { converges } from "../../support/converge";
import { run } from "../../support/host";
import { scratchNetns } from "../../support/scratch";
import { rulesSpecs } from "../../support/specs/rules";

const netns = scratchNetns("rules");

test("sets of rules converge from any to any other, also after an interruption", async () => {
  await converges({ kind: rules, specs: rulesSpecs(netns), run, cases: 30 });
});

const wanted = rules.schema.parse({
  netns,
  name: "set",
  rules: [
    { priority: 100, from: "10.0.0.0/8", table: 100 },
    { priority: 200, fwmark: { mark: 7 }, table: 7 },
    { priority: 100, from: "2001:db8::/32", action: "prohibit" },
  ],
});
const owner = { owner: "netloom:test" };
const observe = async () => rules.observe(await run([], rules.queries(wanted)), [wanted]);
const repair = async () => run(rules.plan(await observe(), wanted, owner), rules.queries(wanted));
const ip = (...args: string[]): Step => ({ tool: "ip", netns, args });

describe("rules changed behind our back", () => {
  beforeEach(async () => {
    await repair();
    expect(await observe()).toEqual(wanted);
  });
  afterEach(async () => {
    await repair();
    expect(await observe()).toEqual(wanted);
  });

  test("one that was deleted is missing, and no other", async () => {
    await run([ip("rule", "del", "priority", "200")]);
    expect((await observe())?.rules).toEqual(wanted.rules.filter((rule) => rule.priority !== 200));
    expect(rules.plan(await observe(), wanted, owner)).toHaveLength(1);
  });

  test("an IPv6 one that was deleted is missing, and no other", async () => {
    await run([{ tool: "ip", netns, family: 6, args: ["rule", "del", "priority", "100"] }]);
    expect((await observe())?.rules).toEqual(wanted.rules.filter((rule) => rule.family !== "inet6"));
  });

  test("one that somebody added at the same priority shows, and the repair takes away that one alone", async () => {
    await run([ip("rule", "add", "priority", "100", "table", "5")]);
    const found = await observe();
    expect(found?.rules).toHaveLength(4);
    // It fits all that ours fits, and stands behind it: taking it away by its conditions would take ours.
    await run(rules.plan(found, wanted, owner));
    expect(await observe()).toEqual(wanted);
  });

  test("one with a condition that has no words shows what it says", async () => {
    await run([ip("rule", "add", "priority", "200", "tos", "0x10", "table", "5")]);
    expect((await observe())?.rules.find((rule) => "unrecognised" in rule)).toMatchObject({
      priority: 200,
      protocol: 0,
      unrecognised: ['tos "0x10"'],
    });
  });

  test("rules at other priorities are not seen", async () => {
    await run([ip("rule", "add", "priority", "300", "table", "5")]);
    expect(await observe()).toEqual(wanted);
    await run([ip("rule", "del", "priority", "300")]);
  });
});

test("an import finds all but the kernel's own", async () => {
  await run(rules.plan(await observe(), undefined, owner));
  await run([ip("rule", "add", "priority", "50", "from", "10.1.0.0/16", "table", "main")]);
  const located = rules.locate([netns, "rules", "mine"]);
  if (located === undefined) throw new Error("the id is not understood");
  expect(rules.observe(await run([], rules.queries(located)), [located])).toEqual({
    netns,
    name: "mine",
    rules: [{ priority: 50, family: "inet", from: "10.1.0.0/16", table: 254, protocol: 0 }],
  });
});
