/** How packets get to the backends; made by {@link LbForward}. */
export interface LbForwardProps {
  /** `"ipip"`: any IP in any IP; `"gue"`: in UDP; `"mac"`: as it came. */
  readonly form: "ipip" | "gue" | "mac";
  /** Where they go next. */
  readonly next?: LbNextHop;
  /** Outer source: the client's address, one of the balancer's own, or one that tells flows apart. */
  readonly source?: "client" | "own" | "flow";
  /** The balancer's address, or the one whose last bits are by flow. */
  readonly address?: string;
  /** gue: destination port. */
  readonly port?: number;
  /** gue: version 1. */
  readonly direct?: boolean;
  /** gue over IPv6: no UDP checksum. */
  readonly noChecksum?: boolean;
  /** Largest packet as it leaves, in bytes. */
  readonly mtu?: number;
  /** Outer TTL or hop limit. */
  readonly ttl?: number;
  /** Outer DSCP. */
  readonly dscp?: number;
}

/**
 * Where packets go next: `"route"` asks the routing table, which needs IP forwarding in the balancer's namespace and
 * backends that its neighbour table knows (health checks see to that); `"back"` is the router that they came from;
 * `"mac"` is each backend's own `mac`.
 */
export type LbNextHop = "route" | "back" | "mac";

/** What every form takes. */
export interface LbForwardOptions {
  /**
   * Where packets go next.
   * @default "route"
   */
  readonly next?: LbNextHop;
  /**
   * Largest packet as it leaves, the outer header included, 576 to 65535 bytes: whoever sends a larger one is told
   * (ICMP "fragmentation needed", "packet too big").
   * @default - not checked
   */
  readonly mtu?: number;
}

/** What a form with an outer header takes. */
export interface LbEncapsulation extends LbForwardOptions {
  /**
   * Outer source address, of the backends' family: an address of the balancer; or `{ perFlow: address }`, an address
   * whose last 16 bits (IPv6: 32) are made from the flow, so that receivers spread flows over their queues.
   * @default - the client's address, which networks that check sources (uRPF, clouds) drop
   */
  readonly source?: string | { readonly perFlow: string };
  /**
   * Outer TTL or hop limit, 1 to 255.
   * @default 64
   */
  readonly ttl?: number;
  /**
   * Outer DSCP, 0 to 63. ECN is the inner packet's always.
   * @default - the inner packet's
   */
  readonly dscp?: number;
}

/** What GUE takes. */
export interface LbGueOptions extends LbEncapsulation {
  /**
   * UDP port of the backends, 1 to 65535.
   * @default 6080
   */
  readonly port?: number;
  /**
   * Version 1: the packet right behind the UDP header.
   * @default false
   */
  readonly direct?: boolean;
  /**
   * Over IPv6: without a UDP checksum (RFC 6935).
   * @default false
   */
  readonly noChecksum?: boolean;
}

/** The options as the props have them. */
function encapsulation({ source, ...rest }: LbEncapsulation) {
  if (source === undefined) return rest;
  return typeof source === "string"
    ? { ...rest, source: "own" as const, address: source }
    : { ...rest, source: "flow" as const, address: source.perFlow };
}

/**
 * Ways to the backends.
 *
 * @example
 * forward: LbForward.ipip({ source: "10.0.0.254", mtu: 1500 })
 */
export const LbForward = {
  /** IP in IP (RFC 2003, 2473, 4213), either family in either, by the backends' addresses. */
  ipip: (options: LbEncapsulation = {}): LbForwardProps => ({ form: "ipip", ...encapsulation(options) }),
  /** Generic UDP encapsulation, as Linux's `fou` with `encap gue` takes it. */
  gue: (options: LbGueOptions = {}): LbForwardProps => ({ form: "gue", ...encapsulation(options) }),
  /** No header more: only MAC addresses are rewritten, so backends are on one network with the balancer. */
  direct: (options: LbForwardOptions = {}): LbForwardProps => ({ form: "mac", ...options }),
} as const;
