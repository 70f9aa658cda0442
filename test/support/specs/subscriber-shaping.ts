import * as fc from "fast-check";
import type { z } from "zod";
import { shaping } from "../../../lib/kinds/shaping";
import type { subscriberShaping } from "../../../lib/kinds/subscriber-shaping";
import type { Step } from "../../../lib/kinds/step";

type Input = z.input<typeof subscriberShaping.schema>;
type PlanInput = Input["plans"][string];
type Leaf = NonNullable<PlanInput["download"]["leaf"]>;

/** The trees of both links that subscribers hang on: classes 1:1, 1:2 (default), 1:10 and 1:11. */
export function shapedLinks(netns: string, links: readonly string[]): Step[] {
  const inner = (classid: string, parent: string) => ({
    ...{ classid, parent, rate: classid === "1:1" ? 1e9 : 10_000, ceil: 1e9 },
    ...{ burst: 125_000, cburst: 125_000, quantum: 6056 },
  });
  return links.flatMap((link) => {
    const spec = shaping.schema.parse({
      ...{ netns, link, clsact: true, root: { kind: "htb", defaultClass: "1:2" } },
      classes: [inner("1:1", "1:"), inner("1:2", "1:1"), inner("1:10", "1:1"), inner("1:11", "1:1")],
    });
    return [...shaping.plan(undefined, spec, { owner: "netloom:test" })];
  });
}

/** Leaves that every kernel with HTB has, and those of a distribution's. */
const leaves = {
  plain: [undefined, { kind: "pfifo", limitPackets: 77 }, { kind: "bfifo", limitBytes: 30_000 }],
  distribution: [
    undefined,
    { kind: "pfifo", limitPackets: 77 },
    { kind: "cake", tins: "diffserv4", memoryLimitBytes: 2_500_000 },
    { kind: "fq_codel", flows: 256, quantumBytes: 300, targetUs: 5000, memoryLimitBytes: 1_500_000 },
  ],
} as const satisfies Record<string, readonly (Leaf | undefined)[]>;

/** Random sets of subscribers below {@link shapedLinks} of the links v0 and w0. */
export function subscriberShapingSpecs(netns: string, kernel: keyof typeof leaves): fc.Arbitrary<Input> {
  const direction = fc
    .record({
      ceil: fc.integer({ min: 1, max: 900 }),
      held: fc.boolean(),
      leaf: fc.constantFrom<Leaf | undefined>(...leaves[kernel]),
    })
    .map(({ ceil, held, leaf }) => ({
      ...{ rate: held ? ceil * 5e5 : 10_000, ceil: ceil * 1e6, quantum: 6056 },
      ...{ burst: 3028, cburst: 3028 + ceil * 125 },
      ...(leaf !== undefined && { leaf }),
    }));
  const plan = fc.record({ download: direction, upload: direction });
  const subscriber = fc.record({
    number: fc.integer({ min: 0, max: 5 }),
    parent: fc.constantFrom("1:10", "1:11"),
    plan: fc.constantFrom("small", "large"),
  });
  const addresses = ["10.0.0.1", "10.0.0.0/24", "10.9.0.0/16", "2001:db8::/56", "2001:db8::1"];
  const prefixes = fc.dictionary(
    fc.constantFrom(...addresses),
    fc.constantFrom("1:1000", "1:1001", "1:1002"),
  );
  return fc
    .record({
      plans: fc.record({ small: plan, large: plan }),
      // Ids and classes pair up anew each time, so that a class can become another subscriber's.
      members: fc.dictionary(fc.constantFrom("ada", "bob", "eve", "Ørjan & Co; rm -rf"), subscriber, {
        minKeys: 1,
      }),
      prefixes: kernel === "distribution" ? prefixes : fc.constant({}),
    })
    .map(({ plans, members, prefixes: filters }): Input => {
      const taken = new Set<number>();
      const subscribers = Object.entries(members).flatMap(([id, { number, parent, plan: name }]) => {
        if (taken.has(number)) return [];
        taken.add(number);
        return [[id, { class: `1:${(0x1000 + number).toString(16)}`, parent, plan: name }] as const];
      });
      return {
        ...{ netns, name: "one", download: "v0", upload: "w0", plans, prefixes: filters },
        subscribers: Object.fromEntries(subscribers),
      };
    });
}
