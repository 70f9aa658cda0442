import type { Construct } from "constructs";
import { link } from "../../lib/kinds/link";
import type { IPlace, Place } from "../../lib/synth";
import { Composite, definePlace, hash32, interfaceName, KernelObject } from "../../lib/synth";
import { Bridge } from "../bridge";
import { LinkHandle } from "../link-handle";
import { VethPair } from "../veth-pair";
import type { BridgeMode } from "./shaper";
import { XdpBridge } from "./xdp-bridge";

/** A shaper on a machine of its own, reached by two VLANs of one NIC. */
export interface OnAStick {
  /** The machine that shapes. */
  readonly host: IPlace;
  /** Its NIC, which carries both VLANs. */
  readonly interface: string;
  /** The ISP machine's NIC on the same trunk. */
  readonly trunk: string;
  /** VLAN id between the subscribers' namespace and the shaper, 1 to 4094. */
  readonly downstreamVlan: number;
  /** VLAN id between the shaper and the NAT, 1 to 4094. */
  readonly upstreamVlan: number;
}

/** The way between the namespace of the subscribers and that of the NAT. */
export interface ShapingPathProps {
  /** The ISP machine itself. */
  readonly host: IPlace;
  /** The namespace that the subscribers' tunnels end in. */
  readonly subscribers: IPlace;
  /** The namespace towards the Internet. */
  readonly internet: IPlace;
  /** Addresses of the way's two ends, with prefix length. */
  readonly addresses: { readonly subscribers: readonly string[]; readonly internet: readonly string[] };
  /** What carries frames between the two sides. */
  readonly bridge: BridgeMode;
  /**
   * Receive and transmit queues of each veth, 2 to 4096: LibreQoS spreads its work over them.
   * @default 8
   */
  readonly queues?: number;
  /**
   * Shapes on another machine, over two VLANs.
   * @default - on the ISP machine itself, between two veth pairs
   */
  readonly onAStick?: OnAStick;
}

/** Names of the interfaces inside the two namespaces, said from where one stands. */
export const TO_INTERNET = "to-internet";
export const TO_SUBSCRIBERS = "to-subscribers";

/** A side is a wire: without an address of its own the machine answers nobody by it. */
const WITHOUT_IPV6 = { "ipv6/disable_ipv6": "1" } as const;

/** Both sides, and the links before them. */
type Sides = [LinkHandle, LinkHandle, { readonly download: LinkHandle; readonly upload: LinkHandle }];

/** What comes in by the far end of one cable goes out by the near end of the other. */
const sidesOf = ([down, up]: readonly [VethPair, VethPair]): Sides => [
  down.a,
  up.a,
  { download: up.b, upload: down.b },
];

/**
 * The way between the two namespaces, through the point where traffic is shaped: side A towards the subscribers, side B
 * towards the Internet, bridged. The sides have no addresses: the machine that they are on cannot be reached by them.
 */
export class ShapingPath extends Composite {
  /** Its egress carries downloads. */
  readonly subscriberSide: LinkHandle;
  /** Its egress carries uploads. */
  readonly internetSide: LinkHandle;
  /** The cables' ends in the two namespaces, by whose egress traffic comes to the sides. */
  readonly before: { readonly download: LinkHandle; readonly upload: LinkHandle };

  constructor(scope: Construct, id: string, props: ShapingPathProps) {
    super(scope, id);
    const { host, bridge, onAStick } = props;
    definePlace(this, (onAStick?.host ?? host).place);
    if (onAStick === undefined && bridge === "xdp") {
      [this.subscriberSide, this.internetSide, this.before] = this.#joined(props);
      return;
    }
    const sides = onAStick === undefined ? sidesOf(this.#pairs(props)) : this.#vlans(props, onAStick);
    [this.subscriberSide, this.internetSide, this.before] = sides;
    if (bridge !== "linux") return;
    const ports = [this.subscriberSide, this.internetSide];
    new Bridge(this, "bridge", { name: this.#name("br"), ports, sysctls: WITHOUT_IPV6 });
  }

  /** Both sides on the ISP machine: the inner ends of two veth pairs. */
  #pairs(
    { host, subscribers, internet, addresses, queues = 8 }: ShapingPathProps,
    numbers: readonly number[] = [],
  ) {
    const pair = (side: string, far: IPlace, name: string, ips: readonly string[], index?: number) =>
      new VethPair(this, side, {
        a: { namespace: host, name: this.#name(side), sysctls: WITHOUT_IPV6 },
        b: { namespace: far, name, addresses: ips },
        queues,
        ...(index !== undefined && { index }),
      });
    return [
      pair("down", subscribers, TO_INTERNET, addresses.subscribers, numbers[0]),
      pair("up", internet, TO_SUBSCRIBERS, addresses.internet, numbers[1]),
    ] as const;
  }

  /** The same, joined by programs, which know links by number: one that nobody gives by hand, and the next. */
  #joined(props: ShapingPathProps): Sides {
    const first = 0x4000_0000 + 2 * (hash32(this.node.path) % 0x1000_0000);
    const [down, up] = this.#pairs(props, [first, first + 1]);
    new XdpBridge(this, "bridge", {
      sides: [
        { link: down.a, index: first, peer: down.b },
        { link: up.a, index: first + 1, peer: up.b },
      ],
    });
    return sidesOf([down, up]);
  }

  /**
   * Both sides on another machine: there two VLANs of its NIC, here the same two VLANs of the trunk, each bridged to a
   * cable into its namespace.
   */
  #vlans(props: ShapingPathProps, stick: OnAStick): Sides {
    const { host, subscribers, internet, addresses, queues = 8 } = props;
    const vlan = (id: string, place: Place, parent: string, vlanId: number): LinkHandle => {
      const name = this.#name(id);
      const made = new KernelObject(this, id, {
        kind: link,
        place,
        onBehalfOf: this,
        intent: () => ({
          kind: "vlan",
          name,
          link: parent,
          vlanId,
          sysctls: WITHOUT_IPV6,
          master: handle.master,
        }),
      });
      const handle: LinkHandle = new LinkHandle(made, name, place);
      return handle;
    };
    const end = (id: string, far: IPlace, name: string, vlanId: number, ips: readonly string[]) => {
      const cable = new VethPair(this, `${id}-cable`, {
        a: { namespace: host, name: this.#name(`${id}c`), sysctls: WITHOUT_IPV6 },
        b: { namespace: far, name, addresses: ips },
        queues,
      });
      new Bridge(this, `${id}-bridge`, {
        namespace: host,
        name: this.#name(`${id}b`),
        ports: [vlan(`${id}v`, host.place, stick.trunk, vlanId), cable.a],
        sysctls: WITHOUT_IPV6,
      });
      return cable.b;
    };
    const upload = end("s", subscribers, TO_INTERNET, stick.downstreamVlan, addresses.subscribers);
    const download = end("i", internet, TO_SUBSCRIBERS, stick.upstreamVlan, addresses.internet);
    return [
      vlan("down", stick.host.place, stick.interface, stick.downstreamVlan),
      vlan("up", stick.host.place, stick.interface, stick.upstreamVlan),
      { download, upload },
    ];
  }

  /** Interfaces of the machine's initial namespace, named for the ISP that they belong to. */
  #name(role: string): string {
    return interfaceName(role, this.node.scope?.node.id ?? "");
  }
}
