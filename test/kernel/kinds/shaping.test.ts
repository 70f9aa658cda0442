import { disagreements } from "../../../lib/kinds/agree";
import { shaping } from "../../../lib/kinds/shaping";
import type { Step } from "../../../lib/kinds/step";
import { converges } from "../../support/converge";
import { run } from "../../support/host";
import { scratchNetns } from "../../support/scratch";
import { shapingSpecs } from "../../support/specs/shaping";

const netns = scratchNetns("shaping");

test("trees of HTB, TBF and FIFOs converge from any to any other, also after an interruption", async () => {
  await converges({ kind: shaping, specs: shapingSpecs(netns, "v0", "plain"), run, cases: 40 });
});

const wanted = shaping.schema.parse({
  netns,
  link: "w0",
  root: { kind: "htb", defaultClass: "1:2" },
  classes: [
    { classid: "1:1", parent: "1:", rate: 1e9, ceil: 1e9, burst: 125_000, cburst: 125_000, quantum: 6056 },
    { classid: "1:2", parent: "1:1", rate: 10_000, ceil: 25e6, burst: 3028, cburst: 31_250, quantum: 6056 },
    { classid: "1:10", parent: "1:1", rate: 10_000, ceil: 1e8, burst: 3028, cburst: 12_500, quantum: 6056 },
    { classid: "1:1001", parent: "1:10", rate: 1e6, ceil: 5e7, burst: 3028, cburst: 6251, quantum: 6056 },
  ],
  qdiscs: [{ parent: "1:1001", handle: "1001:", kind: "pfifo", limitPackets: 200 }],
  clsact: true,
});
const observe = async () => shaping.observe(await run([], shaping.queries(wanted)), [wanted]);
const plan = async (to = wanted) => shaping.plan(await observe(), to, { owner: "netloom:test" });
const tc = (...args: string[]): Step => ({ tool: "tc", netns, args });

describe("a tree changed behind our back", () => {
  beforeEach(async () => {
    await run(await plan());
    expect(await observe()).toEqual(wanted);
  });

  test("a rate that was changed shows, and one class change repairs it", async () => {
    await run([
      tc("class", "change", "dev", "w0", "parent", "1:10", "classid", "1:1001", "htb", "rate", "7mbit"),
    ]);
    const found = await observe();
    expect(disagreements(wanted, found ?? {})).toEqual(["classes"]);
    expect(found?.classes.find(({ classid }) => classid === "1:1001")?.rate).toBe(7_000_000);
    const steps = await plan();
    expect(steps.map((step) => "args" in step && step.args.slice(0, 2))).toEqual([["class", "change"]]);
  });

  test("a class that was added shows, and goes", async () => {
    await run([tc("class", "add", "dev", "w0", "parent", "1:1", "classid", "1:77", "htb", "rate", "1mbit")]);
    expect((await observe())?.classes.map(({ classid }) => classid)).toContain("1:77");
    expect(await plan()).toEqual([tc("class", "del", "dev", "w0", "classid", "1:77")]);
  });

  test("a leaf that was taken away is made again", async () => {
    await run([tc("qdisc", "del", "dev", "w0", "parent", "1:1001")]);
    expect((await observe())?.qdiscs).toEqual([]);
    expect(await plan()).toHaveLength(1);
  });

  test("the hooks that were taken away are made again", async () => {
    await run([tc("qdisc", "del", "dev", "w0", "clsact")]);
    expect((await observe())?.clsact).toBe(false);
    expect(await plan()).toEqual([tc("qdisc", "replace", "dev", "w0", "clsact")]);
  });

  test("a tree that was taken away is not there, and is made again whole", async () => {
    await run([tc("qdisc", "del", "dev", "w0", "root")]);
    expect(await observe()).toBeUndefined();
  });

  test("another root in its place shows, and is replaced", async () => {
    await run([
      tc("qdisc", "del", "dev", "w0", "root"),
      tc("qdisc", "add", "dev", "w0", "root", "handle", "9:", "pfifo", "limit", "5"),
    ]);
    expect((await observe())?.root).toEqual({ kind: "pfifo", handle: "9:", limitPackets: 5 });
  });
});

test("a changed plan is one class change, and the packets that wait in other classes stay", async () => {
  await run(await plan());
  const faster = shaping.schema.parse({
    ...wanted,
    classes: wanted.classes.map((one) => (one.classid === "1:1001" ? { ...one, rate: 2e6 } : one)),
  });
  const steps = await plan(faster);
  expect(steps).toHaveLength(1);
  expect(steps[0]).toMatchObject({ args: expect.arrayContaining(["class", "change", "1:1001"]) as unknown });
});

test("classes of others below a class that is wanted no longer keep it until they are gone", async () => {
  const minors = { first: 1, last: 0xfff };
  const mine = shaping.schema.parse({
    ...wanted,
    classes: wanted.classes.filter(({ classid }) => classid !== "1:1001"),
    qdiscs: [],
    minors,
  });
  const less = shaping.schema.parse({
    ...mine,
    classes: mine.classes.filter(({ classid }) => classid !== "1:10"),
  });
  await run(await plan());
  const look = async (spec: typeof mine) =>
    shaping.observe(await run([], shaping.queries(spec)), [spec, mine]);
  expect(await look(mine)).toEqual(mine);
  expect(shaping.plan(await look(less), less, { owner: "" })).toEqual([]);
  await run([tc("class", "del", "dev", "w0", "classid", "1:1001")]);
  expect(shaping.plan(await look(less), less, { owner: "" })).toEqual([
    tc("class", "del", "dev", "w0", "classid", "1:10"),
  ]);
});

test("a link that is not there is told by name", async () => {
  const gone = shaping.schema.parse({ netns, link: "nosuch0", root: { kind: "htb" } });
  expect(shaping.observe(await run([], shaping.queries(gone)), [gone])).toBeUndefined();
  const error: unknown = await run(shaping.plan(undefined, gone, { owner: "" })).catch(
    (thrown: unknown) => thrown,
  );
  expect(shaping.explain?.(String(error), gone)).toMatch(/there is no link nosuch0 in netns/);
});
