import fc from "fast-check";
import type { Step } from "../../../lib/kinds/step";
import { byShare, mergeSteps, type Run, withoutOwners } from "../../../lib/host/segments";

const ip = (netns: string | undefined, ...args: string[]): Step => ({ tool: "ip", netns, args });
const write = (path: string): Step => ({
  tool: "write",
  path,
  file: { content: "", mode: "0644", owner: "root:root" },
});

const shape = (runs: readonly Run[]) =>
  runs.map(
    ({ tool, netns, shares }) => `${tool} ${netns ?? "host"}: ${shares.map(({ owner }) => owner).join(",")}`,
  );

test("alike segments of all operations become one run", () => {
  const plan = (n: number) => [
    ip(undefined, "link", "add", `v${n}`),
    ip(undefined, "link", "set", `v${n}`),
    ip("a", "addr", "add"),
    { tool: "sysctl", netns: "a", values: {} } satisfies Step,
    ip("a", "link", "set"),
  ];
  expect(shape(mergeSteps(Array.from({ length: 3 }, (_, n) => plan(n))))).toEqual([
    "ip host: 0,1,2",
    "ip a: 0,1,2",
    "sysctl a: 0,1,2",
    "ip a: 0,1,2",
  ]);
});

test("an operation that is ahead waits for those that come to the same command later", () => {
  const runs = mergeSteps([
    [ip("a", "x")],
    [ip(undefined, "y"), ip("a", "z")],
    [ip(undefined, "y"), { tool: "tc", args: ["q"] }, ip("a", "z")],
  ]);
  expect(shape(runs)).toEqual(["ip host: 1,2", "tc host: 2", "ip a: 0,1,2"]);
});

test("files are one run each, whoever writes them", () => {
  expect(shape(mergeSteps([[write("/a"), write("/b")], [write("/c")]]))).toEqual([
    "write host: 0",
    "write host: 1",
    "write host: 0",
  ]);
});

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.constantFrom(undefined, "a", "b").map((netns) => ip(netns, "x")),
  fc.constantFrom(undefined, "a").map((netns): Step => ({ tool: "tc", netns, args: ["x"] })),
  fc.constantFrom("a", "b").map((netns): Step => ({ tool: "nft", netns, commands: [] })),
  fc.constant(write("/x")),
);
const plans = fc.array(fc.array(step, { maxLength: 8 }), { maxLength: 8 });

test("every step runs once, in its operation's own order, in a run of its tool and namespace", () => {
  fc.assert(
    fc.property(plans, (given) => {
      const runs = mergeSteps(given);
      given.forEach((steps, owner) => {
        const ran = runs.flatMap(({ shares }) => shares.filter((share) => share.owner === owner));
        const order = ran.flatMap((share) => share.steps);
        expect(order).toHaveLength(steps.length);
        order.forEach((one, index) => expect(one).toBe(steps[index]));
      });
      for (const { tool, netns, shares } of runs) {
        expect(new Set(shares.map(({ owner }) => owner)).size).toBe(shares.length);
        for (const one of shares.flatMap(({ steps }) => steps))
          expect([one.tool, "netns" in one ? one.netns : undefined]).toEqual([tool, netns]);
      }
    }),
  );
});

test("merging never takes more runs than the operations have segments", () => {
  fc.assert(
    fc.property(plans, (given) => {
      const alone = given.reduce((sum, steps) => sum + mergeSteps([steps]).length, 0);
      expect(mergeSteps(given).length).toBeLessThanOrEqual(alone);
    }),
  );
});

test("who has failed is taken out of what is left, and empty runs go", () => {
  const runs = mergeSteps([[ip("a", "x")], [ip("a", "y"), ip("b", "z")]]);
  expect(shape(withoutOwners(runs, new Set([1])))).toEqual(["ip a: 0"]);
  expect(shape(byShare(runs[0]!))).toEqual(["ip a: 0", "ip a: 1"]);
});
