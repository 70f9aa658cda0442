import type { SubscriberShapingSpec, SubscriberSpec } from "../../../lib/kinds/subscriber-shaping/schema";
import type { LeafQdisc } from "../leaf-qdiscs";
import { directions } from "../model";
import type { HtbClass, ShapingTree } from "../shaping-tree";
import { FLOOR_RATE } from "../shaping-tree";

type Service = SubscriberShapingSpec["plans"][string]["download"];

/**
 * Sets that the subscribers of one shaper are divided into, whatever their number: one that comes or goes moves
 * nobody else into another set. A set without members is no resource.
 */
const SETS = 16;

/** One set: what goes into a `net:SubscriberShaping`. */
export type SubscriberSet = Pick<SubscriberShapingSpec, "plans" | "subscribers" | "prefixes">;

/** A leaf without the handle that follows from its class. */
function queueOf({ handle: _, ...queue }: LeafQdisc): object {
  return queue;
}

function serviceOf({ rate, ceil, burst, cburst, quantum, leaf }: HtbClass): Service {
  return {
    rate,
    ceil,
    burst,
    cburst,
    quantum,
    ...(leaf !== undefined && { leaf: queueOf(leaf) }),
  } as Service;
}

const mbit = (bits: number) => String(bits / 1e6);

/** `100/20 cake`, `100/20 held 10/5 cake rtt 140 ms`: everything that the plan's classes follow from. */
function planName(classes: readonly [HtbClass, HtbClass]): string {
  const both = (part: (one: HtbClass) => string) => {
    const [down, up] = classes.map(part);
    return down === up ? (down ?? "") : `${down}/${up}`;
  };
  const held = classes.some(({ rate, ceil }) => rate !== Math.min(FLOOR_RATE, ceil));
  const rtt = (leaf: LeafQdisc | undefined) =>
    (leaf?.kind === "cake" ? leaf.rttUs : (leaf?.intervalUs ?? 0)) / 1000;
  const slow = classes.some(({ leaf }) => rtt(leaf) > 100);
  return [
    classes.map(({ ceil }) => mbit(ceil)).join("/"),
    ...(held ? [`held ${classes.map(({ rate }) => mbit(rate)).join("/")}`] : []),
    both(({ leaf }) => leaf?.kind ?? "fifo"),
    ...(slow ? [`rtt ${both(({ leaf }) => String(rtt(leaf)))} ms`] : []),
  ].join(" ");
}

/** A hash of a text that never changes, for dividing prefixes (FNV-1a). */
function hash(text: string): number {
  let sum = 0x811c9dc5;
  for (const byte of Buffer.from(text)) sum = Math.imul(sum ^ byte, 0x01000193) >>> 0;
  return sum;
}

/**
 * The subscribers of a tree in sets: a subscriber by its class, a prefix by itself. So each class and each filter
 * belongs to one set for good, and no two sets ever speak of the same one, even while an address changes hands.
 *
 * @param classify whether prefixes go into the sets too
 * @returns sets by number, without those that have no member
 */
export function subscriberSets(tree: ShapingTree, classify: boolean): ReadonlyMap<number, SubscriberSet> {
  const sets = new Map<
    number,
    {
      plans: Record<string, SubscriberShapingSpec["plans"][string]>;
      subscribers: Record<string, SubscriberSpec>;
      prefixes: Record<string, string>;
    }
  >();
  const setOf = (number: number) => {
    const key = number % SETS;
    const known = sets.get(key) ?? { plans: {}, subscribers: {}, prefixes: {} };
    sets.set(key, known);
    return known;
  };
  const [downloads, uploads] = directions.map((direction) =>
    tree[direction].classes.filter(({ owner }) => owner.kind === "subscriber"),
  );
  const uploadOf = new Map(uploads?.map((one) => [one.classid, one]));
  for (const download of downloads ?? []) {
    const upload = uploadOf.get(download.classid);
    if (upload === undefined || download.owner.kind !== "subscriber") continue;
    const set = setOf(parseInt(download.classid.split(":")[1] ?? "0", 16));
    const plan = planName([download, upload]);
    set.plans[plan] ??= { download: serviceOf(download), upload: serviceOf(upload) };
    set.subscribers[download.owner.id] = { class: download.classid, parent: download.parent, plan };
  }
  if (classify) {
    for (const { prefix, classid } of tree.classification) setOf(hash(prefix)).prefixes[prefix] = classid;
  }
  return sets;
}
