import { execa } from "execa";
import { buildBpfBench } from "../support/bpf-bench";
import { report, spread, timesFaster, type Figure, type Row, type Spread } from "../support/report";

interface Measurement {
  readonly target: "empty" | "lb" | "usual";
  readonly flows: number;
  readonly case: string;
  readonly ns: number;
}

/** Raw nanoseconds a packet that must not be exceeded, by how many known flows the packets are spread over. */
const limits: readonly { flows: number; most?: number }[] = [
  { flows: 1, most: 80 },
  { flows: 256, most: 80 },
  { flows: 10_000 },
  { flows: 100_000 },
  { flows: 1_000_000, most: 220 },
];

/** A packet that begins a flow, by Maglev. */
const newFlow = 200;

const samples = 9;

/**
 * What a packet costs in the load balancer's XDP program, on this machine's kernel, and in one as it is usually written
 * (hash maps of services and of flows, least recently used ones going). Needs root, clang, a C compiler and libbpf's
 * headers.
 */
export async function l4lb(runs: number): Promise<boolean> {
  const { bench, harness } = await buildBpfBench("l4lb");

  const measured = new Map<string, number[]>();
  for (let run = 0; run < runs; run++) {
    const { stdout } = await execa(bench, [harness, String(samples), String(limits.at(-1)!.flows)]);
    for (const line of stdout.split("\n")) {
      const { target, flows, case: what, ns } = JSON.parse(line) as Measurement;
      const name = [target, flows, what].join("|");
      measured.set(name, [...(measured.get(name) ?? []), ns]);
    }
  }
  const of = (target: Measurement["target"], flows: number, what: string): Spread =>
    spread(measured.get([target, flows, what].join("|")) ?? []);

  const unit = "ns/packet";
  const usual = (flows: number, what: string) => ({
    name: "hash map of services, LRU hash map of flows",
    value: of("usual", flows, what),
  });
  const rows: Row[] = [
    ...limits.map(({ flows }) =>
      timesFaster(1, `TCP, ${count(flows)}`, unit, of("lb", flows, "tcp"), usual(flows, "tcp")),
    ),
  ];
  const figure = (name: string, { median, min, max }: Spread, most: number): Figure => ({
    case: `${name} (${min}-${max})`,
    unit,
    value: median,
    target: `<= ${most}`,
    ok: median <= most,
  });
  const figures: Figure[] = [
    ...limits.flatMap(({ flows, most }) =>
      most === undefined
        ? []
        : ["tcp", "udp"].map((what) =>
            figure(`${what.toUpperCase()}, ${count(flows)}`, of("lb", flows, what), most),
          ),
    ),
    figure("a new flow, Maglev", of("lb", 0, "new"), newFlow),
  ];
  const held = report("l4lb", rows, figures);
  console.log("\nFor reading them, without a target:");
  for (const [name, values] of measured) {
    const [target, flows, what] = name.split("|") as [string, string, string];
    const { median, min, max } = spread(values);
    const load = flows === "0" ? what : `${what}, ${count(Number(flows))}`;
    console.log(`  ${target.padEnd(6)} ${load.padEnd(28)} ${median} (${min}-${max})`);
  }
  return held;
}

const count = (flows: number): string => `${flows.toLocaleString("en")} flow${flows === 1 ? "" : "s"}`;
