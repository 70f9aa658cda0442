import { createHash } from "node:crypto";
import type { SubscriberFinding } from "./findings";
import { quoted } from "./findings";
import type { NetworkNode } from "./model";
import { NODE_NUMBERS } from "./network-tree";
import { FreeNumbers } from "./numbers";

/** Handle of the HTB qdisc; classes are `1:` and a minor number of 16 bits. */
export const ROOT_MAJOR = 1;
/** The class of the uplink, above all others. */
export const UPLINK_MINOR = 0x1;
/** The class of what is nobody's. */
export const UNCLASSIFIED_MINOR = 0x2;

/** Minor number of a node's class: 0x10 to 0xfff. */
export function nodeMinor(number: number): number {
  return 0x0f + number;
}

/** Minor number of a subscriber's class by line number: 0x1000 to 0xfffe (0xffff is the kernel's own). */
export function subscriberMinor(number: number): number {
  return 0x0fff + number;
}

/** A class id as tc prints it: `1:1001`. */
export function classId(minor: number): string {
  return `${ROOT_MAJOR.toString(16)}:${minor.toString(16)}`;
}

/**
 * Numbers for the nodes of the access network, 1 to 4,080: what is written down, else by a hash of the name and of
 * those above it and, where two meet, the next that is free in an order that depends on the names alone. Subscribers
 * have no say in it; a new node can move another only where their hashes meet.
 */
export function numberNodes(nodes: readonly NetworkNode[]): {
  readonly numbers: ReadonlyMap<string, number>;
  readonly findings: readonly SubscriberFinding[];
} {
  if (nodes.length > NODE_NUMBERS) {
    return {
      numbers: new Map(),
      findings: [{ message: `${nodes.length} network nodes; one shaper has class ids for ${NODE_NUMBERS}` }],
    };
  }
  const fixed = nodes.flatMap(({ name, number }) => (number === undefined ? [] : [[name, number] as const]));
  const numbers = new Map<string, number>(fixed);
  const free = new FreeNumbers(NODE_NUMBERS, numbers.values());
  // HTB cannot move a class with subscribers below it, so a node elsewhere in the tree is another class.
  const parents = new Map(nodes.map(({ name, parent }) => [name, parent]));
  const placeOf = (name: string): string => {
    const place = [name];
    for (
      let above = parents.get(name);
      above !== undefined && !place.includes(above);
      above = parents.get(above)
    )
      place.push(above);
    return place.join("\0");
  };
  const hashed = nodes
    .filter(({ number }) => number === undefined)
    .map(({ name }) => {
      const digest = createHash("sha256")
        .update(`netloom node\0${placeOf(name)}`)
        .digest();
      return { name, wish: (digest.readUIntBE(0, 6) % NODE_NUMBERS) + 1, rank: digest.toString("hex") };
    })
    .sort((a, b) => (a.rank < b.rank ? -1 : 1));
  for (const { name, wish } of hashed) {
    const number = free.after(wish);
    if (number === undefined) throw new RangeError(`no class id is left for node ${quoted(name)}`);
    free.take(number);
    numbers.set(name, number);
  }
  return { numbers, findings: [] };
}
