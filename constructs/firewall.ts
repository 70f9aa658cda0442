import type { Construct } from "constructs";
import { firewall } from "../lib/kinds/firewall";
import { KernelObject } from "../lib/synth";
import type { InNamespaceProps } from "./common";
import { leafProps, specOf } from "./common";

/** One of a thing, or several of which any may be. */
export type OneOrMany<T> = T | readonly T[];

/** What a packet is held against; all that is given must be so. */
export interface PacketMatch {
  /**
   * Interface that it came in by; `"ppp*"` for all whose name begins so. It need not be there yet.
   * @default - any
   */
  readonly inInterface?: OneOrMany<string>;
  /**
   * Interface that it leaves by; `"ppp*"` for all whose name begins so.
   * @default - any
   */
  readonly outInterface?: OneOrMany<string>;
  /**
   * 4 or 6, in a table of family inet.
   * @default - that of the addresses, else both
   */
  readonly ipVersion?: 4 | 6;
  /**
   * Source addresses or networks of one family.
   * @default - any
   */
  readonly source?: OneOrMany<string>;
  /**
   * Source addresses or networks that are left out.
   * @default - none
   */
  readonly notSource?: OneOrMany<string>;
  /**
   * Destination addresses or networks of one family.
   * @default - any
   */
  readonly destination?: OneOrMany<string>;
  /**
   * Destination addresses or networks that are left out.
   * @default - none
   */
  readonly notDestination?: OneOrMany<string>;
  /**
   * IP protocol by name or number.
   * @default - any
   */
  readonly protocol?: string | number;
  /**
   * Source ports or ranges such as `"1024-2047"`; needs a protocol with ports.
   * @default - any
   */
  readonly sourcePort?: OneOrMany<number | string>;
  /**
   * Destination ports or ranges; needs a protocol with ports.
   * @default - any
   */
  readonly destinationPort?: OneOrMany<number | string>;
  /**
   * State of the connection that it belongs to.
   * @default - any
   */
  readonly connectionState?: OneOrMany<"invalid" | "established" | "related" | "new" | "untracked">;
}

/** What every rule may have for those who list the table. */
export interface RuleRemarks {
  /**
   * Counts packets and bytes.
   * @default false
   */
  readonly counter?: boolean;
  /**
   * A word of 1 to 120 plain characters.
   * @default - none
   */
  readonly comment?: string;
}

/** One rule of a filter chain. */
export interface FilterRule extends PacketMatch, RuleRemarks {
  /** `accept` lets it through this table, `drop` ends it, `reject` ends it with an answer. */
  readonly action: "accept" | "drop" | "reject";
  /**
   * The answer of `reject`.
   * @default "port-unreachable"
   */
  readonly rejectWith?: "port-unreachable" | "admin-prohibited" | "tcp-reset";
}

/** A filter chain. */
export interface FilterChain {
  /**
   * What becomes of a packet that no rule decides.
   * @default "accept"
   */
  readonly policy?: "accept" | "drop";
  /**
   * The rules, asked in this order.
   * @default - none
   */
  readonly rules?: readonly FilterRule[];
}

/** Gives packets that leave by an interface another source address. */
export interface MasqueradeRule extends Omit<PacketMatch, "inInterface" | "connectionState">, RuleRemarks {
  /**
   * Source address instead of the interface's own, or a range `first-last`.
   * @default - the interface's own (masquerade)
   */
  readonly toAddresses?: string;
}

/** Gives connections to a port another destination. */
export interface PortForward extends RuleRemarks {
  /** Protocol of the port. */
  readonly protocol: "tcp" | "udp" | "sctp" | "dccp" | "udplite";
  /** Port or range that connections are made to, or several. */
  readonly port: OneOrMany<number | string>;
  /** Address that they are sent to instead. */
  readonly toAddress: string;
  /**
   * Port there.
   * @default - the same
   */
  readonly toPort?: number;
  /**
   * Interface that they come in by.
   * @default - any
   */
  readonly inInterface?: OneOrMany<string>;
  /**
   * Source addresses or networks.
   * @default - any
   */
  readonly source?: OneOrMany<string>;
  /**
   * Source addresses or networks that are left out.
   * @default - none
   */
  readonly notSource?: OneOrMany<string>;
  /**
   * Address that connections are made to.
   * @default - any
   */
  readonly destination?: OneOrMany<string>;
}

/** Keeps TCP segments small enough. */
export interface MssClamp {
  /** Largest segment in bytes, 536 to 65495, or `pmtu`: what fits the route's MTU. Smaller ones stay. */
  readonly mss: "pmtu" | number;
  /**
   * Interface that the packets came in by.
   * @default - any
   */
  readonly inInterface?: OneOrMany<string>;
  /**
   * Interface that the packets leave by.
   * @default - any
   */
  readonly outInterface?: OneOrMany<string>;
  /**
   * 4 or 6.
   * @default - both
   */
  readonly ipVersion?: 4 | 6;
  /**
   * Also for connections of the host itself.
   * @default false
   */
  readonly output?: boolean;
}

/** One nftables table; all that is in it is the program's. */
export interface FirewallProps extends InNamespaceProps {
  /**
   * The table's name, unique in its family and namespace.
   * @default - the construct's id
   */
  readonly table?: string;
  /**
   * `inet` for both versions of IP, `ip` for IPv4 alone, `ip6` for IPv6 alone.
   * @default "inet"
   */
  readonly family?: "inet" | "ip" | "ip6";
  /**
   * Source NAT of what leaves by an interface, asked in this order.
   * @default - none
   */
  readonly masquerade?: readonly MasqueradeRule[];
  /**
   * Destination NAT of connections to a port, asked in this order.
   * @default - none
   */
  readonly portForward?: readonly PortForward[];
  /**
   * Limits of TCP's segment size.
   * @default - none
   */
  readonly clampMss?: readonly MssClamp[];
  /**
   * What the namespace itself receives.
   * @default - accept
   */
  readonly input?: FilterChain;
  /**
   * What it passes on.
   * @default - accept
   */
  readonly forward?: FilterChain;
  /**
   * What it sends itself.
   * @default - accept
   */
  readonly output?: FilterChain;
}

/**
 * An nftables table: NAT, MSS clamping and filters of one namespace. Other tables stay as they are; a packet must
 * be let through by all of them. A change replaces the table in one transaction, so that no packet meets half of it.
 *
 * @example
 * new Firewall(edge, "nat", { masquerade: [{ outInterface: "eth0", source: "172.16.0.0/12" }] });
 */
export class Firewall extends KernelObject {
  constructor(scope: Construct, id: string, props: FirewallProps) {
    super(scope, id, {
      ...leafProps(props),
      kind: firewall,
      intent: { ...specOf(props), table: props.table ?? id },
    });
  }
}
