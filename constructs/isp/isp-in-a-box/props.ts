import type { BridgeMode, IShaper } from "../shaper";
import type { OnAStick } from "../shaping-path";
import type { Subscribers } from "../subscribers";
import type { TunnelPools } from "../tunnel-addresses";

/** Two rates in Mbit/s. */
export interface Rates {
  /** Towards the subscribers. */
  readonly download: number;
  /** From the subscribers. */
  readonly upload: number;
}

/** How subscribers go to the Internet. */
export interface IspNat {
  /**
   * Public IPv4 addresses or prefixes that are routed to this machine: the NAT's own. Each subscriber has a block of
   * ports of one of them, which follows from its line number, so nothing need be logged (RFC 7422).
   * @default - the uplink's own address, shared by all
   */
  readonly addresses?: readonly string[];
  /**
   * Ports of each subscriber, 64 to 64,512; with `addresses`.
   * @default 1024
   */
  readonly portsPerSubscriber?: number;
  /**
   * Translates twice, in the NAT's namespace and again on the uplink, as it was once done. For comparison only.
   * @default false
   */
  readonly legacy?: boolean;
}

/** An ISP on one Linux machine. */
export interface IspInABoxProps {
  /** The NIC towards the Internet, by which the tunnels' outer packets come, too. */
  readonly uplink: string;
  /**
   * Own address of the tunnels' outer packets, IPv4 or IPv6.
   * @default - any address of the machine that a client sends to
   */
  readonly address?: string;
  /** Addresses inside the tunnels: an IPv4 pool, or a pool of each family. */
  readonly tunnelPool: string | TunnelPools;
  /** Who is served. */
  readonly subscribers: Subscribers;
  /** What holds them to their plans: `Shaper.native()` or a `LibreQoSShaper`. */
  readonly shaper: IShaper;
  /** What carries frames across the shaping point: a kernel bridge or an XDP program. Never both. */
  readonly bridge: BridgeMode;
  /**
   * What the uplink carries, in Mbit/s.
   * @default - 1000 both ways
   */
  readonly uplinkRate?: Rates;
  /**
   * Lets subscribers reach each other, unshaped: `true` for all, or pairs of ids.
   * @default false
   */
  readonly subscribersReachEachOther?: boolean | readonly (readonly [string, string])[];
  /**
   * How subscribers go to the Internet.
   * @default - under the uplink's own address
   */
  readonly nat?: IspNat;
  /**
   * Name servers for programs inside the two namespaces; the machine's own resolv.conf stays as it is.
   * @default - the machine's
   */
  readonly nameservers?: readonly string[];
  /**
   * Subnets of the inner ways, /30 (IPv6: /126) or larger: across the shaping point, and between the NAT and the
   * uplink; those of a family are used when the pool has it.
   * @default - 172.16.1.0/30 and 172.16.3.0/30, fd15:b000:0:1::/126 and fd15:b000:0:3::/126
   */
  readonly transit?: {
    readonly shaping?: string;
    readonly uplink?: string;
    readonly shaping6?: string;
    readonly uplink6?: string;
  };
  /**
   * Receive and transmit queues of the links at the shaping point, 2 to 4096.
   * @default 8
   */
  readonly queues?: number;
  /**
   * Shapes on a machine of its own, over two VLANs of one NIC.
   * @default - on this machine
   */
  readonly onAStick?: OnAStick;
}
