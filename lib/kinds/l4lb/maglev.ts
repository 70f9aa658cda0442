import { createHash } from "node:crypto";

/** One of those that share a lookup table. */
export interface MaglevMember {
  /** What it is known by: its turns follow from the name alone, so the order in which members are written does not matter. */
  readonly name: string;
  /** Its share, in proportion to the others': a whole number, 1 or more. */
  readonly weight: number;
}

/**
 * Maglev's lookup table (Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016,
 * section 3.4): every member has a permutation of the table of its own and takes, in turns, the next place of it that
 * is free. Equal members differ by one place at most, and when a member comes or goes few places change hands that are
 * not its own.
 *
 * With weights, a member takes a turn as often as its weight is to the largest one.
 *
 * @param members no two of one name
 * @param size a prime number, so that every step through the table is a permutation of it; 100 times the members or more
 * @returns for each place the index of a member, as they were given
 */
export function maglevTable(members: readonly MaglevMember[], size: number): number[] {
  const order = members
    .map(({ name, weight }, index) => ({ index, name, weight, ...stepsOf(name, size), next: 0, credit: 0 }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const most = Math.max(...members.map(({ weight }) => weight));
  const table = new Array<number>(size).fill(-1);
  let filled = order.length === 0 ? size : 0;
  while (filled < size) {
    for (const member of order) {
      member.credit += member.weight;
      if (member.credit < most) continue;
      member.credit -= most;
      let place = placeOf(member, size);
      while (table[place] !== -1) place = placeOf(member, size);
      table[place] = member.index;
      filled += 1;
      if (filled === size) break;
    }
  }
  return table;
}

interface Steps {
  readonly offset: number;
  readonly skip: number;
}

/** Where a member's permutation begins, and how far it is from one place of it to the next. */
function stepsOf(name: string, size: number): Steps {
  const digest = createHash("sha256").update(name).digest();
  return {
    offset: Number(digest.readBigUInt64BE(0) % BigInt(size)),
    skip: Number(digest.readBigUInt64BE(8) % BigInt(size - 1)) + 1,
  };
}

function placeOf(member: Steps & { next: number }, size: number): number {
  const place = (member.offset + member.next * member.skip) % size;
  member.next += 1;
  return place;
}
