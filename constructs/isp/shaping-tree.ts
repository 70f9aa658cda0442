import {
  classId,
  nodeMinor,
  numberNodes,
  subscriberMinor,
  UNCLASSIFIED_MINOR,
  UPLINK_MINOR,
} from "./class-ids";
import type { SubscriberFinding } from "./findings";
import { quoted, SubscribersError } from "./findings";
import type { LeafQdisc, Netem } from "./leaf-qdiscs";
import { FRAME, leafQdisc, netemOf } from "./leaf-qdiscs";
import type { Direction, LeafQueue, NetworkNode, Subscriber } from "./model";
import { directions, ratesOf } from "./model";
import type { Subscribers } from "./subscribers";
import { rateProblem } from "./values";

/** How subscribers are shaped. */
export interface ShapingOptions {
  /** Mbit/s of the uplink. */
  readonly uplink: { readonly download: number; readonly upload: number };
  /** Line numbers by subscriber id (`TunnelAllocation.numbers`), which the class ids follow from. */
  readonly numbers: ReadonlyMap<string, number>;
  /** The prefixes that are a subscriber's (`TunnelAllocation.addressesOf`). @default - those its devices list */
  readonly addressesOf?: (subscriber: Subscriber) => readonly string[];
  /** Leaf queue of plans that name none. @default "cake" */
  readonly leaf?: LeafQueue;
  /** Mbit/s at most for what is nobody's traffic. @default - a quarter of the uplink */
  readonly unclassified?: { readonly download: number; readonly upload: number };
}

/** Whose a class is. */
export type ClassOwner =
  | { readonly kind: "uplink" }
  | { readonly kind: "unclassified" }
  | { readonly kind: "node"; readonly name: string }
  | { readonly kind: "subscriber"; readonly id: string };

/** One HTB class (tc-htb(8)). */
export interface HtbClass {
  readonly owner: ClassOwner;
  /** `1:1001`, hexadecimal as tc prints it. */
  readonly classid: string;
  /** The class above, or `1:` for the uplink's. */
  readonly parent: string;
  /** What is held for the class, bit/s. */
  readonly rate: number;
  /** What the class gets at most, bit/s. */
  readonly ceil: number;
  /** Bytes sent at once at `rate`. */
  readonly burst: number;
  /** Bytes sent at once at `ceil`. */
  readonly cburst: number;
  /** Bytes in one turn when the parent's spare rate is shared: the same for all, so it is shared evenly. */
  readonly quantum: number;
  /** Of a subscriber's class and that of nobody's traffic; undefined leaves HTB's own FIFO. */
  readonly leaf?: LeafQdisc;
  /** What the plan does to packets before they are shaped. */
  readonly netem?: Netem;
}

/** The classes of one direction. */
export interface ShapingSide {
  readonly direction: Direction;
  /** The root qdisc: `htb default 2`. */
  readonly root: { readonly handle: "1:"; readonly default: number };
  /** Parents before children; nodes by name within a level, subscribers by id. */
  readonly classes: readonly HtbClass[];
}

/** Which class a prefix's packets go to: download by destination, upload by source. */
export interface Classification {
  /** As the kernel prints it; a single address has no prefix length. */
  readonly prefix: string;
  readonly subscriber: string;
  readonly classid: string;
}

/** Everything a native shaper needs to know, for both directions. */
export interface ShapingTree {
  readonly download: ShapingSide;
  readonly upload: ShapingSide;
  readonly classification: readonly Classification[];
}

/**
 * What is held for a class that nothing is promised, bit/s: HTB needs a rate above 0. Nodes have no more, because
 * an inner class lends what is its own even when those above it have nothing left, so nodes that together promise
 * more than their parent would break through its ceiling (docs/adr/011).
 */
export const FLOOR_RATE = 10_000;

const QUANTUM = 4 * FRAME;
const bits = (mbit: number) => Math.round(mbit * 1e6);
/** A millisecond's worth, which a timer of a virtual machine keeps up with, and two frames at least. */
const burstOf = (rate: number) => Math.max(2 * FRAME, Math.ceil(rate / 8 / 1000));

const classOf = (
  owner: ClassOwner,
  minor: number,
  parent: string,
  rate: number,
  ceil: number,
  rest: Pick<HtbClass, "leaf" | "netem"> = {},
): HtbClass => ({
  owner,
  classid: classId(minor),
  parent,
  rate,
  ceil,
  burst: burstOf(rate),
  cburst: burstOf(ceil),
  quantum: QUANTUM,
  ...(rest.leaf !== undefined && { leaf: rest.leaf }),
  ...(rest.netem !== undefined && { netem: rest.netem }),
});

interface PlacedNode {
  readonly node: NetworkNode;
  readonly minor: number;
  readonly depth: number;
  /** Itself and the nodes above that have a rate, the uppermost last. */
  readonly chain: readonly NetworkNode[];
}

function placeNodes(subscribers: Subscribers, numbers: ReadonlyMap<string, number>): Map<string, PlacedNode> {
  const placed = new Map<string, PlacedNode>();
  for (const node of subscribers.network) {
    if (node.virtual === true) continue;
    const chain = subscribers.tree.chain(node.name).filter((above) => above.virtual !== true);
    placed.set(node.name, {
      node,
      minor: nodeMinor(numbers.get(node.name) ?? 0),
      depth: chain.length,
      chain,
    });
  }
  return placed;
}

/** What does not fit into the uplink, where promises are kept to what is there. */
function uplinkFindings(subscribers: Subscribers, options: ShapingOptions): SubscriberFinding[] {
  const findings: SubscriberFinding[] = [];
  for (const direction of directions) {
    const uplink = options.uplink[direction];
    const problem = rateProblem(uplink);
    if (problem !== undefined) findings.push({ path: `uplink.${direction}`, message: problem });
    if (problem !== undefined || subscribers.overcommit === "cap") continue;
    const above = (path: string, rate: number) =>
      rate > uplink &&
      findings.push({ path, message: `${rate} Mbit/s ${direction} is above the uplink's ${uplink}` });
    for (const { name, parent, virtual, ...node } of subscribers.network) {
      if (parent === undefined && virtual !== true) above(`network node ${quoted(name)}`, node[direction]);
    }
    let promised = 0;
    for (const { id, plan } of subscribers.all) {
      const { min = 0, max } = ratesOf(plan, direction);
      above(`subscriber ${quoted(id)}`, max);
      promised += min;
    }
    if (promised > uplink + 1e-6) {
      const total = Math.round(promised * 1000) / 1000;
      findings.push({
        message: `the ${direction} minimums add up to ${total} Mbit/s and the uplink carries ${uplink}; lower them`,
      });
    }
  }
  return findings;
}

/** The nodes (and the uplink, as undefined) that have been promised more than they carry: they keep no promise. */
function overbooked(
  subscribers: Subscribers,
  nodes: ReadonlyMap<string, PlacedNode>,
  options: ShapingOptions,
  direction: Direction,
): Set<string | undefined> {
  const promised = new Map<string | undefined, number>();
  for (const { parent, plan } of subscribers.all) {
    const { min = 0 } = ratesOf(plan, direction);
    const near = subscribers.tree.shapingNode(parent);
    const chain = near === undefined ? [] : (nodes.get(near.name)?.chain ?? []);
    for (const name of [undefined, ...chain.map((node) => node.name)])
      promised.set(name, (promised.get(name) ?? 0) + min);
  }
  const carried = (name: string | undefined) =>
    (name === undefined ? options.uplink : nodes.get(name)?.node)?.[direction] ?? 0;
  return new Set([...promised].filter(([name, sum]) => sum > carried(name) + 1e-6).map(([name]) => name));
}

function sideOf(
  subscribers: Subscribers,
  nodes: ReadonlyMap<string, PlacedNode>,
  options: ShapingOptions,
  direction: Direction,
): ShapingSide {
  const uplink = bits(options.uplink[direction]);
  const root = classId(UPLINK_MINOR);
  const leaf = options.leaf ?? "cake";
  const rest =
    options.unclassified === undefined
      ? Math.ceil(uplink / 4)
      : Math.min(uplink, bits(options.unclassified[direction]));
  const ceilOf = (chain: readonly NetworkNode[]) =>
    Math.min(uplink, ...chain.map((node) => bits(node[direction])));
  const nodeClasses = [...nodes.values()]
    .sort((a, b) => a.depth - b.depth || (a.node.name < b.node.name ? -1 : 1))
    .map(({ node, minor, chain }) => {
      const above = chain[1];
      const parent = above === undefined ? root : classId(nodes.get(above.name)?.minor ?? 0);
      return classOf({ kind: "node", name: node.name }, minor, parent, FLOOR_RATE, ceilOf(chain));
    });
  const broken = overbooked(subscribers, nodes, options, direction);
  // Asked once for each node rather than each subscriber.
  const spots = new Map<string | undefined, { parent: string; ceil: number; keeps: boolean }>();
  const spotOf = (name: string | undefined) => {
    const known = spots.get(name);
    if (known !== undefined) return known;
    const near = subscribers.tree.shapingNode(name);
    const place = near === undefined ? undefined : nodes.get(near.name);
    const chain = place?.chain ?? [];
    const spot = {
      parent: place === undefined ? root : classId(place.minor),
      ceil: ceilOf(chain),
      keeps: !broken.has(undefined) && !chain.some((node) => broken.has(node.name)),
    };
    spots.set(name, spot);
    return spot;
  };
  const subscriberClasses = subscribers.all.map(({ id, parent, plan }) => {
    const { min, max } = ratesOf(plan, direction);
    const spot = spotOf(parent);
    const minor = subscriberMinor(options.numbers.get(id) ?? 0);
    const ceil = Math.min(bits(max), spot.ceil);
    const rate = Math.min(ceil, spot.keeps && min !== undefined ? bits(min) : FLOOR_RATE);
    const queue = leafQdisc(plan, direction, ceil, minor, leaf);
    return classOf({ kind: "subscriber", id }, minor, spot.parent, rate, ceil, {
      leaf: queue,
      netem: netemOf(plan, ceil),
    });
  });
  const nobody = leafQdisc({ downloadMax: 1, uploadMax: 1 }, direction, rest, UNCLASSIFIED_MINOR, leaf);
  return {
    direction,
    root: { handle: "1:", default: UNCLASSIFIED_MINOR },
    classes: [
      classOf({ kind: "uplink" }, UPLINK_MINOR, "1:", uplink, uplink),
      classOf({ kind: "unclassified" }, UNCLASSIFIED_MINOR, root, Math.min(FLOOR_RATE, rest), rest, {
        leaf: nobody,
      }),
      ...nodeClasses,
      ...subscriberClasses,
    ],
  };
}

/**
 * The hierarchy uplink → site → access point → subscriber as HTB classes, in both directions. A subscriber's
 * class follows from its own number and plan and from the nodes above it, never from other subscribers, so a
 * change of one is a change of its two classes. (The exception is asked for: with `overcommit: "cap"`, minimums
 * that together exceed a node are all let go, as LibreQoS does.)
 * @throws SubscribersError when the uplink is too small for what is promised, or a subscriber has no number
 */
export function shapingTree(subscribers: Subscribers, options: ShapingOptions): ShapingTree {
  const findings = uplinkFindings(subscribers, options);
  for (const { id } of subscribers.all) {
    if (!options.numbers.has(id))
      findings.push({ path: `subscriber ${quoted(id)}`, message: "has no line number" });
  }
  const numbering = numberNodes(subscribers.network);
  findings.push(...numbering.findings);
  if (findings.length > 0) throw new SubscribersError(findings, "what is to be shaped");
  const nodes = placeNodes(subscribers, numbering.numbers);
  const addressesOf =
    options.addressesOf ??
    (({ devices }: Subscriber) => devices.flatMap(({ ipv4, ipv6 }) => [...ipv4, ...ipv6]));
  return {
    download: sideOf(subscribers, nodes, options, "download"),
    upload: sideOf(subscribers, nodes, options, "upload"),
    classification: subscribers.all.flatMap((subscriber) => {
      const classid = classId(subscriberMinor(options.numbers.get(subscriber.id) ?? 0));
      return addressesOf(subscriber).map((prefix) => ({ prefix, subscriber: subscriber.id, classid }));
    }),
  };
}
