import type { StatisticsTable } from "../../lib/kinds/bpf/statistics";
import { fieldsOf, type BpfFields } from "./fields";

/** What one of a program's maps counts. */
export interface BpfStatistics {
  /**
   * The map's name in C. With a value for each CPU, those of all CPUs are added up.
   * @default - what the table is called, with `_` for `-`
   */
  readonly map?: string;
  /** What a key is made of; each field is a column. One type alone is the column `key`. */
  readonly key: BpfFields;
  /**
   * What a value is made of: each field is a counter. Bytes that are none are `pad:N`, and need not be zero. One type
   * alone is the counter `packets`.
   */
  readonly value: BpfFields;
  /**
   * By field of the key, what its values are called: a list by number, or an object by value. Rows of which every
   * field has a name are always there; others once they counted something.
   * @default - the values as they are
   */
  readonly names?: Readonly<Record<string, readonly string[] | Readonly<Record<string, string>>>>;
  /**
   * Entries of an array that are this far apart are of one thing, and added up: a program's own copies for each CPU.
   * @default - every entry is of a thing of its own
   */
  readonly stride?: number;
}

/** Tables of counters as the kind takes them. */
export function statisticsOf(
  tables: Readonly<Record<string, BpfStatistics>>,
): Record<string, StatisticsTable> {
  return Object.fromEntries(
    Object.entries(tables).map(([name, { map = name.replaceAll("-", "_"), key, value, names, stride }]) => [
      name,
      {
        map,
        key: fieldsOf("key", key),
        value: fieldsOf("packets", value),
        ...(names && { names: mapValues(names, byValue) }),
        ...(stride !== undefined && { stride }),
      },
    ]),
  );
}

const byValue = (names: readonly string[] | Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(names));

const mapValues = <In, Out>(record: Readonly<Record<string, In>>, of: (value: In) => Out) =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, of(value)]));
