import type { POLICIES } from "../../lib/kinds/l4lb-services";

/** How a new flow finds its backend; made by {@link LbPolicy}. Flows that are there stay where they are. */
export interface LbPolicyProps {
  /** The rule. */
  readonly rule: LbRule;
}

/** Names of the rules. */
export type LbRule = (typeof POLICIES)[number];

/**
 * Rules for new flows.
 *
 * @example
 * policy: LbPolicy.leastLoad()
 */
export const LbPolicy = {
  /** The fewest packets a flow so far, which attracts ever more flows to one backend. For comparison only. */
  legacy: (): LbPolicyProps => ({ rule: "legacy" }),
  /** One after the other, whatever their weights. */
  roundRobin: (): LbPolicyProps => ({ rule: "round-robin" }),
  /** One after the other, each as often as its weight says. */
  weighted: (): LbPolicyProps => ({ rule: "weighted" }),
  /**
   * By a table that follows from the backends' addresses and weights: several balancers choose alike, and a backend
   * that comes or goes moves few other flows (Maglev, NSDI 2016).
   */
  maglev: (): LbPolicyProps => ({ rule: "maglev" }),
  /** The fewest open flows for its weight. */
  leastFlows: (): LbPolicyProps => ({ rule: "least-flows" }),
  /** The fewest bytes a second of late for its weight. */
  leastBytes: (): LbPolicyProps => ({ rule: "least-bytes" }),
  /** The less loaded of two that Maglev's table names, by the load that backends report and what they are sent. */
  leastLoad: (): LbPolicyProps => ({ rule: "least-load" }),
} as const;
