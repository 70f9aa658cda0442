import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { found } from "../found";
import { defineKind, inPlace, replace, type Finding, type Located } from "../kind";
import type { Facts, Query, Step } from "../step";
import { decodeKey, decodeValue, encodeKey, encodeValue, fieldsSchema, hex, sizeOf } from "./fields";
import { mapPin, pinName, symbol, version } from "./names";

const scalar = z.union([z.number(), z.string()]);
const value = z.union([scalar, z.record(z.string(), scalar)], {
  error: "must be a number, a text, or an object of them by field",
});

const schema = z.strictObject({
  program: pinName.describe("Name of the Program that has the map."),
  map: symbol.describe("Name of the map in C."),
  version: version
    .optional()
    .describe("The Program's version: when it changes, the map is looked at again, which may be a new one."),
  key: fieldsSchema.describe("What a key is made of, in order and without gaps."),
  value: fieldsSchema.describe("What a value is made of, in order and without gaps."),
  entries: z
    .record(z.string(), value, { error: "must be an object of values by key" })
    .refine((entries) => Object.keys(entries).length > 0, "holds no entry: leave the whole set out")
    .overwrite((entries) => Object.fromEntries(Object.entries(entries).sort(([a], [b]) => (a < b ? -1 : 1))))
    .describe(
      "Values by key. A key is its fields as text, one space between them; a value is a number or text where it has " +
        "one field, else an object of them.",
    ),
  exclusive: z
    .boolean()
    .optional()
    .describe("Whether every other entry of the map is removed. @default false - other entries are left"),
  mapType: z.string().optional().describe("Reported, not set: the type of the map, such as `hash`."),
});

type Spec = z.output<typeof schema>;
type Part = Located<typeof schema>;
type Entries = Spec["entries"];

const pinOf = ({ program = "", map = "" }: Part) => mapPin(program, map);
const mapQuery = (spec: Part): Query => ({ tool: "bpftool", args: ["map", "show", "pinned", pinOf(spec)] });
const dumpQuery = (spec: Part): Query => ({ tool: "bpftool", args: ["map", "dump", "pinned", pinOf(spec)] });

const ABSENT = /bpf obj get .*No such file or directory/;

interface MapFact {
  readonly type: string;
  readonly bytes_key: number;
  readonly bytes_value: number;
}
interface Entry {
  readonly key: readonly string[];
  readonly value?: readonly string[];
}

const bytesOf = (words: readonly string[]) => words.map((word) => parseInt(word, 16));
const isZero = (bytes: readonly number[]) => bytes.every((byte) => byte === 0);

/** @throws Error when the fields do not make up what the map has */
function refuseUnfit(map: MapFact, spec: Spec): void {
  const wrong = (["key", "value"] as const).flatMap((what) => {
    const [ours, theirs] = [sizeOf(spec[what]), what === "key" ? map.bytes_key : map.bytes_value];
    return ours === theirs
      ? []
      : [`${what} has fields of ${ours} bytes together and is of ${theirs} bytes in the map`];
  });
  if (map.type.startsWith("percpu") || map.type.includes("_percpu"))
    wrong.push("the map has a value for each CPU, and counters are not set by a program");
  if (wrong.length > 0)
    throw new Error(`entries of the map ${spec.map} of ${spec.program}: ${wrong.join("; ")}`);
}

function observeEntries(facts: Facts, specs: readonly [Part, ...Part[]]): Spec | undefined {
  const [first] = specs;
  const map = found(facts, mapQuery(first), ABSENT) as MapFact | undefined;
  const dump = found(facts, dumpQuery(first), ABSENT) as readonly Entry[] | undefined;
  if (map === undefined || dump === undefined || first.key === undefined || first.value === undefined)
    return undefined;
  const spec = first as Spec;
  refuseUnfit(map, spec);
  const named = new Set(specs.flatMap(({ entries = {} }) => Object.keys(entries)));
  // An array has all of its entries at all times. What is zero counts for none, unless it is wanted beside others.
  const isArray = map.type === "array";
  const there: [string, Entries[string]][] = [];
  const zeros: typeof there = [];
  for (const { key, value: words } of dump) {
    if (!Array.isArray(words)) continue;
    const name = decodeKey(spec.key, bytesOf(key));
    const bytes = bytesOf(words as readonly string[]);
    if (!named.has(name) && spec.exclusive !== true) continue;
    const decoded = decodeValue(spec.value, bytes);
    if (!isArray || !isZero(bytes)) there.push([name, decoded]);
    else if (isDeepStrictEqual(spec.entries?.[name], decoded)) zeros.push([name, decoded]);
  }
  if (there.length === 0) return undefined;
  there.push(...zeros);
  const entries = Object.fromEntries(there.sort(([a], [b]) => (a < b ? -1 : 1)));
  return { ...spec, entries, mapType: map.type };
}

const words = (bytes: readonly number[]) => bytes.map(hex);

/** One line of a batch that writes an entry. */
export function updateStep(pin: string, key: readonly number[], bytes: readonly number[]): Step {
  return {
    tool: "bpftool",
    args: ["map", "update", "pinned", pin, "key", "hex", ...words(key), "value", "hex", ...words(bytes)],
  };
}

/** One line of a batch that removes an entry. */
export function deleteStep(pin: string, key: readonly number[]): Step {
  return { tool: "bpftool", args: ["map", "delete", "pinned", pin, "key", "hex", ...words(key)] };
}

function* entryFindings(spec: Spec): Iterable<Finding> {
  const check = (path: readonly string[], test: () => string | undefined): Finding[] => {
    try {
      const message = test();
      return message === undefined ? [] : [{ path, message }];
    } catch (error) {
      return [{ path, message: (error as Error).message }];
    }
  };
  for (const [name, one] of Object.entries(spec.entries)) {
    yield* check(["entries", name], () => {
      const written = decodeKey(spec.key, encodeKey(spec.key, name));
      return written === name
        ? undefined
        : `is another spelling of the key: write ${JSON.stringify(written)}`;
    });
    yield* check(["entries", name], () => {
      const written = decodeValue(spec.value, encodeValue(spec.value, one));
      return isDeepStrictEqual(written, one)
        ? undefined
        : `is another spelling: write ${JSON.stringify(written)}`;
    });
  }
}

/** Entries of one map. */
export const mapEntries = defineKind({
  token: "netloom:bpf:MapEntries",
  description:
    "Entries of a pinned eBPF map, typed by their fields (bpftool-map(8)). What changes is written, and no more.",
  schema,
  policy: {
    program: replace("the entries of another map are other entries"),
    map: replace("the entries of another map are other entries"),
    version: inPlace(),
    key: replace("entries with other keys are other entries"),
    value: inPlace(),
    entries: inPlace(),
    exclusive: inPlace(),
    mapType: inPlace(),
  },
  ownership: "object",
  identity: ({ program, map }) => [program, map],
  // What the bytes mean is written nowhere on the host.
  locate: () => undefined,
  check(spec) {
    const findings: Finding[] = [];
    if (spec.mapType !== undefined)
      findings.push({ path: ["mapType"], message: "is reported: it cannot be set" });
    for (const finding of entryFindings(spec)) if (findings.push(finding) === 20) break;
    return findings;
  },
  queries: (spec) => [mapQuery(spec), dumpQuery(spec)],
  observe: observeEntries,
  plan(current, desired) {
    const spec = desired ?? current;
    if (spec === undefined) return [];
    const pin = pinOf(spec);
    const [now, wanted] = [current?.entries ?? {}, desired?.entries ?? {}];
    const steps: Step[] = [];
    for (const name of Object.keys(now))
      if (!(name in wanted)) {
        const key = encodeKey(spec.key, name);
        const zero = new Array<number>(sizeOf(spec.value)).fill(0);
        // An array has no entry less: what was ours becomes zero, as it was at first.
        steps.push(current?.mapType === "array" ? updateStep(pin, key, zero) : deleteStep(pin, key));
      }
    for (const [name, one] of Object.entries(wanted))
      if (!isDeepStrictEqual(now[name], one))
        steps.push(updateStep(pin, encodeKey(spec.key, name), encodeValue(spec.value, one)));
    return steps;
  },
  explain(error, { program, map }) {
    if (/bpf obj get .*No such file/.test(error))
      return `${error}. There is no map ${map} pinned by the program ${program}: it must be loaded first, and have a map of this name.`;
    if (/is not there after the steps/.test(error))
      return `${error}. If ${map} is an array, declare at least one entry that is not zero: zero is what it starts with.`;
    if (/Argument list too long|E2BIG|No space left/.test(error))
      return `${error}. The map ${map} of ${program} is full: give it more max_entries.`;
    return undefined;
  },
});
