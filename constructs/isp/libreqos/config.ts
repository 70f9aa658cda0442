/** Where LibreQoS stands in the path. One or the other: a bridge of two interfaces, or one interface with two VLANs. */
export type LibreQoSPath =
  | {
      readonly mode: "bridge";
      /**
       * What forwards between the two sides: a Linux bridge that somebody makes, or LibreQoS' own XDP bridge.
       * Both at once would forward every packet twice.
       */
      readonly bridge: "linux" | "xdp";
      /** Interface towards the Internet (edge router; `interfaceB` before 1.5). */
      readonly toInternet: string;
      /** Interface towards the subscribers (core router; `interfaceA` before 1.5). */
      readonly toNetwork: string;
    }
  | {
      readonly mode: "onAStick";
      /** The one interface, which carries both VLANs. */
      readonly interface: string;
      /** VLAN towards the Internet, 1 to 4094 (`StickVlanB` before 1.5). */
      readonly internetVlan: number;
      /** VLAN towards the subscribers, 1 to 4094 (`StickVlanA` before 1.5). */
      readonly networkVlan: number;
    };

/** Mbit/s in both directions, whole numbers. */
export interface Capacity {
  readonly download: number;
  readonly upload: number;
}

/** What lqosd changes on the interfaces when it starts; LibreQoS' defaults. */
export interface LibreQoSTuning {
  /** Stop irqbalance, which breaks XDP redirection. @default true */
  readonly stopIrqBalance?: boolean;
  /** net.core.netdev_budget_usecs @default 8000 */
  readonly netdevBudgetUsecs?: number;
  /** net.core.netdev_budget @default 300 */
  readonly netdevBudgetPackets?: number;
  /** Interrupt moderation on receipt, µs. @default 8 */
  readonly rxUsecs?: number;
  /** Interrupt moderation on transmission, µs. @default 8 */
  readonly txUsecs?: number;
  /** @default true */
  readonly disableRxvlan?: boolean;
  /** @default true */
  readonly disableTxvlan?: boolean;
  /** ethtool(8)'s words. @default ["gso","tso","lro","sg","gro"] */
  readonly disableOffload?: readonly string[];
}

/** LibreQoS' settings, for /etc/lqos.conf (1.5 and later) and ispConfig.py (before). */
export interface LibreQoSConfig {
  readonly path: LibreQoSPath;
  /** Mbit/s of the uplink; nothing is shaped to more. */
  readonly uplink: Capacity;
  /** Mbit/s of each generated parent, for circuits without one: what a CPU core can do. @default - the uplink's */
  readonly generatedParent?: Capacity;
  /** Queue of every circuit: tc's words. @default "cake diffserv4" */
  readonly sqm?: string;
  /** `observe` watches without shaping. @default "shape" */
  readonly queueMode?: "shape" | "observe";
  /** Queues to use, 2 or more. @default - as many as interfaces and CPUs allow */
  readonly queues?: number;
  /** Spread circuits without a parent by their plans; not advised above 25,000. @default false */
  readonly binPacking?: boolean;
  /** Make circuit queues on first use: `No`, HTB classes at once, or nothing at once. 1.5 only. @default - not said */
  readonly lazyQueues?: "No" | "Htb" | "Full";
  /** Seconds after which unused lazy queues go. 1.5 only. @default - not said */
  readonly lazyExpireSeconds?: number;
  /** Print the commands only. @default false */
  readonly dryRun?: boolean;
  /** Put sudo before the commands. @default false */
  readonly sudo?: boolean;
  /** Prefixes that are shaped. @default - private and shared address space */
  readonly allowSubnets?: readonly string[];
  /** Prefixes that are not shaped even when allowed. @default - none (1.4's own default hid 192.168.0.0/16) */
  readonly ignoreSubnets?: readonly string[];
  /** Minutes between two looks at the files. @default 30 */
  readonly refreshMinutes?: number;
  /** 1.5 only. @default "/opt/libreqos/src" */
  readonly directory?: string;
  /** Unique name of the shaper. 1.5 only. @default "netloom" */
  readonly nodeId?: string;
  /** What people call the shaper. 1.5 only. @default "LibreQoS" */
  readonly nodeName?: string;
  /** 1.5 only. @default - LibreQoS' own */
  readonly tuning?: LibreQoSTuning;
}

/** RFC 1918 and RFC 6598: what LibreQoS 1.5 allows when nothing is said. */
export const DEFAULT_ALLOW_SUBNETS: readonly string[] = [
  "10.0.0.0/8",
  "100.64.0.0/10",
  "172.16.0.0/12",
  "192.168.0.0/16",
];

/** The settings with every default in its place. */
export type FullLibreQoSConfig = Required<
  Omit<LibreQoSConfig, "queues" | "lazyQueues" | "lazyExpireSeconds" | "tuning">
> &
  Pick<LibreQoSConfig, "queues" | "lazyQueues" | "lazyExpireSeconds"> & {
    readonly tuning: Required<LibreQoSTuning>;
  };

/** Fills in the defaults. */
export function withDefaults(config: LibreQoSConfig): FullLibreQoSConfig {
  return {
    generatedParent: config.uplink,
    sqm: "cake diffserv4",
    queueMode: "shape",
    binPacking: false,
    dryRun: false,
    sudo: false,
    allowSubnets: DEFAULT_ALLOW_SUBNETS,
    ignoreSubnets: [],
    refreshMinutes: 30,
    directory: "/opt/libreqos/src",
    nodeId: "netloom",
    nodeName: "LibreQoS",
    ...config,
    tuning: {
      stopIrqBalance: true,
      netdevBudgetUsecs: 8000,
      netdevBudgetPackets: 300,
      rxUsecs: 8,
      txUsecs: 8,
      disableRxvlan: true,
      disableTxvlan: true,
      disableOffload: ["gso", "tso", "lro", "sg", "gro"],
      ...config.tuning,
    },
  };
}
