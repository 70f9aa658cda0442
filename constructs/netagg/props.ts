import type { Host } from "../host";
import type { ModuleSigning } from "../kernel-module";

/** One way from the sender to the receiver. */
export interface NetAggPath {
  /** The receiver's interface that the path ends at. */
  readonly interface: string;
  /**
   * The receiver's address on it, which it must have: `10.0.0.11/24`, or without the prefix length where all traffic
   * from the address goes by the gateway. The first path's is the one that applications connect to.
   */
  readonly address: string;
  /**
   * The next router on the receiver's side.
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
   * UDP port on both hosts, 1 to 65535. It also carries encapsulated packets.
   * @default 7481
   */
  readonly port?: number;
  /**
   * Milliseconds between two probes of a path, 5 to 1000.
   * @default 25
   */
  readonly intervalMs?: number;
  /**
   * Milliseconds of silence after which a path is left, at least twice the interval and at most 10000.
   * @default 125
   */
  readonly deadAfterMs?: number;
}

/** A sender, a receiver with several addresses, and how their TCP connections use the paths between them. */
export interface NetAggPairProps {
  /** The host that connects. */
  readonly sender: { readonly host: Host };
  /** The host that is connected to, with the paths that lead to it: 2 to 8, the first of them primary. */
  readonly receiver: { readonly host: Host; readonly paths: readonly NetAggPath[] };
  /** TCP port that applications connect to, 1 to 65535. */
  readonly port: number;
  /**
   * What carries the connections over several paths. `"module"` is the kernel module netagg, which applications do not
   * notice. `"mptcp"` is the kernel's Multipath TCP (RFC 8684), for applications that open MPTCP sockets on both ends
   * (or are started by mptcpize(8)); it goes by its own scheduler, not by weights. `"auto"` is the module unless
   * `mptcpSockets` is set and nothing is asked for that only the module does. The output `backend` says which it is,
   * and why.
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
   * That pause in milliseconds, 0.1 to 10000.
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
   * How paths are watched, or `false`: no probes, and every path counts as alive.
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
   * First of the receiver's routing tables, one for each path, and of the priorities of the rules that lead to them.
   * @default 7481
   */
  readonly firstTable?: number;
  /**
   * Packages of the distribution that the module's build needs on both hosts, such as `["linux-headers-amd64", "gcc",
   * "make", "libc6-dev"]`.
   * @default - none: they are there, or the error says which are not
   */
  readonly packages?: readonly string[];
  /**
   * What the module is signed with, for a kernel that loads signed modules only.
   * @default - not signed
   */
  readonly sign?: ModuleSigning;
}
