import { execa } from "execa";
import { buildBpfBench } from "../support/bpf-bench";
import { report, spread, timesFaster, type Figure, type Row, type Spread } from "../support/report";

type Family = 4 | 6;

interface Measurement {
  readonly target: "empty" | "download" | "trie" | "table";
  readonly family: Family;
  readonly subscribers: number;
  readonly case: "host" | "prefix" | "nobody";
  readonly ns: number;
}

/** Raw nanoseconds a packet that must not be exceeded, by how many subscribers the packets are spread over. */
const limits: readonly { subscribers: number; most?: number }[] = [
  { subscribers: 1, most: 60 },
  { subscribers: 1_000, most: 60 },
  { subscribers: 10_000 },
  { subscribers: 100_000, most: 150 },
];
const families: readonly Family[] = [4, 6];
const samples = 15;

/**
 * What a packet costs in the shaper's classifier, on this machine's kernel, and in a trie that has every subscriber.
 * Needs root, clang, a C compiler and libbpf's headers.
 */
export async function shaper(runs: number): Promise<boolean> {
  const { bench, harness } = await buildBpfBench("shaper");

  const measured = new Map<string, number[]>();
  for (let run = 0; run < runs; run++) {
    const { stdout } = await execa(bench, [harness, String(samples)]);
    for (const line of stdout.split("\n")) {
      const { target, family, subscribers, case: what, ns } = JSON.parse(line) as Measurement;
      const name = `${target} ${family} ${subscribers} ${what}`;
      measured.set(name, [...(measured.get(name) ?? []), ns]);
    }
  }
  const of = (target: Measurement["target"], family: Family, subscribers: number): Spread =>
    spread(measured.get(`${target} ${family} ${subscribers} host`) ?? []);

  const unit = "ns/packet";
  // One subscriber alone is found sooner in a trie of one: there is nothing to walk.
  const rows: Row[] = families.flatMap((family) =>
    limits
      .filter(({ subscribers }) => subscribers > 1)
      .map(({ subscribers }) => {
        const trie = { name: "a trie of them all", value: of("trie", family, subscribers) };
        const name = `IPv${family}, ${count(subscribers)}`;
        return timesFaster(1, name, unit, of("download", family, subscribers), trie);
      }),
  );
  const figures: Figure[] = families.flatMap((family) =>
    limits.flatMap(({ subscribers, most }): Figure[] => {
      if (most === undefined) return [];
      const { median, min, max } = of("download", family, subscribers);
      const name = `IPv${family}, ${count(subscribers)} (${min}-${max})`;
      return [{ case: name, unit, value: median, target: `<= ${most}`, ok: median <= most }];
    }),
  );
  const held = report("shaper", rows, figures);
  console.log("\nFor reading them, without a target:");
  for (const [name, values] of measured) {
    const [target, family, subscribers, what] = name.split(" ");
    if (target !== "empty" && target !== "table" && what === "host" && subscribers !== "1") continue;
    const { median, min, max } = spread(values);
    console.log(
      `  ${target!.padEnd(8)} ${what!.padEnd(6)} IPv${family} ${count(Number(subscribers)).padEnd(20)} ${median} (${min}-${max})`,
    );
  }
  return held;
}

const count = (subscribers: number): string =>
  `${subscribers.toLocaleString("en")} subscriber${subscribers === 1 ? "" : "s"}`;
