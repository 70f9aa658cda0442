import { setTimeout as sleep } from "node:timers/promises";

import { Lab } from "../../lib/lab";
import { step } from "../../lib/lab/progress";
import { AggregationLab, mbit, type Received, type Shape } from "../support/netagg";
import { report, spread, type Figure, type Row, type Spread } from "../support/report";

/** Two paths between the same two ends, and what one flow over both of them must reach. */
interface Case {
  readonly name: string;
  readonly paths: readonly [Shape, Shape];
  /** Share of the sum of what one flow gets on each path alone. */
  readonly least?: number;
  /** Takes the second path away and gives it back while a transfer runs. */
  readonly flapping?: boolean;
}

/** Rates are one twentieth of what the cases are named for: an emulated kernel carries no more without being the limit. */
const cases: readonly Case[] = [
  {
    name: "two equal paths, 100M/10ms",
    paths: [
      { kbit: 5000, delayMs: 5 },
      { kbit: 5000, delayMs: 5 },
    ],
    least: 0.93,
  },
  {
    name: "300M/10ms + 80M/30ms",
    paths: [
      { kbit: 15000, delayMs: 5 },
      { kbit: 4000, delayMs: 15 },
    ],
    least: 0.9,
  },
  {
    name: "100M/10ms + 100M/40ms",
    paths: [
      { kbit: 5000, delayMs: 5 },
      { kbit: 5000, delayMs: 20 },
    ],
    least: 0.85,
  },
  {
    name: "100M/10ms twice, 1 % loss on one",
    paths: [
      { kbit: 5000, delayMs: 5 },
      { kbit: 5000, delayMs: 5, more: "loss 1%" },
    ],
  },
  {
    name: "100M/10ms twice, one flapping",
    paths: [
      { kbit: 5000, delayMs: 5 },
      { kbit: 5000, delayMs: 5 },
    ],
    flapping: true,
  },
];

const milliseconds = 8000;

/** One flow at a time: on each path alone, on both by netagg, on both by MPTCP. */
async function measure(lab: AggregationLab, one: Case) {
  const flap = async () => {
    for (let times = 0; times < 2; times++) {
      await lab.sh("sleep 1.5; cut 2; sleep 1.5");
      await lab.shape(2, one.paths[1]);
    }
  };
  const run = async (transfer: Omit<Parameters<AggregationLab["transfer"]>[0], "amount">, flaps = true) => {
    for (const [index, shape] of one.paths.entries()) await lab.shape(index + 1, shape);
    const meanwhile = one.flapping && flaps ? { meanwhile: flap } : {};
    const received = await lab.transfer({ amount: { ms: milliseconds }, ...transfer, ...meanwhile });
    if (!received.intact || received.error) throw new Error(`${one.name}: ${JSON.stringify(received)}`);
    return mbit(received);
  };
  const first = await run({ address: "10.0.1.2" }, false);
  const second = one.flapping ? 0 : await run({ address: "10.0.2.2" });
  for (const [index, shape] of one.paths.entries()) await lab.shape(index + 1, shape);
  const port = await lab.aggregate(one.paths.map(({ kbit }) => kbit));
  await lab.alive(true, true);
  const ours = await run({ port });
  await lab.flush();
  const mptcp = await run({ mptcp: true });
  return { first, second, ours, mptcp };
}

/** Measures once for each run, and tells of it. */
async function each<T>(name: string, runs: number, once: () => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (let nth = 1; nth <= runs; nth++) results.push(await step(`${name}, run ${nth} of ${runs}`, once));
  return results;
}

const column = <K extends string>(runs: readonly Readonly<Record<K, number>>[], key: K): Spread =>
  spread(runs.map((run) => run[key]));

function row(name: string, ours: Spread, against: Row["against"], least: number): Row {
  const ratio = ours.median / against.value.median;
  return { case: name, unit: "Mbit/s", ours, against, ratio, target: `>= ${least}`, ok: ratio >= least };
}

/** Equal weights for paths that are not equal: kept, and adapted to what the paths carry. */
async function adaptation(lab: AggregationLab, runs: number): Promise<Row> {
  const { paths } = cases[1]!;
  const name = "300M/10ms + 80M/30ms, weights adapted from 1:1";
  const run = async (both: string) => {
    for (const [index, shape] of paths.entries()) await lab.shape(index + 1, shape);
    const port = await lab.aggregate([1, 1], { both });
    await lab.alive(true, true);
    // Long enough for the weights to get there, five or six seconds.
    const received = await lab.transfer({ amount: { ms: 2 * milliseconds }, port });
    await lab.flush();
    return mbit(received);
  };
  const measured = await each(name, runs, async () => ({
    kept: await run(""),
    adapted: await run("--adapt"),
  }));
  const against = { name: "equal weights kept", value: column(measured, "kept") };
  return row(name, column(measured, "adapted"), against, 1.5);
}

/** The pause in a connection one of whose two paths is cut. */
async function failover(lab: AggregationLab, runs: number, queueMs: 50 | 100): Promise<Figure> {
  const name = `pause when a path is cut behind ${queueMs} ms of queue`;
  const gaps = await each(name, runs, async () => {
    // Behind a queue as long as the cases' what TCP itself needs to recover from a full one is in the pause.
    const shape: Shape = { kbit: 5000, delayMs: 5, ...(queueMs === 50 && { queue: 20 }) };
    for (const path of [1, 2]) await lab.shape(path, shape);
    const port = await lab.aggregate([1, 1]);
    await lab.alive(true, true);
    const meanwhile = () => lab.sh("sleep 2; cut 2").then(() => undefined);
    const received: Received = await lab.transfer({ amount: { ms: 4000 }, port, meanwhile });
    if (!received.intact || received.error) throw new Error(`failover: ${JSON.stringify(received)}`);
    await lab.flush();
    return received.gapMs;
  });
  const { median, min, max } = spread(gaps);
  return {
    case: `${name}, ${min.toFixed(0)}-${max.toFixed(0)}`,
    unit: "ms",
    value: median,
    target: "< 200",
    ok: median < 200,
  };
}

/** How far the bytes of a path are from its weight at most, in 10 s of one flow with segmentation offload. */
async function weights(lab: AggregationLab, runs: number, wanted: readonly number[]): Promise<Figure> {
  const name = `weights ${wanted.join(":")}`;
  const whole = wanted.reduce((sum, one) => sum + one);
  const off = await each(name, runs, async () => {
    const port = await lab.aggregate(wanted);
    await lab.alive(...wanted.map(() => true));
    const received = await lab.transfer({ amount: { ms: 10_000 }, port });
    if (!received.intact || received.error) throw new Error(`weights: ${JSON.stringify(received)}`);
    const bytes = (await lab.rules("a"))[0]!.paths.map(({ txBytes }) => txBytes);
    const all = bytes.reduce((sum, one) => sum + one);
    await lab.flush();
    return Math.max(...bytes.map((one, path) => Math.abs(one / all / (wanted[path]! / whole) - 1) * 100));
  });
  const most = Math.max(...off);
  return {
    ...{ case: `${name}, bytes of a path off by at most`, unit: "%" },
    ...{ value: most, target: "<= 1", ok: most <= 1 },
  };
}

/** One path of two is cut in the middle of many bytes, as fast as the machine goes. */
async function bulk(lab: AggregationLab): Promise<Figure> {
  const bytes = 1e9;
  const port = await lab.aggregate([1, 1]);
  await lab.alive(true, true);
  const received = async () =>
    (await lab.rules("b"))[0]!.paths.reduce((sum, { rxBytes }) => sum + rxBytes, 0);
  const meanwhile = async () => {
    while ((await received()) < bytes / 2) await sleep(500);
    await lab.sh("cut 2");
  };
  const got = await lab.transfer({ amount: { bytes }, port, meanwhile });
  const whole = got.intact && !got.error;
  await lab.flush();
  await lab.sh("for end in up down; do ip netns exec r2 tc qdisc del dev $end root; done");
  return {
    ...{ case: "1 GB with a path cut in the middle, bytes that arrived as they were sent", unit: "bytes" },
    ...{ value: whole ? got.bytes : 0, target: String(bytes), ok: whole && got.bytes === bytes },
  };
}

/** One TCP flow over two paths, in one emulated machine: netagg, MPTCP and each path alone. */
export async function netagg(runs: number): Promise<boolean> {
  const machines = await Lab.up({ names: ["edge"], lab: `bench-${process.pid}`, ephemeral: true });
  try {
    const lab = new AggregationLab(machines, "edge");
    await step("the module, built on the machine", () => lab.install());
    await lab.sh("topology 3");
    const figures: Figure[] = [];
    for (const wanted of [
      [1, 1],
      [3, 1],
      [127, 1],
      [200, 1],
      [5, 3, 2],
    ])
      figures.push(await weights(lab, runs, wanted));
    figures.push(await step("1 GB with a path cut in the middle", () => bulk(lab)));
    await lab.sh(`wire 2
      for ns in a b; do
        ip netns exec $ns sysctl -qw net.ipv4.tcp_no_metrics_save=1
        ip -n $ns mptcp limits set subflow 2 add_addr_accepted 2
      done
      ip -n b mptcp endpoint add 10.0.2.2 dev b2 signal`);
    const rows: Row[] = [];
    for (const one of cases) {
      const measured = await each(one.name, runs, () => measure(lab, one));
      const sums = measured.map(({ first, second, ours, mptcp }) => ({
        sum: first + second,
        best: Math.max(first, second),
        ours,
        mptcp,
      }));
      const ours = column(sums, "ours");
      if (one.least !== undefined)
        rows.push(row(one.name, ours, { name: "sum of both alone", value: column(sums, "sum") }, one.least));
      rows.push(row(one.name, ours, { name: "best path alone", value: column(sums, "best") }, 1));
      rows.push(row(one.name, ours, { name: "MPTCP", value: column(sums, "mptcp") }, 0.95));
    }
    rows.push(await adaptation(lab, runs));
    figures.push(await failover(lab, runs, 50), await failover(lab, runs, 100));
    return report("netagg", rows, figures);
  } finally {
    await machines.down();
  }
}
