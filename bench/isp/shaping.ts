import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSession } from "../../lib/host";
import type { Query, Step } from "../../lib/kinds/step";
import { shaping } from "../../lib/kinds/shaping";
import { subscriberShaping } from "../../lib/kinds/subscriber-shaping";
import { spread, type Figure } from "../support/report";

const context = { owner: "netloom:bench" };
const PLANS = [10, 25, 50, 100, 250, 500];

/** A pair of links with the tree that subscribers hang on. */
function links(netns: string): Step[] {
  const ip = (...args: string[]): Step => ({ tool: "ip", netns, args });
  const inner = (classid: string, parent: string, rate: number) => ({
    ...{ classid, parent, rate, ceil: 10e9, burst: 125_000, cburst: 125_000, quantum: 6056 },
  });
  const trees = ["down", "up"].flatMap((link) => {
    const tree = shaping.schema.parse({
      ...{ netns, link, root: { kind: "htb", defaultClass: "1:2" } },
      classes: [inner("1:1", "1:", 10e9), inner("1:2", "1:1", 10_000)],
    });
    return [...shaping.plan(undefined, tree, context)];
  });
  return [
    { tool: "ip", args: ["netns", "add", netns] },
    ...["down", "up"].map((link) =>
      ip("link", "add", "name", link, "type", "veth", "peer", "name", `${link}-far`),
    ),
    ...trees,
  ];
}

/** Subscribers with one of six plans each, without leaves: every kernel with HTB can make them. */
function subscribers(netns: string, count: number) {
  const side = (mbit: number) => ({
    ...{ rate: 10_000, ceil: mbit * 1e6, burst: 3028, cburst: Math.max(3028, mbit * 125), quantum: 6056 },
  });
  const name = (mbit: number) => `${mbit}/${mbit / 5}`;
  return subscriberShaping.schema.parse({
    ...{ netns, name: "bench", download: "down", upload: "up" },
    plans: Object.fromEntries(
      PLANS.map((mbit) => [name(mbit), { download: side(mbit), upload: side(mbit / 5) }]),
    ),
    subscribers: Object.fromEntries(
      Array.from({ length: count }, (_, n) => [
        `line-${n + 1}`,
        { class: `1:${(0x1000 + n).toString(16)}`, parent: "1:1", plan: name(PLANS[n % PLANS.length]!) },
      ]),
    ),
  });
}

interface Measured {
  readonly make: number;
  readonly change: number;
}

/** Seconds that the kernel takes for all subscribers, and for another plan of one of them. */
async function measure(count: number): Promise<Measured> {
  const netns = `nlt-${process.pid}-bench`;
  const folder = mkdtempSync(join(tmpdir(), "nlt-bench-"));
  const folders = { state: join(folder, "state"), run: join(folder, "run") };
  const session = openSession({ name: "here" }, {}, { folders, gatherMs: 1 });
  const run = (steps: readonly Step[], queries: readonly Query[] = []) =>
    session.run({ label: "bench", stack: "bench/bench", queries, decide: () => ({ steps }) });
  const seconds = async (steps: readonly Step[]) => {
    const begin = performance.now();
    await run(steps);
    return (performance.now() - begin) / 1000;
  };
  try {
    await run(links(netns));
    const all = subscribers(netns, count);
    const make = await seconds(subscriberShaping.plan(undefined, all, context));
    const outcome = await run([], subscriberShaping.queries(all));
    const found = subscriberShaping.observe(outcome.facts, [all]);
    const other = {
      ...all,
      subscribers: { ...all.subscribers, "line-7": { ...all.subscribers["line-7"]!, plan: "500/100" } },
    };
    const steps = subscriberShaping.plan(found, other, context);
    if (steps.length !== 2) throw new Error(`${steps.length} steps for one changed subscriber of ${count}`);
    return { make, change: await seconds(steps) };
  } finally {
    await session.close();
    execFileSync("ip", ["netns", "del", netns]);
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * HTB classes of many subscribers, two for each, on this machine's kernel. The kernel walks every class of a qdisc
 * whenever one comes or goes (`tc_bind_tclass` of net/sched/sch_api.c), so making them costs the square of their
 * number, and changing one does not.
 */
export async function benchShaping(counts: readonly number[], runs: number): Promise<readonly Figure[]> {
  const figures: Figure[] = [];
  for (const count of counts) {
    const measured: Measured[] = [];
    for (let nth = 0; nth < runs; nth += 1) measured.push(await measure(count));
    const [make, change] = [
      spread(measured.map((one) => one.make)),
      spread(measured.map((one) => one.change)),
    ];
    figures.push(
      {
        case: `${count} subscribers shaped`,
        unit: "s",
        value: make.median,
        target: "<= 3",
        ok: make.median <= 3,
      },
      {
        case: `another plan for one of ${count}`,
        unit: "s",
        value: change.median,
        target: "<= 0.5",
        ok: change.median <= 0.5,
      },
    );
  }
  return figures;
}
