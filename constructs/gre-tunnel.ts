import type { Construct } from "constructs";
import { link } from "../lib/kinds/link";
import type { Input } from "../lib/synth";
import { KernelObject } from "../lib/synth";
import type { InNamespaceProps, LinkSysctls } from "./common";
import { leafProps, placeFor } from "./common";
import type { ILink } from "./link-handle";
import { LinkHandle } from "./link-handle";

/** One end of a GRE tunnel. */
export interface GreTunnelProps extends InNamespaceProps {
  /**
   * Interface name, at most 15 bytes.
   * @default - the construct's id
   */
  readonly name?: string;
  /** Own address of the outer packets. An IPv6 one makes the tunnel an ip6gre. */
  readonly local: string;
  /** The other end's address, of the same family. */
  readonly remote: string;
  /**
   * Key of both directions, 0 to 4294967295 (RFC 2890). May be a secret.
   * @default - none
   */
  readonly key?: Input<number>;
  /**
   * Checksums in both directions (RFC 2784). The other end must agree.
   * @default false
   */
  readonly checksum?: boolean;
  /**
   * Sequence numbers in both directions (RFC 2890): packets out of order are dropped.
   * @default false
   */
  readonly sequence?: boolean;
  /**
   * Hop limit of the outer packets, 1 to 255.
   * @default 64
   */
  readonly ttl?: number;
  /**
   * Traffic class of the outer packets: an even number from 0 to 254, or `"inherit"` from the inner ones.
   * @default - the kernel's
   */
  readonly tos?: number | "inherit";
  /**
   * Sets Don't Fragment on the outer packets of an IPv4 tunnel.
   * @default true
   */
  readonly pathMtuDiscovery?: boolean;
  /**
   * Carries Ethernet frames instead of IP packets (gretap, ip6gretap), so that it can be a bridge's port.
   * @default false
   */
  readonly ethernet?: boolean;
  /**
   * The link that the outer packets must leave by.
   * @default - any, by route
   */
  readonly dev?: string;
  /**
   * MTU in bytes.
   * @default - what fits: the MTU of the link below minus what GRE adds (24 bytes over IPv4, 4 more with a key)
   */
  readonly mtu?: number;
  /**
   * MTU of the path between the ends in bytes, where it is smaller than that of the links below them.
   * @default - the smaller MTU of the links below both ends, as far as the program makes them; else 1500
   */
  readonly underlayMtu?: number;
  /**
   * Addresses with prefix length.
   * @default - none
   */
  readonly addresses?: readonly string[];
  /**
   * Sysctls of the tunnel's interface.
   * @default - the kernel's
   */
  readonly sysctls?: LinkSysctls;
}

/**
 * One end of a GRE tunnel (RFC 2784, RFC 2890, RFC 7676 over IPv6). GRE hides nothing and proves nothing: whoever
 * can send as `remote` can put packets in.
 *
 * @example
 * new GreTunnel(site1, "gre1", { local: "10.100.0.1", remote: "10.200.0.1", addresses: ["192.168.1.1/30"] });
 */
export class GreTunnel extends KernelObject implements ILink {
  /** The tunnel's interface, for a bridge (with `ethernet`). */
  readonly link: LinkHandle;

  constructor(scope: Construct, id: string, props: GreTunnelProps) {
    const { name = id, local, remote, key, checksum, sequence, ttl = 64, tos, pathMtuDiscovery } = props;
    const { ethernet = false, dev, mtu, underlayMtu, addresses, sysctls } = props;
    const v6 = remote.includes(":") || local.includes(":");
    super(scope, id, {
      ...leafProps(props),
      kind: link,
      intent: () => ({
        kind: `${v6 ? "ip6gre" : "gre"}${ethernet ? "tap" : ""}`,
        name,
        local,
        remote,
        key,
        checksum,
        sequence,
        ttl,
        tos,
        pathMtuDiscovery,
        link: dev,
        mtu,
        addresses,
        sysctls,
        master: this.link.master,
      }),
      complete: (intent, view) => ({ ...intent, mtu: mtu ?? view.tunnelMtu(underlayMtu) }),
      origin: (path) => (path[0] === "link" ? ["dev", ...path.slice(1)] : path),
    });
    this.link = new LinkHandle(this, name, placeFor(scope, props.namespace));
  }
}
