import type { Construct } from "constructs";
import { fou as fouKind } from "../../lib/kinds/fou";
import { link } from "../../lib/kinds/link";
import type { IPlace, Place } from "../../lib/synth";
import { addFindings, Composite, definePlace, KernelObject, parseCidr, placeOf } from "../../lib/synth";
import type { InNamespaceProps, LinkSysctls } from "../common";
import { Firewall } from "../firewall";
import type { ILink } from "../link-handle";
import { LinkHandle } from "../link-handle";
import { subscriberPolicy } from "./subscriber-policy";

/** UDP around the GRE packets, for clients behind a NAT (ip-fou(8)). */
export interface FouProps {
  /**
   * UDP port that this end sends from, 1 to 65535.
   * @default - the server's port
   */
  readonly sourcePort?: number;
  /**
   * UDP port of the other end: for the server, the port that the NAT shows.
   * @default 5555
   */
  readonly port?: number;
}

/** What both ends of a subscriber's tunnel take. */
export interface GreSubscriberTunnelProps extends Pick<InNamespaceProps, "namespace"> {
  /**
   * The namespace that the outer packets travel in; a `Host` stands for its initial one. The link is made there and
   * sent to its own.
   * @default - the namespace that the tunnel is in
   */
  readonly underlay?: IPlace;
  /**
   * Interface name, at most 15 bytes.
   * @default - the construct's id
   */
  readonly name?: string;
  /**
   * Own address of the outer packets, IPv4 or IPv6.
   * @default - the one that fits the route
   */
  readonly local?: string;
  /** The other end's address, of the same family. */
  readonly remote: string;
  /**
   * Key of both directions, 0 to 4294967295 (RFC 2890). It tells tunnels apart and protects nothing.
   * @default - none
   */
  readonly key?: number;
  /**
   * Checksums in both directions (RFC 2784). The other end must agree.
   * @default false
   */
  readonly checksum?: boolean;
  /**
   * Hop limit of the outer packets, 1 to 255.
   * @default 64
   */
  readonly ttl?: number;
  /** This end's addresses inside the tunnel, with prefix length. */
  readonly addresses: readonly string[];
  /**
   * Sends GRE inside UDP, and receives it so.
   * @default - plain GRE
   */
  readonly fou?: FouProps;
  /**
   * MTU in bytes.
   * @default - what fits: the MTU of the way between the ends minus what the encapsulation adds
   */
  readonly mtu?: number;
  /**
   * MTU of the way between the ends in bytes, where it is smaller than that of the links that the program makes.
   * @default - that of the links below, else 1500
   */
  readonly underlayMtu?: number;
  /**
   * Sysctls of the tunnel's interface.
   * @default - the kernel's
   */
  readonly sysctls?: LinkSysctls;
}

/** The server's end of one subscriber's tunnel, by itself; `TunnelPool` makes those of many. */
export interface GreSubscriberServerProps extends GreSubscriberTunnelProps {
  /**
   * Addresses and networks that are the subscriber's. Whatever else comes in by the tunnel is dropped and counted, and
   * so is what would go to another subscriber (`sub-*`).
   * @default - neither is checked here
   */
  readonly sources?: readonly string[];
}

/** IANA has no port for GRE in UDP without its own header; this is the one of ip-fou(8)'s examples. */
const FOU_PORT = 5555;
/** IANA's protocol number of GRE. */
const GRE = 47;

/**
 * One end of a subscriber's GRE tunnel: keyed, with the MTU that fits, over IPv4 or IPv6, inside UDP where a NAT is in
 * the way. GRE hides nothing: whoever can send as the other end can put packets in.
 *
 * @example
 * GreSubscriberTunnel.client(home, "gre1", { local: "198.51.100.7", remote: "192.0.2.1", key: 17, addresses: ["192.168.11.66/30"] });
 */
export class GreSubscriberTunnel extends Composite implements ILink {
  /** The server's end: checks where packets come from, and keeps subscribers apart. */
  static server(scope: Construct, id: string, props: GreSubscriberServerProps): GreSubscriberTunnel {
    return new GreSubscriberTunnel(scope, id, props, "server");
  }

  /** The subscriber's end. What uses it is for `ClientRouting` to say. */
  static client(scope: Construct, id: string, props: GreSubscriberTunnelProps): GreSubscriberTunnel {
    return new GreSubscriberTunnel(scope, id, props, "client");
  }

  /** The tunnel's interface. */
  readonly link: LinkHandle;

  private constructor(
    scope: Construct,
    id: string,
    props: GreSubscriberServerProps,
    end: "server" | "client",
  ) {
    super(scope, id);
    const place = props.namespace?.place ?? placeOf(scope);
    const { name = id } = props;
    if (place === undefined) {
      this.link = new LinkHandle(this, name, place);
      const message = "is on no host: create it inside a Host or a Namespace, or give it one";
      addFindings(this, () => [{ path: ["namespace"], message }]);
      return;
    }
    definePlace(this, place);
    const underlay = props.underlay?.place ?? place;
    const tunnel = new KernelObject(this, "link", {
      kind: link,
      onBehalfOf: this,
      intent: () => ({ ...intentOf(props, name, place, underlay), master: this.link.master }),
      complete: (intent, view) => ({ ...intent, mtu: props.mtu ?? view.tunnelMtu(props.underlayMtu) }),
      origin: (path) => (path[0] === "encap" ? ["fou", ...path.slice(1)] : path),
    });
    // Its owner is what knows the outer addresses, which whoever routes into the tunnel asks for.
    this.link = new LinkHandle(tunnel, name, place);
    if (props.fou !== undefined) tunnel.node.addDependency(receiver(scope, underlay, props));
    const { sources } = props;
    if (end === "client" || sources === undefined) return;
    addFindings(this, () =>
      sources.flatMap((source, index) => {
        const message = `${JSON.stringify(source)} is no address or network`;
        return parseCidr(source) === undefined ? [{ path: ["sources", index], message }] : [];
      }),
    );
    const policy = new Firewall(this, "policy", {
      table: `${name}-subscriber`,
      ...subscriberPolicy({
        members: [{ id, interface: name, ownInterface: true, sources }],
        checkSource: true,
        reachEachOther: false,
      }),
    });
    tunnel.node.addDependency(policy);
  }
}

function intentOf(props: GreSubscriberTunnelProps, name: string, place: Place, underlay: Place) {
  const { local, remote, key, checksum, ttl = 64, addresses, sysctls, fou } = props;
  const { port = FOU_PORT } = fou ?? {};
  return {
    kind: remote.includes(":") ? "ip6gre" : "gre",
    name,
    ...(underlay.netns !== place.netns && { linkNetns: underlay.netns ?? "" }),
    local,
    remote,
    key,
    checksum,
    ttl,
    addresses,
    sysctls,
    // A port of the NAT's own choice for each flow would find no way back: one port, kept.
    encap: fou && { type: "fou" as const, sourcePort: fou.sourcePort ?? port, destinationPort: port },
  };
}

/** The port that receives GRE inside UDP: one for each port and family of a namespace, shared by its tunnels. */
function receiver(
  scope: Construct,
  underlay: Place,
  { fou, remote }: GreSubscriberTunnelProps,
): KernelObject {
  const port = fou?.sourcePort ?? fou?.port ?? FOU_PORT;
  const family = remote.includes(":") ? 6 : 4;
  const id = `fou-${port}${family === 6 ? "-ipv6" : ""}`;
  const there = scope.node.tryFindChild(id);
  if (there !== undefined && KernelObject.isKernelObject(there)) return there;
  return new KernelObject(scope, id, {
    kind: fouKind,
    place: underlay,
    intent: { port, family, protocol: GRE },
  });
}
