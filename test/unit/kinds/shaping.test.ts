import { readFileSync } from "node:fs";
import { join } from "node:path";
import { shaping } from "../../../lib/kinds/shaping";
import { ratesAsWanted, readClasses } from "../../../lib/kinds/shaping/classes";
import { readFilters } from "../../../lib/kinds/shaping/filters";
import { changesInPlace, queueAsWanted, queueWords, readQueue } from "../../../lib/kinds/shaping/queue-words";
import { queue } from "../../../lib/kinds/shaping/queues";
import { parseRate, parseSize, sameBurst, shownRate } from "../../../lib/kinds/shaping/units";
import type { QdiscRow } from "../../../lib/kinds/shaping/observe";
import type { Step } from "../../../lib/kinds/step";

interface Recorded {
  readonly classes: unknown;
  readonly qdiscs: readonly QdiscRow[];
  readonly egress: unknown;
  readonly root: unknown;
}

/** What tc printed of one tree on iproute2 5.9, 6.1 and 6.15. */
const releases = [11, 12, 13].map((release): [number, Recorded] => [
  release,
  JSON.parse(
    readFileSync(join(__dirname, `../../fixtures/shaping/debian-${release}.json`), "utf8"),
  ) as Recorded,
]);

describe.each(releases)("what tc prints on Debian %i", (_, recorded) => {
  test("are classes with their rates, as text or as JSON", () => {
    const classes = readClasses(recorded.classes);
    expect(classes.size).toBe(12);
    const wanted = { rate: 10_000, ceil: 50_000_000, burst: 3028, cburst: 6251, quantum: 6056 };
    const leaf = classes.get("1:1001")!;
    expect({ ...ratesAsWanted(leaf, wanted), parent: leaf.parent, prio: leaf.prio }).toEqual({
      ...{ ...wanted, parent: "1:10", prio: 3 },
    });
    expect(classes.get("1:1")).toMatchObject({ parent: "1:", rate: 1e9, ceil: 1e9, burst: 125_000 });
    expect(classes.get("1:10")).not.toHaveProperty("quantum");
  });

  test("are qdiscs in the schema's words, the same as those that were asked for", () => {
    const there = new Map(
      recorded.qdiscs.map(({ parent = "", kind, options = {} }) => [parent, readQueue(kind, options)]),
    );
    const asked: Record<string, object> = {
      "1:1001": { kind: "tbf", rate: 1e6, burstBytes: 10_240, latencyUs: 50_000 },
      "1:1002": { kind: "cake", tins: "diffserv4", memoryLimitBytes: 2_500_000 },
      "1:1003": { kind: "fq_codel", flows: 256, quantumBytes: 300, memoryLimitBytes: 1_500_000 },
      "1:1004": { kind: "netem", delayUs: 20_000, jitterUs: 3000, lossPercent: 1.5, limitPackets: 2000 },
      "1:1005": { kind: "fq", limitPackets: 1000 },
      "1:1006": { kind: "pfifo", limitPackets: 100 },
      "1:1007": { kind: "bfifo", limitBytes: 10_000 },
      "1004:": { kind: "fq_codel" },
      // The keyword docsis stands for an overhead of 18 bytes.
      "1:1009": {
        ...{ kind: "cake", bandwidth: 20e6, tins: "besteffort", rttUs: 20_000, nat: true },
        ...{ ingress: true, ackFilter: "on", overheadBytes: 18 },
      },
    };
    for (const [parent, spec] of Object.entries(asked)) {
      const wanted = queue.parse(spec);
      expect(queueAsWanted(there.get(parent)!, wanted)).toEqual(wanted);
    }
  });

  test("are filters with the class that they lead to", () => {
    expect(readFilters(recorded.egress, "egress").map(({ handle, classid }) => [handle, classid])).toEqual([
      ...[
        [0x0a000001, "1:1001"],
        [0x0a000002, "1:1002"],
        [0x0a000003, "1:1003"],
        [7, "1:1002"],
      ],
    ]);
    expect(readFilters(recorded.egress, "egress")[3]).toEqual({
      ...{ parent: "egress", protocol: "ipv6", pref: 2000, handle: 7 },
      ...{ destination: "2001:db8::/56", classid: "1:1002" },
    });
    expect(readFilters(recorded.root, "1:")).toHaveLength(1);
  });
});

test("rates are cut to what tc can show, and stay as they are then", () => {
  const pairs = [
    [10_001, 10_000],
    [12_345_678, 12_345_000],
    [1_234_567_890, 1_234_000_000],
    [3, 8],
  ] as const;
  for (const [asked, shown] of pairs) {
    expect(shownRate(asked)).toBe(shown);
    expect(shownRate(shown)).toBe(shown);
  }
});

test("rates and sizes of tc are read in every unit, and nothing else is", () => {
  expect(["10Kbit", "50Mbit", "1Gbit", "10008bit", "1.5Mbit"].map(parseRate)).toEqual([
    ...[10_000, 5e7, 1e9, 10_008, 1_500_000],
  ]);
  expect(["3028b", "15Kb/1", "2Mb", "1600b/1"].map(parseSize)).toEqual([3028, 15_360, 2_097_152, 1600]);
  expect(["", "50", "Mbit", "5furlongs"].flatMap((word) => [parseRate(word), parseSize(word)])).toEqual(
    new Array(8).fill(undefined),
  );
});

test("bursts are the same within the kernel's ticks, and not beyond", () => {
  expect(sameBurst(6250, 6251, 5e7)).toBe(true);
  expect(sameBurst(6300, 6251, 5e7)).toBe(false);
  expect(sameBurst(2_097_152, 2_096_500, 1e9)).toBe(true);
});

test("a queue is told with every property, so that nothing of an earlier one stays", () => {
  expect(queueWords(queue.parse({ kind: "cake" })).join(" ")).toBe(
    "cake unlimited diffserv3 triple-isolate nonat nowash no-ack-filter egress split-gso rtt 100000us memlimit 0 raw",
  );
  expect(
    queueWords(queue.parse({ kind: "netem", delayUs: 20_000, jitterUs: 500, lossPercent: 1.5 })).join(" "),
  ).toBe("netem limit 1000 delay 20000us 500us loss 1.5%");
});

test("the flows of fq_codel cannot change in place, its target can", () => {
  const one = queue.parse({ kind: "fq_codel" });
  expect(changesInPlace(one, queue.parse({ kind: "fq_codel", flows: 64 }))).toBe(false);
  expect(changesInPlace(one, queue.parse({ kind: "fq_codel", targetUs: 9000 }))).toBe(true);
  expect(changesInPlace(one, queue.parse({ kind: "cake" }))).toBe(false);
});

const rates = { rate: 1e6, ceil: 1e7, burst: 3028, cburst: 3028, quantum: 6056 };
const base = {
  link: "eth0",
  root: { kind: "htb" as const },
  classes: [
    { classid: "1:1", parent: "1:", ...rates },
    { classid: "1:2", parent: "1:1", ...rates },
    { classid: "1:3", parent: "1:1", ...rates },
  ],
};
const plan = (from: object, to: object) =>
  shaping.plan(shaping.schema.parse(from), shaping.schema.parse(to), { owner: "" });
const words = (steps: readonly Step[]) =>
  steps.map((step) => ("args" in step ? step.args.slice(0, 6).join(" ") : ""));

describe("plans", () => {
  test("another rate is one class change", () => {
    const faster = { ...base, classes: base.classes.map((one) => ({ ...one, rate: 2e6 })).slice(1) };
    const to = { ...base, classes: [base.classes[0], faster.classes[0], base.classes[2]] };
    expect(words(plan(base, to))).toEqual(["class change dev eth0 parent 1:1"]);
  });

  test("a class that moves goes with what is below it, and comes again", () => {
    const to = {
      ...base,
      classes: [base.classes[0], base.classes[1], { ...base.classes[2], parent: "1:2" }],
    };
    expect(words(plan(base, to))).toEqual([
      "class del dev eth0 classid 1:3",
      "class add dev eth0 parent 1:2",
    ]);
  });

  test("a class that goes is let go of by the filter that picks it, which is there again afterwards", () => {
    const filter = { protocol: "ip", pref: 10, handle: 1, destination: "10.0.0.0/24", classid: "1:3" };
    const hooked = { ...filter, parent: "egress" };
    const filters = [{ ...filter, parent: "1:" }, hooked];
    const from = { ...base, clsact: true, filters };
    const to = { ...from, classes: base.classes.slice(0, 2) };
    const lines = words(plan(from, to)).map((line) => line.split(" ").slice(0, 5).join(" "));
    expect(lines).toEqual([
      "filter del dev eth0 parent",
      "class del dev eth0 classid",
      "filter add dev eth0 parent",
    ]);
  });

  test("another default class is another root: everything is made again", () => {
    const to = { ...base, root: { kind: "htb", defaultClass: "1:3" } };
    expect(words(plan(base, to)).map((line) => line.split(" ").slice(0, 2).join(" "))).toEqual([
      ...["qdisc del", "qdisc add", "class add", "class add", "class add"],
    ]);
  });

  test("a queue alone changes in place", () => {
    const cake = (bandwidth: number) => ({ link: "eth0", root: { kind: "cake", bandwidth } });
    expect(words(plan(cake(1e8), cake(2e8)))).toEqual(["qdisc change dev eth0 root handle"]);
  });
});

describe("refused with the property and what is wrong", () => {
  const told = (spec: object) =>
    (shaping.check?.(shaping.schema.parse({ ...base, ...spec })) ?? []).map(
      ({ path, message }) => `${path.join(".")} ${message}`,
    );
  const withClass = (one: object) => ({
    classes: [...base.classes, { classid: "1:9", parent: "1:1", ...rates, ...one }],
  });

  test.each([
    [
      "a ceiling above the parent's",
      withClass({ ceil: 2e7 }),
      /^classes.3.ceil 20000000 bit\/s are more than/,
    ],
    [
      "more held than there is",
      withClass({ rate: 1e7, ceil: 1e6 }),
      /^classes.3.rate 10000000 bit\/s are held/,
    ],
    ["a parent that is none", withClass({ parent: "1:77" }), /^classes.3.parent there is no class 1:77/],
    ["classes of another root", withClass({ classid: "2:9" }), /^classes.3.classid 2:9 is no class of 1:/],
    ["classes of a queue", { root: { kind: "cake" } }, /^classes a root of cake has no classes/],
    [
      "a queue below an inner class",
      { qdiscs: [{ kind: "pfifo", parent: "1:1", handle: "5:" }] },
      /^qdiscs.0.parent 1:1 has classes below it/,
    ],
    [
      "a netem that duplicates beside another",
      {
        qdiscs: [
          { kind: "netem", duplicatePercent: 1, parent: "1:2", handle: "2:" },
          { kind: "netem", parent: "1:3", handle: "3:" },
        ],
      },
      /^qdiscs.0.duplicatePercent a netem that duplicates/,
    ],
    [
      "a filter on a hook that is not there",
      { filters: [{ parent: "egress", protocol: "ip", pref: 1, handle: 1, classid: "1:2" }] },
      /^filters.0.parent egress needs clsact/,
    ],
  ])("%s", (_, spec, message) => {
    expect(told(spec)).toEqual([expect.stringMatching(message)]);
  });

  test("a class below itself", () => {
    const loop = [
      { classid: "1:8", parent: "1:9", ...rates },
      { classid: "1:9", parent: "1:8", ...rates },
    ];
    expect(told({ classes: loop }).join()).toMatch(/1:8 is below itself/);
  });

  test.each(["1:1; reboot", "$(id)", "1:10000", "0:1", "1:"])("%j as a class id", (id) => {
    expect(shaping.schema.safeParse({ ...base, ...withClass({ classid: id }) }).success).toBe(false);
  });
});
