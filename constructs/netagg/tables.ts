/** The first table that pairs take, and the first priority. */
export const FIRST_TABLE = 7481;

/** The last priority before the kernel's rule that leads to the table main, 32766. */
export const LAST_TABLE = 32_765;

/** As many as a pair has paths at most: a path more is no other tables for the pairs that follow. */
const BLOCK = 8;

/** Tables of a receiver that are one pair's, and priorities of rules. */
export interface Tables {
  readonly first: number;
  readonly count: number;
}

const last = ({ first, count }: Tables) => first + count - 1;

/** A range in words: `7481 to 7482`. */
export const tableRange = (tables: Tables): string => `${tables.first} to ${last(tables)}`;

const overlap = (a: Tables, b: Tables) => a.first <= last(b) && b.first <= last(a);

/** The first of those that a range overlaps. */
export function tablesTaken<T extends Tables>(wanted: Tables, taken: readonly T[]): T | undefined {
  return taken.find((other) => overlap(wanted, other));
}

/**
 * The first block of tables that none of the earlier pairs has anything of; undefined when there is none. Pairs that come
 * later in the program change nothing about it.
 */
export function freeTables(taken: readonly Tables[]): number | undefined {
  for (let first = FIRST_TABLE; first + BLOCK - 1 <= LAST_TABLE; first += BLOCK)
    if (tablesTaken({ first, count: BLOCK }, taken) === undefined) return first;
  return undefined;
}

/** The lowest table from which on a range overlaps none of those that are taken; undefined when there is none. */
export function nextTables({ first, count }: Tables, taken: readonly Tables[]): number | undefined {
  let from = first;
  for (;;) {
    const other = tablesTaken({ first: from, count }, taken);
    if (from + count - 1 > LAST_TABLE) return undefined;
    if (other === undefined) return from;
    from = last(other) + 1;
  }
}
