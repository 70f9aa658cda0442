import { z } from "zod";
import { found } from "../found";
import type { Counters, CounterRow } from "../kind";
import { recordError } from "../records";
import { quoted, text, whole } from "../schemas";
import type { Facts, Query } from "../step";
import { decodeKey, decodeValue, fieldsSchema, sizeOf, type Field } from "./fields";
import { mapPin, symbol } from "./names";

/**
 * What a program counts in its maps, and what each count is of. A program says so itself; nothing else knows any
 * program's maps.
 */

const names = z.record(z.string(), z.string().max(200), {
  error: recordError("must be an object of names by value"),
});

/** Schema of one table of counters. */
const tableSchema = z.strictObject({
  map: symbol.describe("Name of the map in C. With a value for each CPU, those of all CPUs are added up."),
  key: fieldsSchema.describe("What a key is made of: each field is a column of the table."),
  value: fieldsSchema.describe(
    "What a value is made of. Every field is a counter; bytes that are none are `pad:N`, and need not be zero.",
  ),
  names: z
    .record(symbol, names, { error: recordError("must be an object by field of the key") })
    .optional()
    .describe('By field of the key, the name of each of its values: `{ reason: { "0": "sent" } }`.'),
  stride: whole(1, 0xffff_ffff)
    .optional()
    .describe(
      "Entries of an array that are this far apart are of one thing, and added up: a program's own copies for each CPU.",
    ),
});

/** Schema of the tables of a program, by what they are called: letters, digits and `-`. */
export const statisticsSchema = z
  .record(
    text((name) =>
      /^[a-z][a-z0-9-]{0,31}$/.test(name) ? undefined : `${quoted(name)} is not a word in small letters`,
    ),
    tableSchema,
    { error: recordError("must be an object of tables of counters by name") },
  )
  .refine((tables) => Object.keys(tables).length > 0, "names no table: leave it out");

/** One table of counters. */
export type StatisticsTable = z.output<typeof tableSchema>;

const dumpQuery = (program: string, { map }: StatisticsTable): Query => ({
  tool: "bpftool",
  args: ["map", "dump", "pinned", mapPin(program, map)],
});

interface Entry {
  readonly key: readonly string[];
  readonly value?: readonly string[];
  /** Of a map with a value for each CPU. */
  readonly values?: readonly { readonly value: readonly string[] }[];
}

/** The tables of a program, to be asked for and read. */
export function countersOf(
  program: string,
  statistics: Readonly<Record<string, StatisticsTable>> = {},
): Counters[] {
  return Object.entries(statistics).map(([name, table]) => ({
    name,
    queries: [dumpQuery(program, table)],
    read: (facts) => readTable(facts, program, table),
  }));
}

/** The rows that have a name, and of the others those that counted something. */
function readTable(facts: Facts, program: string, table: StatisticsTable): CounterRow[] {
  const dump = found(facts, dumpQuery(program, table)) as readonly Entry[];
  const rows = new Map<string, { of: Record<string, string>; counts: bigint[] }>();
  const counted = table.value.filter(({ type }) => !type.startsWith("pad:"));
  for (const { key, value, values = [] } of dump) {
    const of = keyOf(table, bytesOf(key, sizeOf(table.key), `key of the map ${table.map} of ${program}`));
    const counts = [...(Array.isArray(value) ? [value] : []), ...values.map((one) => one.value)].map(
      (words: readonly string[]) =>
        countsOf(
          table.value,
          bytesOf(words, sizeOf(table.value), `value of the map ${table.map} of ${program}`),
        ),
    );
    const id = JSON.stringify(of.columns);
    const before = rows.get(id)?.counts ?? counted.map(() => 0n);
    const sum = before.map((count, index) =>
      counts.reduce((total, one) => total + (one[index] ?? 0n), count),
    );
    if (of.isNamed || sum.some((count) => count !== 0n)) rows.set(id, { of: of.columns, counts: sum });
  }
  return [...rows.values()].map(({ of, counts }) => ({
    of,
    counters: Object.fromEntries(
      counted.map(({ name }, index) => [name, asNumber(counts[index] ?? 0n)] as const),
    ),
  }));
}

function keyOf({ key, names: known, stride }: StatisticsTable, bytes: readonly number[]) {
  const fields = key.filter(({ type }) => !type.startsWith("pad:"));
  const parts = decodeKey(key, bytes).split(" ");
  let isNamed = true;
  const columns = Object.fromEntries(
    fields.map(({ name }, index) => {
      const said = parts[index] ?? "";
      const value = stride === undefined ? said : String(Number(said) % stride);
      const title = known?.[name]?.[value];
      if (title === undefined) isNamed = false;
      return [name, title ?? value] as const;
    }),
  );
  return { columns, isNamed };
}

const countsOf = (fields: readonly Field[], bytes: readonly number[]) => {
  const decoded = decodeValue(fields, bytes);
  return (typeof decoded === "object" ? Object.values(decoded) : [decoded]).map(BigInt);
};

/** @throws Error when a table says another size than the map has: the program and what is loaded do not fit */
function bytesOf(words: readonly string[], size: number, what: string): number[] {
  if (words.length !== size)
    throw new Error(`the ${what} has ${words.length} bytes, and its fields in \`statistics\` ${size}`);
  return words.map((word) => parseInt(word, 16));
}

const asNumber = (count: bigint) =>
  count <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(count) : count.toString();

/** What is wrong with tables that the schema of one property cannot see. */
export function statisticsFindings(statistics: Readonly<Record<string, StatisticsTable>> = {}) {
  return Object.entries(statistics).flatMap(([title, table]) => [
    ...(table.stride === undefined || table.key.length === 1
      ? []
      : [
          {
            path: ["statistics", title, "stride"],
            message: "is for a key of one field: the index of an array",
          },
        ]),
    ...table.value
      .filter(({ type }) => !/^(u|s|be)\d+$|^pad:/.test(type))
      .map(({ name, type }) => ({
        path: ["statistics", title, "value"],
        message: `${name} is ${type}, and a counter is a whole number`,
      })),
    ...Object.keys(table.names ?? {})
      .filter((field) => !table.key.some(({ name }) => name === field))
      .map((field) => ({
        path: ["statistics", title, "names", field],
        message: `is no field of the key: there are ${table.key.map(({ name }) => name).join(", ")}`,
      })),
  ]);
}
