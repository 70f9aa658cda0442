import type { LifecycleProps } from "../../lib/synth";
import type { LinkHandle } from "../link-handle";

/** Which packets that come in at the interface go into the tunnel; without any of them, all do. */
export interface MuxSelection {
  /**
   * Inner destinations: addresses, and prefixes of which the longest wins.
   * @default - none
   */
  readonly destinations?: readonly string[];
  /**
   * Pairs of inner addresses. A pair goes before a destination.
   * @default - none
   */
  readonly pairs?: readonly { readonly source: string; readonly destination: string }[];
}

/** MAC addresses in place of those that are found out. */
export interface MuxMacs {
  /**
   * Destination of the outer frame: the next hop's. With it no route is asked for.
   * @default - that of the neighbour that the routing table leads to
   */
  readonly outerDestination?: string;
  /**
   * Source of the outer frame, with `outerDestination`.
   * @default - that of the interface it leaves by
   */
  readonly outerSource?: string;
  /**
   * Written into the inner frame before it is pushed, as its destination.
   * @default - the frame's own
   */
  readonly innerDestination?: string;
  /**
   * The same of its source.
   * @default - the frame's own
   */
  readonly innerSource?: string;
  /**
   * Destination of popped frames: `"peer"` is the other end of the interface, `"keep"` what the sender wrote.
   * @default - "peer" where packets are selected by address, or the tunnel carries IP; else "keep"
   */
  readonly delivered?: string;
}

/** What every tunnel has, of whatever protocol. */
export interface MuxTunnelBase {
  /** Names it in messages, resources and statistics: letters, digits, `_`, `.` and `-`; unique in the mux. */
  readonly name: string;
  /** The link whose packets go into the tunnel, and where packets out of it are delivered. */
  readonly interface: LinkHandle | string;
  /**
   * The other end of that link, where it is a veth and named by text.
   * @default - the pair's other end
   */
  readonly peer?: LinkHandle;
  /**
   * Which packets go in.
   * @default - all that come in at the interface and nothing else selects
   */
  readonly select?: MuxSelection;
  /**
   * Whether headers are pushed, popped, or both.
   * @default "both"
   */
  readonly direction?: "both" | "push" | "pop";
  /**
   * Sends frames straight to the other interface. Without, they go to the host's own stack: outer packets to be routed,
   * inner ones as if they had come in by the uplink.
   * @default true
   */
  readonly redirect?: boolean;
  /**
   * MAC addresses in place of those that are found out.
   * @default - by routing table and links
   */
  readonly macs?: MuxMacs;
  /**
   * Largest outer IP packet in bytes, 68 to 65535. What is too big is answered by ICMP "fragmentation needed" or
   * "packet too big".
   * @default - the mux's `underlayMtu`
   */
  readonly mtu?: number;
  /**
   * Reports every packet of the tunnel to the ring buffer `mux_debug`.
   * @default false
   */
  readonly debug?: boolean;
}

/** A tunnel whose headers are IP. */
export interface MuxIpTunnelBase extends MuxTunnelBase {
  /** Own outer address. */
  readonly local: string;
  /** The other end's outer address, of the same family. */
  readonly remote: string;
  /**
   * Outer sources that may send besides `remote`: addresses and prefixes, or `"any"`.
   * @default - none
   */
  readonly sources?: readonly string[] | "any";
  /**
   * Outer TTL or hop limit: 1 to 255, or `"inherit"` from the inner packet.
   * @default 64
   */
  readonly ttl?: number | "inherit";
  /**
   * DSCP of outer packets, 0 to 63; `"inherit"` from the inner ones.
   * @default "inherit"
   */
  readonly dscp?: number | "inherit";
  /**
   * Brings the DSCP of outer packets inside when popped (RFC 2983, the pipe model's opposite).
   * @default false
   */
  readonly deliverDscp?: boolean;
  /**
   * RFC 6040: `"normal"` copies ECN outside, `"compatible"` sends Not-ECT.
   * @default "normal"
   */
  readonly ecn?: "normal" | "compatible";
  /**
   * Don't Fragment of outer IPv4 packets; `"inherit"` from the inner ones.
   * @default true
   */
  readonly dontFragment?: boolean | "inherit";
  /**
   * Verifies outer checksums that are there.
   * @default true
   */
  readonly verifyChecksum?: boolean;
}

/** A tunnel in UDP. */
export interface MuxUdpTunnelBase extends MuxIpTunnelBase {
  /** Virtual network identifier, 0 to 16777215. */
  readonly vni: number;
  /**
   * UDP source port, 1 to 65535.
   * @default - a hash of the inner flow, 49152 to 65535
   */
  readonly sourcePort?: number;
  /**
   * UDP checksums. Over IPv6 `false` needs the other end's consent (RFC 6935), and lets it do the same.
   * @default - over IPv4 none, over IPv6 computed
   */
  readonly checksum?: boolean;
}

/** One Geneve option (RFC 8926 section 3.5). */
export interface GeneveOption {
  /** Option class, 0 to 65535. */
  readonly class: number;
  /** Type, 0 to 127. */
  readonly type: number;
  /**
   * Whether an end that does not know it has to drop the packet.
   * @default false
   */
  readonly critical?: boolean;
  /**
   * Data in hexadecimal digits, a multiple of 4 bytes, up to 60.
   * @default - none
   */
  readonly data?: string;
}

/** Geneve (RFC 8926). Options of popped packets are skipped. */
export interface MuxGeneveTunnel extends MuxUdpTunnelBase {
  readonly protocol: "geneve";
  /**
   * What it carries: Ethernet frames, or IP packets.
   * @default "ethernet"
   */
  readonly payload?: "ethernet" | "ip";
  /**
   * Options to write, up to 64 bytes with their headers.
   * @default - none
   */
  readonly options?: readonly GeneveOption[];
}

/** VXLAN (RFC 7348). */
export interface MuxVxlanTunnel extends MuxUdpTunnelBase {
  readonly protocol: "vxlan";
}

/** GRE (RFC 2784, RFC 2890). */
export interface MuxGreTunnel extends MuxIpTunnelBase {
  readonly protocol: "gre";
  /**
   * Key, 0 to 4294967295.
   * @default - none: told apart by the outer addresses
   */
  readonly key?: number;
  /**
   * What it carries: IP packets, or Ethernet frames as the kernel's gretap.
   * @default "ip"
   */
  readonly payload?: "ethernet" | "ip";
  /**
   * Writes checksums.
   * @default false
   */
  readonly checksum?: boolean;
}

/** IP in IP: 4in4, 6in4, 4in6 and 6in6 (RFC 2003, 4213, 2473). */
export interface MuxIpipTunnel extends MuxIpTunnelBase {
  readonly protocol: "ipip";
}

/** One tag (IEEE 802.1Q). */
export interface MuxVlanTunnel extends MuxTunnelBase {
  readonly protocol: "vlan";
  /** VLAN, 1 to 4094. */
  readonly vlanId: number;
  /**
   * Priority code point, 0 to 7.
   * @default 0
   */
  readonly priority?: number;
}

/** Two tags: 802.1ad outside, 802.1Q inside. */
export interface MuxQinqTunnel extends MuxTunnelBase {
  readonly protocol: "qinq";
  /** Inner VLAN, 1 to 4094. */
  readonly vlanId: number;
  /** Outer VLAN, 1 to 4094. */
  readonly outerVlanId: number;
  /**
   * Priority code point of both tags, 0 to 7.
   * @default 0
   */
  readonly priority?: number;
}

/** A tunnel of one of the six protocols. */
export type MuxTunnel =
  MuxGeneveTunnel | MuxVxlanTunnel | MuxGreTunnel | MuxIpipTunnel | MuxVlanTunnel | MuxQinqTunnel;

/** Tunnels by XDP. */
export interface GeneveMuxProps extends LifecycleProps {
  /** The link that outer packets come in by, and leave by unless the routing table says otherwise. */
  readonly uplink: LinkHandle | string;
  /** The tunnels, of any protocols. */
  readonly tunnels: readonly MuxTunnel[];
  /**
   * Names the program's pins: 1 to 48 letters, digits, `_` and `-`; unique on the host.
   * @default - the construct's id
   */
  readonly name?: string;
  /**
   * MTU of the path between the ends in bytes. The tunnels' interfaces get what remains of it, unless they have an MTU of
   * their own.
   * @default 1500
   */
  readonly underlayMtu?: number;
  /**
   * UDP ports where tunnels arrive, and where they are sent to.
   * @default - 6081 and 4789
   */
  readonly ports?: { readonly geneve?: number; readonly vxlan?: number };
  /**
   * For how long a route and its neighbour are kept before the routing table is asked again, in jiffies of the kernel
   * (a 250th of a second on Debian), 0 to 4294967294.
   * @default 50
   */
  readonly routeHold?: number;
  /**
   * Lets a prefix lie inside another of the same interface: the longest wins. Without, it is taken for a mistake.
   * @default false
   */
  readonly nestedPrefixes?: boolean;
  /**
   * Source addresses of ICMP errors.
   * @default - the destination that the packet was for
   */
  readonly icmpSource?: { readonly ipv4?: string; readonly ipv6?: string };
  /**
   * How many ends and keys the maps have room for: a power of two from 16 on. Growing means a new version of the program,
   * which takes the old one's place without a gap.
   * @default - what the tunnels need
   */
  readonly capacity?: number;
}
