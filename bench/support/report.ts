import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { dirname, join } from "node:path";

/** One comparison, both sides measured in the same run. */
export interface Row {
  readonly case: string;
  readonly unit: string;
  /** Our median over the runs, with the smallest and largest. */
  readonly ours: Spread;
  readonly against: { readonly name: string; readonly value: Spread };
  /** `ours / against` (or the reverse where `faster` says how many times faster ours is). */
  readonly ratio: number;
  /** What the ratio must hold, such as `<= 2.5` or `>= 20`. */
  readonly target: string;
  readonly ok: boolean;
}

/** Several measurements of one thing. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** A limit that is a plain figure, not a comparison: memory, number of connections. */
export interface Figure {
  readonly case: string;
  readonly unit: string;
  readonly value: number;
  readonly target: string;
  readonly ok: boolean;
}

/** The median, smallest and largest of some measurements. */
export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (index: number) => sorted[index] ?? Number.NaN;
  const middle = Math.floor(sorted.length / 2);
  const median = sorted.length % 2 === 1 ? at(middle) : (at(middle - 1) + at(middle)) / 2;
  return { median, min: at(0), max: at(sorted.length - 1) };
}

/** Ours at most `limit` times the other side. */
export function atMost(
  limit: number,
  name: string,
  unit: string,
  ours: Spread,
  other: { name: string; value: Spread },
): Row {
  const ratio = ours.median / other.value.median;
  return { case: name, unit, ours, against: other, ratio, target: `<= ${limit}`, ok: ratio <= limit };
}

/** Ours at least `times` times faster than the other side. */
export function timesFaster(
  times: number,
  name: string,
  unit: string,
  ours: Spread,
  other: { name: string; value: Spread },
): Row {
  const ratio = other.value.median / ours.median;
  return { case: name, unit, ours, against: other, ratio, target: `>= ${times}`, ok: ratio >= times };
}

/** Prints the table and writes `bench/results/NAME.json`. Returns whether every target held. */
export function report(name: string, rows: readonly Row[], figures: readonly Figure[]): boolean {
  const machine = `${cpus().length} x ${cpus()[0]?.model ?? "?"}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}`;
  const show = ({ median, min, max }: Spread) => `${number(median)} (${number(min)}-${number(max)})`;
  const lines = [
    ["case", "ours", "against", "", "ratio", "target", ""],
    ...rows.map((r) => [
      `${r.case} [${r.unit}]`,
      show(r.ours),
      r.against.name,
      show(r.against.value),
      number(r.ratio),
      r.target,
      r.ok ? "ok" : "MISSED",
    ]),
    ...figures.map((f) => [
      `${f.case} [${f.unit}]`,
      number(f.value),
      "",
      "",
      "",
      f.target,
      f.ok ? "ok" : "MISSED",
    ]),
  ];
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  console.log(`\n${name} on ${machine}; median (smallest-largest)\n`);
  for (const line of lines)
    console.log(
      line
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join("  ")
        .trimEnd(),
    );

  const file = join("bench", "results", `${name}.json`);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, JSON.stringify({ name, machine, rows: rows.map(asJson), figures }, null, 2) + "\n");
  console.log(`\nwritten to ${file}`);
  return [...rows, ...figures].every((entry) => entry.ok);
}

/** A row as `bench/results` keeps it: medians as the values, the spread beside them. */
function asJson({ ours, against, ...rest }: Row) {
  return {
    ...rest,
    ours: ours.median,
    against: { name: against.name, value: against.value.median },
    spread: { ours, against: against.value },
  };
}

function number(value: number): string {
  return Math.abs(value) >= 100
    ? value.toFixed(0)
    : Math.abs(value) >= 10
      ? value.toFixed(1)
      : value.toFixed(2);
}
