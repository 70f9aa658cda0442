/** Which way a packet goes, as the subscriber sees it. */
export type Direction = "download" | "upload";

/** Both directions, in the order in which everything is listed. */
export const directions: readonly Direction[] = ["download", "upload"];

/** The queue at the end of a subscriber's class: tc-cake(8), tc-fq_codel(8), or the class's own FIFO. */
export type LeafQueue = "cake" | "fq_codel" | "none";

/** What a subscriber pays for, and for experiments what the line does to it. Rates are Mbit/s (10^6 bit/s). */
export interface Plan {
  /** The most the subscriber downloads. More than 0, at most 100,000; decimals are allowed. */
  readonly downloadMax: number;
  /** The most the subscriber uploads. More than 0, at most 100,000; decimals are allowed. */
  readonly uploadMax: number;
  /**
   * Download rate held for the subscriber while others want more.
   * @default - none is held: what the parent has is shared evenly
   */
  readonly downloadMin?: number;
  /**
   * Upload rate held for the subscriber while others want more.
   * @default - none is held: what the parent has is shared evenly
   */
  readonly uploadMin?: number;
  /**
   * Delay added in each direction, in milliseconds, 0 to 60,000 (tc-netem(8)). A ping grows by twice as much.
   * @default 0
   */
  readonly latencyMs?: number;
  /**
   * How far the added delay varies to either side, in milliseconds; at most `latencyMs`. Packets may overtake each other.
   * @default 0
   */
  readonly jitterMs?: number;
  /**
   * Packets lost in each direction, in percent, 0 to 100.
   * @default 0
   */
  readonly lossPercent?: number;
  /**
   * The queue of the subscriber's class, for both directions or for each.
   * @default - the shaper's own default
   */
  readonly leaf?: LeafQueue | { readonly download?: LeafQueue; readonly upload?: LeafQueue };
}

/** One piece of equipment of a subscriber, and the addresses by which its traffic is known. */
export interface Device {
  /** Unique among all devices. */
  readonly id: string;
  /** @default - the id */
  readonly name?: string;
  /** MAC address, for people; nothing is classified by it. (LibreQoS also lets it hold a RADIUS user name.) */
  readonly mac?: string;
  /** Addresses or prefixes inside the tunnel, such as `192.0.2.7` or `198.51.100.0/29`. */
  readonly ipv4?: readonly string[];
  /** Addresses or prefixes inside the tunnel, such as `2001:db8:7::/56`. */
  readonly ipv6?: readonly string[];
  /** Anything; carried along. */
  readonly comment?: string;
}

/** The far end of a subscriber's tunnel. */
export interface ClientEndpoint {
  /**
   * The client's public address, IPv4 or IPv6: the outer destination of its tunnel.
   * @default - not known: with `fou`, learnt from the client's own packets
   */
  readonly address?: string;
  /**
   * The client is behind a NAT and sends GRE inside UDP (ip-fou(8)).
   * @default false
   */
  readonly fou?: boolean;
  /**
   * GRE key (RFC 2890), 0 to 4,294,967,295. Needed where two clients share a public address.
   * @default - none
   */
  readonly key?: number;
}

/** A node of the access network between the uplink and the subscribers, such as a tower or an access point. */
export interface NetworkNode {
  /** Unique in the whole tree; subscribers name it as their parent. */
  readonly name: string;
  /** `Site`, `AP` or any other word: it is for people. @default - none */
  readonly type?: string;
  /** The node above. @default - the uplink itself */
  readonly parent?: string;
  /** Mbit/s that the node carries towards its subscribers. */
  readonly download: number;
  /** Mbit/s that the node carries from its subscribers. */
  readonly upload: number;
  /** Id of the node in the system it comes from (LibreQoS: `uisp:site:…`). @default - none */
  readonly id?: string;
  /** Only groups what is below it, without a rate of its own (LibreQoS: `virtual`). @default false */
  readonly virtual?: boolean;
  /** Fixes the node's place among the class ids, 1 to 4,080. @default - from the name */
  readonly number?: number;
}

/** A subscriber as the stack's author writes it; LibreQoS calls it a circuit. */
export interface SubscriberProps {
  /** What the subscriber is known by in every run; changing it makes another subscriber. No `#`. */
  readonly id: string;
  /** @default - the id */
  readonly name?: string;
  /** The network node that the subscriber hangs on. @default - the uplink itself */
  readonly parent?: string;
  /** Ids of the parent and of the circuit's own node in LibreQoS' topology; carried along. */
  readonly parentId?: string;
  /** See `parentId`. */
  readonly anchorId?: string;
  readonly plan: Plan;
  /**
   * The line number: which slot of the tunnel pool, class id and port block are the subscriber's, for good.
   * 1 to 61,439.
   * @default - the number that the id is or ends in, else a hash of the id
   */
  readonly number?: number;
  /** Addresses of the subscriber, for one that has a single device. @default - the tunnel's own address */
  readonly addresses?: readonly string[];
  /** @default - one device with the subscriber's id and `addresses` */
  readonly devices?: readonly Device[];
  /** The far end of the tunnel. @default - no tunnel is made */
  readonly client?: ClientEndpoint;
}

/** A device with everything filled in and in canonical form. */
export interface SubscriberDevice {
  readonly id: string;
  readonly name: string;
  readonly mac: string;
  /** As the kernel prints them; a single address has no prefix length. */
  readonly ipv4: readonly string[];
  /** As the kernel prints them; a single address has no prefix length. */
  readonly ipv6: readonly string[];
  readonly comment: string;
}

/** A subscriber with everything filled in, checked and in canonical form. */
export interface Subscriber {
  readonly id: string;
  readonly name: string;
  readonly parent?: string;
  readonly parentId?: string;
  readonly anchorId?: string;
  readonly plan: Plan;
  readonly number?: number;
  /** At least one, in the order given. */
  readonly devices: readonly SubscriberDevice[];
  readonly client?: ClientEndpoint;
}

/** A plan's rates in one direction, in Mbit/s. */
export function ratesOf(plan: Plan, direction: Direction): { readonly min?: number; readonly max: number } {
  return direction === "download"
    ? { min: plan.downloadMin, max: plan.downloadMax }
    : { min: plan.uploadMin, max: plan.uploadMax };
}

/** A plan's leaf queue in one direction; undefined leaves it to the shaper. */
export function leafOf(plan: Plan, direction: Direction): LeafQueue | undefined {
  return typeof plan.leaf === "object" ? plan.leaf[direction] : plan.leaf;
}
