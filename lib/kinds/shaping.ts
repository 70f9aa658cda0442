import { defineKind, inPlace, replace } from "./kind";
import { checkShaping } from "./shaping/check";
import { explainShaping } from "./shaping/explain";
import { observeShaping, shapingQueries } from "./shaping/observe";
import { planShaping } from "./shaping/plan";
import { schema } from "./shaping/schema";

const SEGMENT = "shaping";

/** The qdiscs, classes and filters of one link. */
export const shaping = defineKind({
  token: "netloom:net:Shaping",
  description: "The tree of qdiscs, classes and filters that shapes what leaves by one link (tc(8)).",
  schema,
  policy: {
    netns: replace("a tree belongs to its link, which cannot move"),
    link: replace("a tree belongs to its link"),
    root: inPlace({ traffic: "brief" }),
    classes: inPlace(),
    qdiscs: inPlace({ traffic: "brief" }),
    filters: inPlace(),
    clsact: inPlace(),
    minors: inPlace(),
  },
  ownership: "object",
  identity: ({ netns, link }) => [...(netns === undefined ? [] : [netns]), SEGMENT, link],
  locate(identity) {
    const [link = "", segment, netns] = [...identity].reverse();
    if (segment !== SEGMENT || identity.length > 3) return undefined;
    return { ...(netns !== undefined && { netns }), link };
  },
  check: checkShaping,
  queries: shapingQueries,
  observe: observeShaping,
  plan: planShaping,
  explain: explainShaping,
});
