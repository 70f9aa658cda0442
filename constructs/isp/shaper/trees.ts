import type { ShapingSide } from "../shaping-tree";

/** Minor numbers of the uplink, of what is nobody's, and of the nodes; the subscribers' are above. */
const OWN_MINORS = { first: 0x1, last: 0xfff } as const;

/** One direction's classes above the subscribers, as a `net:Shaping` takes them. */
export function treeIntent({ root, classes }: ShapingSide, link: string, hooks: boolean) {
  const own = classes.filter(({ owner }) => owner.kind !== "subscriber");
  return {
    link,
    root: {
      kind: "htb",
      handle: root.handle,
      defaultClass: `${root.handle}${root.default.toString(16)}`,
    },
    classes: own.map(({ classid, parent, rate, ceil, burst, cburst, quantum }) => ({
      ...{ classid, parent, rate, ceil, burst, cburst, quantum },
    })),
    qdiscs: own.flatMap(({ classid, leaf }) => (leaf === undefined ? [] : [{ ...leaf, parent: classid }])),
    ...(hooks && { clsact: true }),
    minors: OWN_MINORS,
  };
}
