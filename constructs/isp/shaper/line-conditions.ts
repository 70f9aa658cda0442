import type { Construct } from "constructs";
import { shaping } from "../../../lib/kinds/shaping";
import type { ShapingSpec } from "../../../lib/kinds/shaping/schema";
import { prefixFilter } from "../../../lib/kinds/subscriber-shaping/prefix-filters";
import { contains, KernelObject, parseCidr } from "../../../lib/synth";
import type { LinkHandle } from "../../link-handle";
import type { Direction } from "../model";
import { directions } from "../model";
import type { Classification, HtbClass, ShapingTree } from "../shaping-tree";

/** bit/s that no subscriber's line reaches: the classes here sort packets and hold nothing back. */
const UNSHAPED = 100e9;
/** A millisecond's worth, and what HTB lets one class send in its turn. */
const BURST = { bytes: UNSHAPED / 8 / 1000, turn: 6056 } as const;
const ROOT = { kind: "htb", handle: "1:" } as const;

/** Ids of the subscribers whose plan does something to packets on their way. */
export function conditionedSubscribers(tree: ShapingTree): string[] {
  return tree.download.classes.flatMap(({ owner, netem }) =>
    netem !== undefined && owner.kind === "subscriber" ? [owner.id] : [],
  );
}

/**
 * What the plans of some subscribers do to their packets, on the links before the shaping point: a class without a
 * limit for each of them, with tc-netem(8) as its queue, and filters of tc-flower(8). Everybody else's packets go
 * straight on. Not below the class that shapes: there the packets that wait for the class would wait in netem's FIFO,
 * out of the AQM's sight (docs/adr/018).
 *
 * @param ways the links by whose egress traffic comes to the shaping point
 */
export function conditionLines(
  scope: Construct,
  ways: Readonly<Record<Direction, LinkHandle>>,
  tree: ShapingTree,
): void {
  for (const direction of directions) {
    const classes = tree[direction].classes.filter(({ netem }) => netem !== undefined);
    if (classes.length === 0) continue;
    const { owner, name, place } = ways[direction];
    const made = new KernelObject(scope, `${direction}-conditions`, {
      kind: shaping,
      ...(place !== undefined && { place }),
      intent: { link: name, ...conditionsOf(classes, tree.classification, direction) },
    });
    made.node.addDependency(owner);
  }
}

/** One direction's classes, queues and filters as a `net:Shaping` takes them. */
function conditionsOf(
  conditioned: readonly HtbClass[],
  classification: readonly Classification[],
  direction: Direction,
): Pick<ShapingSpec, "root" | "classes" | "qdiscs" | "filters"> {
  const ids = new Set(conditioned.map(({ classid }) => classid));
  const own = classification.filter(({ classid }) => ids.has(classid));
  const others = inside(
    classification.filter(({ classid }) => !ids.has(classid)),
    own,
  );
  const all = [...ids, ...new Set(others.map(({ classid }) => classid))];
  return {
    // Without a default class, what no filter claims is sent at once.
    root: ROOT,
    classes: all.map((classid) => ({
      ...{ classid, parent: ROOT.handle, prio: 0, rate: UNSHAPED, ceil: UNSHAPED },
      ...{ burst: BURST.bytes, cburst: BURST.bytes, quantum: BURST.turn },
    })),
    qdiscs: conditioned.flatMap(({ classid, netem }) => {
      const handle = `${classid.split(":")[1] ?? ""}:`;
      if (netem === undefined) return [];
      return [{ kind: "netem" as const, duplicatePercent: 0, ...netem, parent: classid, handle }];
    }),
    filters: [...own, ...others].map(({ prefix, classid }) => ({
      ...prefixFilter(prefix, classid, direction),
      parent: ROOT.handle,
    })),
  };
}

/** Those of the prefixes that are part of a network of the others: they need to be told from the rest of it. */
function inside(
  prefixes: readonly Classification[],
  networks: readonly Classification[],
): readonly Classification[] {
  const around = networks.flatMap(({ prefix }) => (prefix.includes("/") ? (parseCidr(prefix) ?? []) : []));
  if (around.length === 0) return [];
  return prefixes.filter(({ prefix }) => {
    const cidr = parseCidr(prefix);
    return cidr !== undefined && around.some((network) => contains(network, cidr));
  });
}
