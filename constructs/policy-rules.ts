import type { Construct } from "constructs";
import { rules } from "../lib/kinds/rules";
import { KernelObject } from "../lib/synth";
import type { InNamespaceProps } from "./common";
import { leafProps } from "./common";

/** One policy rule, in the words of ip-rule(8). */
export interface PolicyRule {
  /** Where it stands: the lowest is asked first, 1 to 4294967295. One rule of a family for each. */
  readonly priority: number;
  /**
   * `inet` for IPv4, `inet6` for IPv6.
   * @default - that of `from` or `to`, else inet
   */
  readonly family?: "inet" | "inet6";
  /**
   * Applies to what does not match.
   * @default false
   */
  readonly not?: boolean;
  /**
   * Network of the source address.
   * @default - any
   */
  readonly from?: string;
  /**
   * Network of the destination address.
   * @default - any
   */
  readonly to?: string;
  /**
   * The link that the packet came in by; `lo` for what the namespace itself sends.
   * @default - any
   */
  readonly iif?: string;
  /**
   * The link that the sending socket is bound to.
   * @default - any
   */
  readonly oif?: string;
  /**
   * The packet's firewall mark and the bits of it that count.
   * @default - any
   */
  readonly fwmark?: { readonly mark: number; readonly mask?: number };
  /**
   * IP protocol by name or number.
   * @default - any
   */
  readonly ipProtocol?: string | number;
  /**
   * Source port, or a range such as `"1024-2047"`.
   * @default - any
   */
  readonly sourcePort?: string | number;
  /**
   * Destination port, or a range.
   * @default - any
   */
  readonly destinationPort?: string | number;
  /**
   * Users whose sockets it applies to.
   * @default - any
   */
  readonly uidRange?: { readonly from: number; readonly to: number };
  /**
   * The table that is looked into: 1 to 4294967295, or a name of the kernel's. Either this or `action`.
   * @default - none
   */
  readonly table?: number | "main" | "local" | "default";
  /**
   * Goes on with the next rule when the table's answer has a prefix of this length or less (0: a default route).
   * @default - any answer counts
   */
  readonly suppressPrefixLength?: number;
  /**
   * Ends the packet instead of looking into a table.
   * @default - none
   */
  readonly action?: "blackhole" | "unreachable" | "prohibit";
}

/** A named set of policy rules in one namespace. */
export interface PolicyRulesProps extends InNamespaceProps {
  /**
   * Names the set in its id; it does not show up on the host.
   * @default - the construct's id
   */
  readonly name?: string;
  /** The rules, in any order: the priority tells which is asked first. */
  readonly rules: readonly PolicyRule[];
}

/**
 * A set of policy rules that belong together: which routing table is looked into for which packets. Rules of others
 * stay as they are.
 *
 * @example
 * new PolicyRules(edge, "lab", { rules: [{ priority: 1000, from: "172.30.0.0/16", table: 100 }] });
 */
export class PolicyRules extends KernelObject {
  constructor(scope: Construct, id: string, props: PolicyRulesProps) {
    super(scope, id, {
      ...leafProps(props),
      kind: rules,
      intent: { name: props.name ?? id, rules: props.rules },
    });
  }
}
