import type { Construct } from "constructs";
import type { LinkHandle } from "../link-handle";
import type { TunnelAllocation } from "./tunnel-addresses";
import type { Subscribers } from "./subscribers";

/**
 * The place between the subscribers and the Internet where traffic is shaped: two links of one namespace, bridged.
 * What leaves by one goes down, what leaves by the other goes up, both before any NAT.
 */
export interface ShapingPoint {
  /** The link towards the subscribers: its egress carries their downloads. */
  readonly subscriberSide: LinkHandle;
  /** The link towards the Internet: its egress carries their uploads. */
  readonly internetSide: LinkHandle;
  /** How frames get from one side to the other. */
  readonly bridge: BridgeMode;
  /**
   * The links by whose egress traffic comes to the point, each in the namespace that it comes from: what plans add to a
   * packet's way (delay, jitter, loss) is done there.
   * @default - not known: plans that add something are refused
   */
  readonly before?: { readonly download: LinkHandle; readonly upload: LinkHandle };
  /** Mbit/s of the uplink behind it. */
  readonly uplink: { readonly download: number; readonly upload: number };
}

/**
 * What carries frames between the two sides: `"linux"` is a kernel bridge, `"xdp"` eBPF programs on both
 * sides. Either is made outside of the shaper. Never both: every frame would be forwarded twice.
 */
export type BridgeMode = "linux" | "xdp";

/** Who is shaped. */
export interface ShapedSubscribers {
  readonly subscribers: Subscribers;
  /** Line numbers and the addresses that each subscriber's traffic is known by. */
  readonly allocation: TunnelAllocation;
}

/** Something that holds subscribers to their plans: `Shaper.native()` or a `LibreQoSShaper`. */
export interface IShaper {
  /** Whether it can work with this way of bridging; the reason when it cannot. */
  refuses(bridge: BridgeMode): string | undefined;
  /** Declares what shapes, inside `scope`, which is where the two links are. Called once. */
  attach(scope: Construct, point: ShapingPoint, shaped: ShapedSubscribers): void;
}
