import * as fc from "fast-check";
import type { z } from "zod";
import type { shaping } from "../../../lib/kinds/shaping";

type Input = z.input<typeof shaping.schema>;
type ClassInput = NonNullable<Input["classes"]>[number];
type QdiscInput = NonNullable<Input["qdiscs"]>[number];
type FilterInput = NonNullable<Input["filters"]>[number];
type QueueInput = QdiscInput extends infer Q
  ? Q extends QdiscInput
    ? Omit<Q, "parent" | "handle">
    : never
  : never;

const mbit = (least: number, most: number) => fc.integer({ min: least, max: most }).map((n) => n * 1e6 + 8);

const tbf = fc.record({
  kind: fc.constant("tbf" as const),
  rate: mbit(1, 900),
  burstBytes: fc.integer({ min: 3000, max: 2_000_000 }),
  latencyUs: fc.integer({ min: 1000, max: 400_000 }),
});
const pfifo = fc.record({
  kind: fc.constant("pfifo" as const),
  limitPackets: fc.integer({ min: 1, max: 5000 }),
});
const bfifo = fc.record({
  kind: fc.constant("bfifo" as const),
  limitBytes: fc.integer({ min: 1600, max: 1e6 }),
});

const cake = fc.record({
  kind: fc.constant("cake" as const),
  bandwidth: fc.option(mbit(1, 2000), { nil: undefined }),
  tins: fc.constantFrom(
    "besteffort" as const,
    "precedence" as const,
    "diffserv3" as const,
    "diffserv4" as const,
  ),
  flowMode: fc.constantFrom("flows" as const, "triple-isolate" as const, "dual-dsthost" as const),
  nat: fc.boolean(),
  wash: fc.boolean(),
  ackFilter: fc.constantFrom("off" as const, "on" as const, "aggressive" as const),
  ingress: fc.boolean(),
  splitGso: fc.boolean(),
  rttUs: fc.integer({ min: 100, max: 1_000_000 }),
  memoryLimitBytes: fc.option(fc.integer({ min: 65_536, max: 1 << 25 }), { nil: undefined }),
  overheadBytes: fc.option(fc.integer({ min: 0, max: 64 }), { nil: undefined }),
});
const fqCodel = fc.record({
  kind: fc.constant("fq_codel" as const),
  limitPackets: fc.integer({ min: 1, max: 20_000 }),
  flows: fc.constantFrom(64, 256, 1024),
  targetUs: fc.integer({ min: 1000, max: 50_000 }),
  intervalUs: fc.integer({ min: 20_000, max: 500_000 }),
  quantumBytes: fc.integer({ min: 300, max: 3000 }),
  memoryLimitBytes: fc.integer({ min: 100_000, max: 1 << 25 }),
  ecn: fc.boolean(),
});
const fq = fc.record({
  kind: fc.constant("fq" as const),
  limitPackets: fc.integer({ min: 10, max: 10_000 }),
  flowLimitPackets: fc.integer({ min: 10, max: 200 }),
});
const netem = fc.record({
  kind: fc.constant("netem" as const),
  limitPackets: fc.integer({ min: 10, max: 10_000 }),
  delayUs: fc.integer({ min: 0, max: 500_000 }),
  jitterUs: fc.constant(0),
  lossPercent: fc.integer({ min: 0, max: 200 }).map((n) => n / 4),
  // One that duplicates must be the only netem of the link, also on the way from one tree to another.
  duplicatePercent: fc.constant(0),
});

/** Queues that every kernel with HTB has. */
const plain: readonly fc.Arbitrary<QueueInput>[] = [tbf, pfifo, bfifo];
/** Queues of a distribution's kernel. */
const rich: readonly fc.Arbitrary<QueueInput>[] = [...plain, cake, fqCodel, fq, netem];

/** A class with the place of its parent among those before it: 0 is the root. */
const classAt = (n: number) =>
  fc.record({
    parent: fc.nat({ max: n }),
    rate: mbit(1, 50),
    extra: mbit(0, 400),
    burst: fc.integer({ min: 3000, max: 500_000 }),
    cburst: fc.integer({ min: 3000, max: 500_000 }),
    quantum: fc.integer({ min: 1500, max: 60_000 }),
    prio: fc.integer({ min: 0, max: 7 }),
    leaf: fc.nat({ max: 3 }),
  });

const minors = [0x1, 0x2, 0xa, 0x10, 0x1001, 0x1002, 0xfffe].map((minor) => minor.toString(16));

function htb(netns: string, link: string, queues: readonly fc.Arbitrary<QueueInput>[], flower: boolean) {
  return fc
    .record({
      classes: fc.tuple(...minors.map((_, index) => classAt(index))),
      used: fc.uniqueArray(fc.nat({ max: minors.length - 1 }), { maxLength: minors.length }),
      queues: fc.tuple(...minors.map(() => fc.oneof(...queues))),
      below: fc.option(fc.oneof(...queues), { nil: undefined }),
      defaultClass: fc.constantFrom(undefined, "1:2", "1:2", "1:2", "1:10"),
      handle: fc.constantFrom("1:", "1:", "1:", "2:"),
      clsact: fc.constantFrom(undefined, true, false),
      filters: fc.uniqueArray(fc.nat({ max: 5 }), { maxLength: flower ? 6 : 0 }),
    })
    .map((random): Input => {
      const used = [...random.used].sort((a, b) => a - b);
      const root = random.handle;
      const id = (minor: string | undefined) => `${root}${minor}`;
      const classes: ClassInput[] = [];
      used.forEach((index, nth) => {
        const { parent, rate, extra, burst, cburst, quantum, prio } = random.classes[index]!;
        const above = parent % (nth + 1);
        const ceiling = above === 0 ? Infinity : Number(classes[above - 1]!.ceil);
        const ceil = Math.min(ceiling, rate + extra);
        classes.push({
          classid: id(minors[index]),
          parent: above === 0 ? root : classes[above - 1]!.classid,
          ...{ rate: Math.min(rate, ceil), ceil, burst, cburst, quantum, prio },
        });
      });
      const inner = new Set(classes.map(({ parent }) => parent));
      const qdiscs: QdiscInput[] = [];
      used.forEach((index, nth) => {
        const { classid } = classes[nth]!;
        const choice = random.classes[index]!.leaf;
        if (inner.has(classid) || choice === 0) return;
        // Handles that meet neither the root's nor each other's; two for one class, so that one replaces another.
        const handle = `${(0x100 + 2 * index + (choice % 2)).toString(16)}:`;
        qdiscs.push({ ...random.queues[index]!, parent: classid, handle });
      });
      const carrier = qdiscs.find(({ kind }) => kind === "tbf" || kind === "netem");
      if (carrier !== undefined && random.below !== undefined) {
        qdiscs.push({ ...random.below, parent: `${carrier.handle}1`, handle: "300:" });
      }
      const filters: FilterInput[] = random.filters.map((n) => {
        const place = {
          parent: n % 2 === 0 ? root : "egress",
          handle: n + 1,
          classid: id(minors[4 + (n % 3)]),
        };
        return n < 3
          ? { ...place, protocol: "ip", pref: 10, destination: `10.0.${n}.0/24` }
          : {
              ...place,
              protocol: "ipv6",
              pref: 20,
              source: `2001:db8:${n}::/48`,
              ipProtocol: "udp",
              sourcePort: 53,
            };
      });
      const hooks = filters.some(({ parent }) => parent === "egress");
      return {
        netns,
        link,
        root: {
          kind: "htb",
          handle: root,
          ...(random.defaultClass !== undefined && { defaultClass: random.defaultClass.replace("1:", root) }),
        },
        ...{ classes, qdiscs, filters },
        ...(hooks ? { clsact: true } : random.clsact !== undefined && { clsact: random.clsact }),
      };
    });
}

/** Random trees of one link. `kernel: "plain"` has what this project's own machines have. */
export function shapingSpecs(
  netns: string,
  link: string,
  kernel: "plain" | "distribution",
): fc.Arbitrary<Input> {
  const queues = kernel === "plain" ? plain : rich;
  const alone = fc
    .record({ queue: fc.oneof(...queues), handle: fc.constantFrom("1:", "1:", "5:") })
    .map(({ queue, handle }): Input => ({ netns, link, root: { ...queue, handle } }));
  const tree = htb(netns, link, queues, kernel === "distribution");
  return fc.oneof({ weight: 4, arbitrary: tree }, { weight: 1, arbitrary: alone });
}
