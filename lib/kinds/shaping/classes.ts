import { z } from "zod";
import { whole } from "../schemas";
import { classid, handle, majorOf, parseRate, parseSize, rate, sameBurst, shownRate, digits } from "./units";

const burst = whole(1, 1 << 30);

/** What a class of tc-htb(8) lets through. */
export const htbRates = {
  rate: rate.describe("What is held for the class, bit/s."),
  ceil: rate.describe("What the class gets at most, while its parent has some to lend, bit/s."),
  burst: burst.describe("Bytes that are sent at once at `rate`; at least the link's MTU."),
  cburst: burst.describe("Bytes that are sent at once at `ceil`; at least the link's MTU."),
  quantum: whole(1000, 200_000).describe(
    "Bytes in one turn when classes share what their parent lends. It matters for classes without children.",
  ),
};

/** One class of tc-htb(8). */
export const htbClass = z.strictObject({
  classid: classid.describe("Its id, hexadecimal: 1:1001."),
  parent: z.union([classid, handle], {
    error: "must be a class id such as 1:1, or the root's handle such as 1:",
  }),
  ...htbRates,
  prio: whole(0, 7).default(0).describe("Among classes that ask their parent, the lowest is served first."),
});

/** One class, canonical. */
export type HtbClassSpec = z.output<typeof htbClass>;

/** The rates of a class. */
export type HtbRates = Pick<HtbClassSpec, keyof typeof htbRates>;

/** A class as it is found. What matters only to a leaf is not shown of a class with children. */
export interface FoundClass extends Omit<HtbRates, "quantum"> {
  readonly classid: string;
  readonly parent: string;
  readonly quantum?: number;
  readonly prio?: number;
}

/** The rates of a class as tc takes them. */
export function rateWords({ rate: held, ceil, burst: atRate, cburst, quantum }: HtbRates): string[] {
  return [
    ...["rate", `${digits(held)}bit`, "ceil", `${digits(ceil)}bit`],
    ...["burst", `${digits(atRate)}b`, "cburst", `${digits(cburst)}b`, "quantum", digits(quantum)],
  ];
}

/**
 * What `tc -d -j class show dev …` prints. iproute2 before 6.3 prints HTB classes as text even then; from 6.3 on they
 * are JSON. Classes of other qdiscs are passed over.
 */
export function readClasses(printed: unknown): Map<string, FoundClass> {
  const found =
    typeof printed === "string"
      ? printed.split("\n").map(fromText)
      : (Array.isArray(printed) ? (printed as unknown[]) : []).map((row) => fromRow(row as ClassRow));
  return new Map(found.filter((one) => one !== undefined).map((one) => [one.classid, one]));
}

function fromText(line: string): FoundClass | undefined {
  const words = line.trim().split(/\s+/);
  const [kind, discipline, id = ""] = words;
  if (kind !== "class" || discipline !== "htb") return undefined;
  const after = (name: string) => {
    const at = words.indexOf(name, 3);
    return at < 0 ? undefined : words[at + 1];
  };
  const numeric = (name: string) => (after(name) === undefined ? undefined : Number(after(name)));
  const parent = after("parent") ?? `${majorOf(id).toString(16)}:`;
  return {
    classid: id,
    parent,
    rate: parseRate(after("rate") ?? "") ?? 0,
    ceil: parseRate(after("ceil") ?? "") ?? 0,
    burst: parseSize(after("burst") ?? "") ?? 0,
    cburst: parseSize(after("cburst") ?? "") ?? 0,
    ...(numeric("quantum") !== undefined && { quantum: numeric("quantum")! }),
    ...(numeric("prio") !== undefined && { prio: numeric("prio")! }),
  };
}

/** One row of the JSON form. */
interface ClassRow {
  readonly class?: string;
  readonly handle?: string;
  readonly parent?: string;
  readonly options?: ClassOptions;
}

interface ClassOptions {
  readonly prio?: number;
  readonly quantum?: number;
  /** Bytes a second. */
  readonly rate?: number;
  readonly ceil?: number;
  readonly burst?: number | string;
  readonly cburst?: number | string;
}

const size = (value: number | string | undefined) =>
  typeof value === "number" ? value : (parseSize(value ?? "") ?? 0);

function fromRow(row: ClassRow): FoundClass | undefined {
  if (row.class !== "htb" || row.handle === undefined) return undefined;
  const options: ClassOptions = { ...(row as ClassOptions), ...row.options };
  return {
    classid: row.handle,
    parent: row.parent ?? `${majorOf(row.handle).toString(16)}:`,
    rate: shownRate((options.rate ?? 0) * 8),
    ceil: shownRate((options.ceil ?? 0) * 8),
    burst: size(options.burst),
    cburst: size(options.cburst),
    ...(options.quantum !== undefined && { quantum: options.quantum }),
    ...(options.prio !== undefined && { prio: options.prio }),
  };
}

/** The rates that were found, with the numbers of what was asked for wherever they are the same to the kernel. */
export function ratesAsWanted(found: FoundClass, wanted: HtbRates | undefined): HtbRates {
  const near = (is: number, was: number | undefined, bits: number) =>
    was !== undefined && sameBurst(is, was, bits) ? was : is;
  return {
    rate: found.rate,
    ceil: found.ceil,
    burst: near(found.burst, wanted?.burst, found.rate),
    cburst: near(found.cburst, wanted?.cburst, found.ceil),
    quantum: found.quantum ?? wanted?.quantum ?? 0,
  };
}
