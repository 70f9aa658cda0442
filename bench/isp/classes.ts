import { treeIntent } from "../../constructs/isp/shaper/trees";
import { subscriberSets } from "../../constructs/isp/shaper/subscriber-sets";
import { shapingTree } from "../../constructs/isp/shaping-tree";
import { Namespace, TunnelAllocation, VethPair } from "../../lib";
import { shaping } from "../../lib/kinds/shaping";
import { subscriberShaping } from "../../lib/kinds/subscriber-shaping";
import { KernelObject } from "../../lib/synth";
import type { IspProgram } from "./end-to-end";

/**
 * What `Shaper.native()` makes of subscribers on a pair of links, but for leaves and filters, which not every kernel
 * has: the tree of each link, and the sets.
 */
export const classes: IspProgram = {
  of: "classes",
  declare: (host, subscribers) => {
    const shaped = new Namespace(host, "shaped", { name: `nlt-${process.pid}-shaped` });
    const links = { download: "down0", upload: "up0" };
    const { numbers } = TunnelAllocation.of(subscribers.all, { ipv4: "10.64.0.0/14" });
    const uplink = { download: 10_000, upload: 10_000 };
    const tree = shapingTree(subscribers, { uplink, numbers, leaf: "none" });
    const trees = (["download", "upload"] as const).map((side) => {
      const link = links[side];
      const pair = new VethPair(shaped, `${side}-link`, { a: { name: link }, b: { name: `${link}-far` } });
      const made = new KernelObject(shaped, side, {
        kind: shaping,
        intent: treeIntent(tree[side], link, false),
      });
      made.node.addDependency(pair);
      return made;
    });
    for (const [number, set] of subscriberSets(tree, false)) {
      const made = new KernelObject(shaped, `subscribers-${number}`, {
        kind: subscriberShaping,
        intent: { name: String(number), ...links, ...set },
      });
      made.node.addDependency(...trees);
    }
  },
};
