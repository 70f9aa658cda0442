import type { Construct } from "constructs";
import { shaping } from "../../../lib/kinds/shaping";
import { subscriberShaping } from "../../../lib/kinds/subscriber-shaping";
import { addFindings, KernelObject } from "../../../lib/synth";
import type { LinkHandle } from "../../link-handle";
import { formatSubscriberFinding, SubscribersError } from "../findings";
import type { LeafQueue } from "../model";
import type { IShaper, ShapedSubscribers, ShapingPoint } from "../shaper";
import type { ShapingTree } from "../shaping-tree";
import { shapingTree } from "../shaping-tree";
import { classifyByProgram } from "./classifier";
import { conditionedSubscribers, conditionLines } from "./line-conditions";
import { subscriberSets } from "./subscriber-sets";
import { treeIntent } from "./trees";

/** How subscribers are shaped by the kernel's own means. */
export interface NativeShaperOptions {
  /**
   * Queue at the end of a subscriber's class, for plans that name none: tc-cake(8), tc-fq_codel(8), or the class'
   * own FIFO.
   * @default "cake"
   */
  readonly leaf?: LeafQueue;
  /**
   * The most that traffic gets which is no subscriber's, Mbit/s.
   * @default - a quarter of the uplink
   */
  readonly unclassified?: { readonly download: number; readonly upload: number };
  /**
   * What finds a packet's subscriber by its address, on the links' egress hook: filters of tc-flower(8), or an eBPF
   * program, which is built on the host and needs clang and bpftool there (docs/adr/019).
   * @default "flower"
   */
  readonly classifier?: "ebpf" | "flower";
}

/**
 * Shapes by HTB, with a queue of its own for every subscriber: a class for each on both links, below the classes of
 * the access network's nodes. What a subscriber has depends on its own plan and on the nodes above it, so a change of
 * one plan is a change of its two classes alone. Delay, jitter and loss that a plan adds are done on the links before
 * the shaping point (tc-netem(8)), so the shaper sees packets as a long line would bring them.
 */
export class NativeShaper implements IShaper {
  constructor(readonly options: NativeShaperOptions = {}) {}

  refuses(): string | undefined {
    return undefined;
  }

  attach(scope: Construct, point: ShapingPoint, shaped: ShapedSubscribers): void {
    const tree = this.#tree(scope, point, shaped);
    if (tree === undefined) return;
    const byFlower = this.options.classifier !== "ebpf";
    const treeOn = (id: "download" | "upload", { owner, name, place }: LinkHandle) => {
      const made = new KernelObject(scope, id, {
        kind: shaping,
        ...(place !== undefined && { place }),
        intent: treeIntent(tree[id], name, byFlower),
      });
      made.node.addDependency(owner);
      return made;
    };
    const trees = [treeOn("download", point.subscriberSide), treeOn("upload", point.internetSide)];
    const sets: KernelObject[] = [];
    for (const [number, set] of subscriberSets(tree, byFlower)) {
      const { place } = point.subscriberSide;
      const made = new KernelObject(scope, `subscribers-${number}`, {
        kind: subscriberShaping,
        ...(place !== undefined && { place }),
        intent: {
          name: String(number),
          download: point.subscriberSide.name,
          upload: point.internetSide.name,
          ...set,
        },
      });
      // With a link that is made again its classes are gone, too.
      made.node.addDependency(...trees, point.subscriberSide.owner, point.internetSide.owner);
      sets.push(made);
    }
    if (!byFlower) classifyByProgram(scope, point, tree.classification, [...trees, ...sets]);
    this.#conditions(scope, point, tree);
  }

  /** What plans do to packets on their way to the point. */
  #conditions(scope: Construct, { before }: ShapingPoint, tree: ShapingTree): void {
    if (before !== undefined) return conditionLines(scope, before, tree);
    addFindings(scope, () =>
      conditionedSubscribers(tree).map((id) => ({
        path: ["shaper"],
        message:
          `the plan of subscriber ${JSON.stringify(id)} adds delay, jitter or loss, and this shaping point names no ` +
          "links before it (`before`), where that would be done",
      })),
    );
  }

  /** What is to be, or undefined where something is wrong, which the program's check then tells. */
  #tree(scope: Construct, point: ShapingPoint, shaped: ShapedSubscribers): ShapingTree | undefined {
    const { subscribers, allocation } = shaped;
    try {
      return shapingTree(subscribers, {
        uplink: point.uplink,
        numbers: allocation.numbers,
        addressesOf: (subscriber) => allocation.addressesOf(subscriber),
        leaf: this.options.leaf ?? "cake",
        ...(this.options.unclassified !== undefined && { unclassified: this.options.unclassified }),
      });
    } catch (error) {
      if (!(error instanceof SubscribersError)) throw error;
      addFindings(scope, () =>
        error.findings.map((finding) => ({ path: ["shaper"], message: formatSubscriberFinding(finding) })),
      );
      return undefined;
    }
  }
}

/** What holds subscribers to their plans. */
export const Shaper = {
  /**
   * The kernel's own HTB with CAKE or fq_codel for every subscriber.
   *
   * @example
   * Shaper.native({ leaf: "fq_codel" })
   */
  native: (options: NativeShaperOptions = {}): NativeShaper => new NativeShaper(options),
};
