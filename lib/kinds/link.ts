import { defineKind } from "./kind";
import { checkLink } from "./link/check";
import { linkClaims } from "./link/claims";
import { explainLink } from "./link/explain";
import { linkQueries, observeLink } from "./link/observe";
import { planLink } from "./link/plan";
import { linkPolicy } from "./link/policy";
import { linkSchema } from "./link/schema";
import { interfaceNameProblem } from "./schemas";

export type { Encap, LinkInput, LinkKind, LinkSpec, PeerSpec } from "./link/schema";

/**
 * One link of any kind with its addresses, MTU, master and settings: ip-link(8), ip-address(8). A veth pair is
 * one link, with its other end as `peer`.
 */
export const link = defineKind({
  token: "netloom:net:Link",
  description:
    "A network interface of any kind (veth, bridge, GRE, Geneve, VXLAN, VLAN …) with its addresses.",
  schema: linkSchema,
  policy: linkPolicy,
  ownership: "object",
  identity: ({ netns, name }) => (netns === undefined ? [name] : [netns, name]),
  locate(identity) {
    const [name, netns, ...rest] = [...identity].reverse();
    if (name === undefined || rest.length > 0 || interfaceNameProblem(name) !== undefined) return undefined;
    return { ...(netns !== undefined && { netns }), name };
  },
  check: checkLink,
  queries: linkQueries,
  observe: observeLink,
  plan: planLink,
  claims: linkClaims,
  explain: explainLink,
});
