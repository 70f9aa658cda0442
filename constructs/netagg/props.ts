import type { LifecycleProps } from "../../lib/synth";
import type { Host } from "../host";
import type { ModuleSigning } from "../kernel-module";

/** Milliseconds between two probes of a path, where nothing is said. */
export const INTERVAL_MS = 25;

/** Milliseconds of silence after which a path is left, where nothing is said: so many, or so many intervals. */
export const DEAD_AFTER_MS = 125;
export const DEAD_AFTER_INTERVALS = 5;

/** One way from the sender to the receiver. */
export interface NetAggPath {
  /** The receiver's interface that the path ends at, which has its address: at most 15 bytes. */
  readonly interface: string;
  /**
   * The receiver's address on it, IPv4 or IPv6 as the other paths': `10.0.0.11/24`, or without the prefix length where
   * all traffic from the address goes by the gateway. No two paths have the same. The first path's is the one that
   * applications connect to. The update ends with an error, before any rule is put in, where the interface does not
   * have it.
   */
  readonly address: string;
  /**
   * The next router on the receiver's side, in the network of the address where that has a prefix length.
   * @default - none: the sender is on the same network, and the address has its prefix length
   */
  readonly gateway?: string;
  /** Its share of the bytes among the paths, 1 to 1000000: mostly its capacity in kbit/s. */
  readonly weight: number;
  /**
   * TCP port on this path, 1 to 65535.
   * @default - the pair's
   */
  readonly port?: number;
}

/** How paths are watched. */
export interface NetAggProbes {
  /**
   * UDP port on both hosts, 1 to 65535, which the receiver's firewall lets in. It also carries encapsulated packets.
   * @default 7481
   */
  readonly port?: number;
  /**
   * Milliseconds between two probes of a path, 5 to 1000.
   * @default 25
   */
  readonly intervalMs?: number;
  /**
   * Milliseconds of silence after which a path is left, 10 to 10000 and at least twice the interval.
   * @default - five times the interval, and 125 at least
   */
  readonly deadAfterMs?: number;
}

/** One end of the connections. */
export interface NetAggEnd {
  /** The host, in whose initial namespace the end is. */
  readonly host: Host;
  /**
   * Packages of the distribution that the module's build needs on this host.
   * @default - the pair's
   */
  readonly packages?: readonly string[];
  /**
   * What the module is signed with on this host.
   * @default - the pair's
   */
  readonly sign?: ModuleSigning;
}

/** The end that is connected to. */
export interface NetAggReceiver extends NetAggEnd {
  /** The paths that lead to it: 2 to 8, all IPv4 or all IPv6, the first of them primary. */
  readonly paths: readonly NetAggPath[];
}

/**
 * A sender, a receiver with several addresses, and how their TCP connections use the paths between them. `adopt`,
 * `protect` and `timeouts` hold for the pair's routes and rules, and for the module and its tool on both hosts, which all
 * pairs of a host share: these are adopted or protected where one of the pairs asks for it.
 */
export interface NetAggPairProps extends Pick<LifecycleProps, "adopt" | "protect" | "timeouts"> {
  /** The host that connects. */
  readonly sender: NetAggEnd;
  /** Another host, which is connected to, with the paths that lead to it. */
  readonly receiver: NetAggReceiver;
  /** TCP port that applications connect to, at the first path's address: 1 to 65535. */
  readonly port: number;
  /**
   * What carries the connections over several paths. `"module"` is the kernel module netagg, which applications do not
   * notice. `"mptcp"` is the kernel's Multipath TCP (RFC 8684), for applications that open MPTCP sockets on both ends
   * (or are started by mptcpize(8)) and listen on all addresses; it goes by its own scheduler, not by weights. `"auto"`
   * is the module unless `mptcpSockets` is set and nothing is asked for that only the module does. The output `backend`
   * says which it is, and why.
   * @default "auto"
   */
  readonly backend?: "module" | "mptcp" | "auto";
  /**
   * Says that the applications on both ends open MPTCP sockets.
   * @default false
   */
  readonly mptcpSockets?: boolean;
  /**
   * Whether each packet is put on the path that is due (`"packet"`), or a path is left only after a pause of the
   * connection (`"flowlet"`).
   * @default "packet"
   */
  readonly schedule?: "packet" | "flowlet";
  /**
   * That pause in milliseconds, 0.1 to 10000; for `schedule: "flowlet"` only.
   * @default 20
   */
  readonly flowletMs?: number;
  /**
   * Milliseconds that the receiver keeps a packet back at most, until an earlier one has come by another path; 0 to
   * 2000. Within this the time is the measured difference of the paths' delays.
   * @default 300
   */
  readonly maxHoldMs?: number;
  /**
   * How paths are watched, or `false`: no probes, and every path counts as alive. Then nothing is encapsulated.
   * @default - every 25 ms
   */
  readonly probes?: NetAggProbes | false;
  /**
   * The weights follow what the paths turn out to carry.
   * @default false
   */
  readonly adaptive?: boolean;
  /**
   * Packets travel inside UDP, for paths with NAT or a stateful firewall in between.
   * @default false
   */
  readonly encapsulated?: boolean;
  /**
   * First of the receiver's routing tables, one for each path, and of the priorities of the rules that lead to them: 1
   * to 32764 with two paths, without 253 to 255, which are the kernel's. No two pairs of a receiver have one table.
   * @default - the first of 7481, 7489, 7497, … of whose eight tables earlier pairs of the program have none on the
   * receiver. A pair that is added after others changes nothing for them; give them the `firstTable` that they have
   * before an earlier one is taken out
   */
  readonly firstTable?: number;
  /**
   * Packages of the distribution that the module's build needs on both hosts, such as `["linux-headers-amd64", "gcc",
   * "make", "libc6-dev"]`. Pairs that share a host say the same, or only one of them says it.
   * @default - another pair's of the host, else none: they are there, or the error says which are not
   */
  readonly packages?: readonly string[];
  /**
   * What the module is signed with on both hosts, for a kernel that loads signed modules only. Pairs that share a host
   * say the same, or only one of them says it.
   * @default - another pair's of the host, else not signed; such a kernel is told of before anything is built
   */
  readonly sign?: ModuleSigning;
}
