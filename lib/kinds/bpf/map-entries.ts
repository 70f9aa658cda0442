import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { found } from "../found";
import { defineKind, inPlace, replace, type Finding, type Located } from "../kind";
import type { Facts, Query, Step } from "../step";
import { fieldCoding, typedCoding, type Coding, type Types } from "./coding";
import { decodeKey, decodeValue, encodeKey, encodeValue, fieldsSchema, hex, sizeOf } from "./fields";
import { mapPin, pinName, symbol, version } from "./names";
import { mapShapes, type Shape } from "./shapes";
import type { TypedValue } from "./typed";

const scalar = z.union([z.number(), z.string()]);

/** Numbers, texts, lists and objects of them: as deep as structs in one another go. */
const nested = (depth: number): z.ZodType<TypedValue, TypedValue> =>
  depth === 0
    ? scalar
    : z.union([scalar, z.array(nested(depth - 1)), z.record(z.string(), nested(depth - 1))], {
        error: "must be a number, a text, or an object or a list of them",
      });

const schema = z.strictObject({
  program: pinName.describe("Name of the Program that has the map."),
  map: symbol.describe("Name of the map in C."),
  version: version
    .optional()
    .describe("The Program's version: when it changes, the map is looked at again, which may be a new one."),
  key: fieldsSchema
    .optional()
    .describe(
      "What a key is made of, in order and without gaps. @default - what the program's own types say (BTF)",
    ),
  value: fieldsSchema
    .optional()
    .describe(
      "What a value is made of, in order and without gaps. @default - what the program's own types say (BTF)",
    ),
  entries: z
    .record(z.string(), nested(4), { error: "must be an object of values by key" })
    .refine((entries) => Object.keys(entries).length > 0, "holds no entry: leave the whole set out")
    .overwrite((entries) => Object.fromEntries(Object.entries(entries).sort(([a], [b]) => (a < b ? -1 : 1))))
    .describe(
      "Values by key. A key is its fields as text, one space between them; a value is a number or text where it has " +
        "one field, else an object of them. By the program's types, members that are left out are zero.",
    ),
  exclusive: z
    .boolean()
    .optional()
    .describe("Whether every other entry of the map is removed. @default false - other entries are left"),
  mapType: z.string().optional().describe("Reported, not set: the type of the map, such as `hash`."),
  types: z
    .strictObject({ key: z.custom<Shape>(), value: z.custom<Shape>() })
    .optional()
    .describe("Reported, not set: what the program's own types say of the map."),
});

type Spec = z.output<typeof schema>;
type Part = Located<typeof schema>;

const pinOf = ({ program = "", map = "" }: Part) => mapPin(program, map);
const mapQuery = (spec: Part): Query => ({ tool: "bpftool", args: ["map", "show", "pinned", pinOf(spec)] });
const dumpQuery = (spec: Part): Query => ({ tool: "bpftool", args: ["map", "dump", "pinned", pinOf(spec)] });

const typesQuery = (spec: Part): Query => ({
  tool: "bpftool",
  args: ["btf", "dump", "map", "pinned", pinOf(spec), "all"],
});
const isTyped = ({ key, value }: Part) => key === undefined || value === undefined;

/** bpftool says nothing of a map without BTF, and ends with ENOENT. */
const NO_TYPES = /^bpftool ended with status 254$/;

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

/** @throws Error when the map is one that no program fills, or its fields do not make up what it has */
function refuseUnfit(map: MapFact, spec: Spec): void {
  const wrong = (["key", "value"] as const).flatMap((what) => {
    const fields = spec[what];
    const theirs = what === "key" ? map.bytes_key : map.bytes_value;
    return fields === undefined || sizeOf(fields) === theirs
      ? []
      : [`${what} has fields of ${sizeOf(fields)} bytes together and is of ${theirs} bytes in the map`];
  });
  if (map.type.startsWith("percpu") || map.type.includes("_percpu"))
    wrong.push("the map has a value for each CPU, and counters are not set by a program");
  if (wrong.length > 0) throw new Error(`${ofMap(spec)}: ${wrong.join("; ")}`);
}

const ofMap = ({ map, program }: Part) => `entries of the map ${map} of ${program}`;

/** @throws Error for a map of which the object's BTF says nothing */
function typesIn(facts: Facts, spec: Part): Types | undefined {
  const fact = facts.get(typesQuery(spec));
  const isWithout = !fact.ok && NO_TYPES.test(fact.error);
  const dump = isWithout ? {} : found(facts, typesQuery(spec), ABSENT);
  if (dump === undefined) return undefined;
  const types = mapShapes(dump, spec.map ?? "");
  if (types !== undefined) return types;
  throw new Error(
    `${ofMap(spec)}: the program's types say nothing of it: define it with __type(key, …) and __type(value, …) and ` +
      "compile with -g, or give the fields of key and value",
  );
}

/** How the entries of a spec are bytes. */
function codingOf(spec: Part, types: Types | undefined, mapType = ""): Coding | undefined {
  const { key, value } = spec;
  if (key !== undefined && value !== undefined) return fieldCoding(key, value);
  return types && typedCoding(types, mapType);
}

function observeEntries(facts: Facts, specs: readonly [Part, ...Part[]]): Spec | undefined {
  const [first] = specs;
  const map = found(facts, mapQuery(first), ABSENT) as MapFact | undefined;
  const dump = found(facts, dumpQuery(first), ABSENT) as readonly Entry[] | undefined;
  if (map === undefined || dump === undefined) return undefined;
  const spec = first as Spec;
  refuseUnfit(map, spec);
  const types = isTyped(first) ? typesIn(facts, first) : undefined;
  const coding = codingOf(first, types, map.type);
  if (coding === undefined) return undefined;
  const named = namesOf(coding, specs);
  // An array has all of its entries at all times. What is zero counts for none, unless it is wanted beside others.
  const isArray = map.type === "array";
  const there: [string, TypedValue][] = [];
  const zeros: typeof there = [];
  for (const { key, value: words } of dump) {
    if (!Array.isArray(words)) continue;
    const known = named.get(bytesOf(key).join());
    if (known === undefined && spec.exclusive !== true) continue;
    const name = known ?? coding.nameOf(bytesOf(key));
    const bytes = bytesOf(words as readonly string[]);
    const wanted = spec.entries?.[name];
    const decoded = coding.valueOf(bytes, wanted);
    if (!isArray || !isZero(bytes)) there.push([name, decoded]);
    else if (isDeepStrictEqual(wanted, decoded)) zeros.push([name, decoded]);
  }
  if (there.length === 0) return undefined;
  there.push(...zeros);
  const entries = Object.fromEntries(there.sort(([a], [b]) => (a < b ? -1 : 1)));
  return { ...spec, entries, mapType: map.type, ...(types && { types }) };
}

/** The names of keys by their bytes, as they are wanted or were. */
function namesOf(coding: Coding, specs: readonly Part[]): Map<string, string> {
  const names = new Map<string, string>();
  for (const { entries = {} } of specs) {
    for (const name of Object.keys(entries)) {
      try {
        const bytes = coding.keyOf(name).join();
        if (!names.has(bytes)) names.set(bytes, name);
      } catch {
        // It is no key of this map: there can be no entry of it, and whoever wants to write it is told so.
      }
    }
  }
  return names;
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

function* entryFindings({ entries, key, value }: Spec): Iterable<Finding> {
  if (key === undefined || value === undefined) return;
  const check = (path: readonly string[], test: () => string | undefined): Finding[] => {
    try {
      const message = test();
      return message === undefined ? [] : [{ path, message }];
    } catch (error) {
      return [{ path, message: (error as Error).message }];
    }
  };
  for (const [name, one] of Object.entries(entries)) {
    yield* check(["entries", name], () => {
      const written = decodeKey(key, encodeKey(key, name));
      return written === name
        ? undefined
        : `is another spelling of the key: write ${JSON.stringify(written)}`;
    });
    yield* check(["entries", name], () => {
      const written = decodeValue(value, encodeValue(value, one));
      return isDeepStrictEqual(written, one)
        ? undefined
        : `is another spelling: write ${JSON.stringify(written)}`;
    });
  }
}

/** @throws Error that names the entry and its member, as the user wrote them */
function encoded<T>(spec: Spec, name: string, encode: () => T): T {
  try {
    return encode();
  } catch (error) {
    throw new Error(`${ofMap(spec)}: ${JSON.stringify(name)}: ${(error as Error).message}`, { cause: error });
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
    types: inPlace(),
  },
  ownership: "object",
  identity: ({ program, map }) => [program, map],
  // What the bytes mean is written nowhere on the host.
  locate: () => undefined,
  check(spec) {
    const findings: Finding[] = [];
    for (const property of ["mapType", "types"] as const)
      if (spec[property] !== undefined)
        findings.push({ path: [property], message: "is reported: it cannot be set" });
    if ((spec.key === undefined) !== (spec.value === undefined))
      findings.push({ path: ["key"], message: "goes with value: give the fields of both, or of neither" });
    for (const finding of entryFindings(spec)) if (findings.push(finding) === 20) break;
    return findings;
  },
  queries: (spec) => [mapQuery(spec), dumpQuery(spec), ...(isTyped(spec) ? [typesQuery(spec)] : [])],
  observe: observeEntries,
  plan(current, desired, { facts }) {
    const spec = desired ?? current;
    if (spec === undefined) return [];
    const types = current?.types ?? (isTyped(spec) && facts ? typesIn(facts, spec) : undefined);
    const coding = codingOf(spec, types, current?.mapType);
    if (coding === undefined)
      throw new Error(
        `bpf obj get (${pinOf(spec)}): No such file or directory: the types of its map are not known`,
      );
    const pin = pinOf(spec);
    const [now, wanted] = [current?.entries ?? {}, desired?.entries ?? {}];
    const steps: Step[] = [];
    for (const name of Object.keys(now))
      if (!(name in wanted)) {
        const key = coding.keyOf(name);
        const zero = new Array<number>(coding.valueSize).fill(0);
        // An array has no entry less: what was ours becomes zero, as it was at first.
        steps.push(current?.mapType === "array" ? updateStep(pin, key, zero) : deleteStep(pin, key));
      }
    for (const [name, one] of Object.entries(wanted))
      if (!isDeepStrictEqual(now[name], one))
        steps.push(encoded(spec, name, () => updateStep(pin, coding.keyOf(name), coding.bytesOf(one))));
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
