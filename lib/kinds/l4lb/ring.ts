import { createHash } from "node:crypto";
import { hex } from "../bpf/fields";
import { maglevTable, type MaglevMember } from "./maglev";
import type { Service } from "./schema";

/** Entries of one line of `lb_ring`, and what stands for nobody in it (bpf/l4lb/lb.h). */
export const RING_LINE = 32;
const NOBODY = 0xffff;

/** `enum lb_policy`, by what the program calls it. */
export const POLICY_NUMBERS: Readonly<Record<Service["policy"], number>> = {
  "round-robin": 1,
  weighted: 1,
  maglev: 2,
  "least-flows": 3,
  "least-bytes": 4,
  "least-load": 5,
  legacy: 6,
};

/** Lengths of Maglev tables, prime numbers: few, so that a backend more seldom means another length. */
const LENGTHS = [1009, 4099, 16_411, 65_537];

/** Places that the least of the backends has at least: its share is then right within 1 percent. */
const LEAST_PLACES = 100;

/** A backend of a ring. */
export interface RingMember extends MaglevMember {
  /** Its index in `lb_backends`. */
  readonly index: number;
  /** Whether it takes new flows. */
  readonly isUp: boolean;
}

/** The entries of a service's ring: indices of backends. */
export function ringOf(policy: Service["policy"], members: readonly RingMember[]): number[] {
  const byName = [...members].sort((a, b) => (a.name < b.name ? -1 : 1));
  switch (policy) {
    case "maglev":
    case "least-load": {
      const table = maglevTable(byName, lengthFor(byName));
      return table.map((member) => byName[member]?.index ?? NOBODY);
    }
    case "round-robin":
    case "weighted": {
      const up = byName.filter(({ isUp }) => isUp);
      return turns(policy === "weighted" ? up : up.map((member) => ({ ...member, weight: 1 })));
    }
    case "least-flows":
    case "least-bytes":
    case "legacy":
      return byName.map(({ index }) => index);
  }
}

function lengthFor(members: readonly MaglevMember[]): number {
  const weights = members.map(({ weight }) => weight);
  const wanted = (LEAST_PLACES * weights.reduce((sum, weight) => sum + weight, 0)) / Math.min(...weights);
  return LENGTHS.find((length) => length >= wanted) ?? LENGTHS.at(-1) ?? 0;
}

/** Entries of a ring of turns, more or less. */
const TURNS = 512;

/**
 * Turns by smooth weighted round robin, several times over with the backends in another order each time: when one of
 * them is passed over, its turns go to the one behind it, and that is not always the same one.
 */
function turns(members: readonly RingMember[]): number[] {
  const divisor = members.reduce((common, { weight }) => gcd(common, weight), 0);
  const shares = members.map((member) => ({ ...member, weight: member.weight / divisor }));
  const total = shares.reduce((sum, { weight }) => sum + weight, 0);
  const rounds = members.length < 3 ? 1 : Math.max(1, Math.min(members.length, Math.floor(TURNS / total)));
  return Array.from({ length: members.length === 0 ? 0 : rounds }, (_, round) => {
    const order = shares
      .map((member) => ({ ...member, credit: 0, key: orderKey(member.name, round) }))
      .sort((a, b) => (a.key < b.key ? -1 : 1));
    return Array.from({ length: total }, () => {
      for (const member of order) member.credit += member.weight;
      const next = order.reduce((best, member) => (member.credit > best.credit ? member : best));
      next.credit -= total;
      return next.index;
    });
  }).flat();
}

const orderKey = (name: string, round: number) =>
  createHash("sha256").update(`${round} ${name}`).digest("hex");

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

/** How many lines so many entries take. */
export const linesOf = (entries: number) => Math.ceil(entries / RING_LINE);

/** The lines of a ring, one after the other, as hexadecimal digits. */
export function writeRing(entries: readonly number[]): string {
  const whole = [...entries];
  while (whole.length % RING_LINE !== 0) whole.push(NOBODY);
  return whole.map((entry) => hex(entry & 255) + hex(entry >> 8)).join("");
}
