import { execa } from "execa";
import { buildBpfBench } from "../support/bpf-bench";
import { report, spread, timesFaster, type Figure, type Row, type Spread } from "../support/report";

interface Measurement {
  readonly target: "empty" | "push" | "pop" | "usual";
  readonly tunnels: number;
  readonly how: string;
  readonly ns: number;
}

/** Raw nanoseconds a packet that must not be exceeded, by how many tunnels the packets are spread over. */
const limits: readonly { tunnels: number; push: number; pop: number }[] = [
  { tunnels: 1, push: 45, pop: 40 },
  { tunnels: 1_000, push: 45, pop: 40 },
  { tunnels: 100_000, push: 110, pop: 110 },
  { tunnels: 1_000_000, push: 200, pop: 200 },
];

const samples = 15;

/**
 * What a packet costs in GeneveMux's XDP programs, on this machine's kernel, and in encapsulation as it is usually
 * written (a hash map of finished headers). Needs root, clang, a C compiler and libbpf's headers.
 */
export async function geneveMux(runs: number): Promise<boolean> {
  const { bench, harness } = await buildBpfBench("geneve-mux");

  const measured = new Map<string, number[]>();
  for (let run = 0; run < runs; run++) {
    const { stdout } = await execa(bench, [harness, String(samples), String(limits.at(-1)!.tunnels)]);
    for (const line of stdout.split("\n")) {
      const { target, tunnels, how, ns } = JSON.parse(line) as Measurement;
      const name = `${target} ${tunnels} ${how}`;
      measured.set(name, [...(measured.get(name) ?? []), ns]);
    }
  }
  const of = (target: Measurement["target"], tunnels: number, how: string): Spread =>
    spread(measured.get(`${target} ${tunnels} ${how}`) ?? []);

  const unit = "ns/packet";
  const rows: Row[] = limits.map(({ tunnels }) => {
    const other = { name: "a hash map of finished headers", value: of("usual", tunnels, "redirect") };
    const name = `encapsulate and redirect, ${count(tunnels)}`;
    return timesFaster(1, name, unit, of("push", tunnels, "redirect"), other);
  });
  const figures: Figure[] = limits.flatMap(({ tunnels, ...limit }) =>
    (["push", "pop"] as const).flatMap((target) =>
      (["pass", "redirect"] as const).map((how): Figure => {
        const { median, min, max } = of(target, tunnels, how);
        const verb = target === "push" ? "encapsulate" : "decapsulate";
        return {
          case: `${verb} and ${how}, ${count(tunnels)} (${min}-${max})`,
          unit,
          value: median,
          target: `<= ${limit[target]}`,
          ok: median <= limit[target],
        };
      }),
    ),
  );
  const held = report("geneve-mux", rows, figures);
  console.log("\nFor reading them, without a target:");
  for (const [name, values] of measured) {
    const [target, tunnels, how] = name.split(" ");
    if (target !== "empty" && how !== "atomic" && how !== "own-device") continue;
    const { median, min, max } = spread(values);
    console.log(
      `  ${target!.padEnd(6)} ${how!.padEnd(10)} ${count(Number(tunnels)).padEnd(18)} ${median} (${min}-${max})`,
    );
  }
  return held;
}

const count = (tunnels: number): string =>
  `${tunnels.toLocaleString("en")} tunnel${tunnels === 1 ? "" : "s"}`;
