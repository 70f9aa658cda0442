import { Lab } from "../../lib/lab";
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
  if (process.env["NETAGG_BENCH_RULES"])
    console.log(JSON.stringify([await lab.rules("a"), await lab.rules("b")]));
  await lab.flush();
  const mptcp = await run({ mptcp: true });
  return { first, second, ours, mptcp };
}

const column = <K extends string>(runs: readonly Readonly<Record<K, number>>[], key: K): Spread =>
  spread(runs.map((run) => run[key]));

function row(name: string, ours: Spread, against: Row["against"], least: number): Row {
  const ratio = ours.median / against.value.median;
  return { case: name, unit: "Mbit/s", ours, against, ratio, target: `>= ${least}`, ok: ratio >= least };
}

/** The pause in a connection one of whose two paths is cut. */
async function failover(lab: AggregationLab, runs: number): Promise<Figure> {
  const gaps: number[] = [];
  for (let nth = 0; nth < runs; nth++) {
    const shape: Shape = { kbit: 5000, delayMs: 5 };
    for (const path of [1, 2]) await lab.shape(path, shape);
    const port = await lab.aggregate([1, 1]);
    await lab.alive(true, true);
    const meanwhile = () => lab.sh("sleep 2; cut 2").then(() => undefined);
    const received: Received = await lab.transfer({ amount: { ms: 4000 }, port, meanwhile });
    if (!received.intact || received.error) throw new Error(`failover: ${JSON.stringify(received)}`);
    gaps.push(received.gapMs);
    await lab.flush();
  }
  const { median, min, max } = spread(gaps);
  return {
    case: `pause when a path is cut, ${min.toFixed(0)}-${max.toFixed(0)}`,
    unit: "ms",
    value: median,
    target: "< 200",
    ok: median < 200,
  };
}

/** One TCP flow over two paths, in one emulated machine: netagg, MPTCP and each path alone. */
export async function netagg(runs: number): Promise<boolean> {
  const machines = await Lab.up({ names: ["edge"], lab: `bench-${process.pid}`, ephemeral: true });
  try {
    const lab = new AggregationLab(machines, "edge");
    await lab.install();
    await lab.sh(`topology 2; wire 2
      for ns in a b; do
        ip netns exec $ns sysctl -qw net.ipv4.tcp_no_metrics_save=1
        ip -n $ns mptcp limits set subflow 2 add_addr_accepted 2
      done
      ip -n b mptcp endpoint add 10.0.2.2 dev b2 signal`);
    const rows: Row[] = [];
    for (const one of cases) {
      const measured = [];
      for (let nth = 0; nth < runs; nth++) measured.push(await measure(lab, one));
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
    return report("netagg", rows, [await failover(lab, runs)]);
  } finally {
    await machines.down();
  }
}
