import type { Construct } from "constructs";
import { tunnels as tunnelsKind } from "../../lib/kinds/geneve-mux";
import { sizesOf } from "../../lib/kinds/geneve-mux/layout";
import { REASONS } from "../../lib/kinds/geneve-mux/reasons";
import type { IPlace } from "../../lib/synth";
import { addFindings, Composite, definePlace, KernelObject, lifecycleOf } from "../../lib/synth";
import { BpfObject, XdpProgram } from "../bpf";
import { LinkHandle } from "../link-handle";
import { Sysctls } from "../sysctls";
import { endsOf, isIp, isRouted, nameOf, outerFamily, overheadOf, peerOf } from "./ends";
import { findingsOfProps } from "./findings";
import type { GeneveMuxProps } from "./props";

export type {
  GeneveMuxProps,
  GeneveOption,
  MuxGeneveTunnel,
  MuxGreTunnel,
  MuxIpipTunnel,
  MuxIpTunnelBase,
  MuxMacs,
  MuxQinqTunnel,
  MuxSelection,
  MuxTunnel,
  MuxTunnelBase,
  MuxUdpTunnelBase,
  MuxVlanTunnel,
  MuxVxlanTunnel,
} from "./props";

/**
 * Tunnels by XDP: Geneve, VXLAN, GRE, IP in IP, VLAN and QinQ tags, any number of each on one uplink. Packets are pushed
 * where they come in, before the kernel has looked at them, and popped where they arrive.
 *
 *     namespace ── peer │ interface ── push ──► uplink ══ network
 *                       │           ◄── pop ───
 *
 * @example
 * new GeneveMux(node1, "mux", {
 *   uplink: "eth1",
 *   tunnels: [{ name: "node2", protocol: "geneve", vni: 100, local: "192.0.2.1", remote: "192.0.2.2",
 *     interface: cable.a, select: { destinations: ["10.200.2.0/24"] } }],
 * });
 */
export class GeneveMux extends Composite {
  /** Names its pins. */
  readonly name: string;

  constructor(host: IPlace & Construct, id: string, props: GeneveMuxProps) {
    super(host, id);
    definePlace(this, host.place);
    this.name = props.name ?? id;
    const findings = findingsOfProps(props);
    addFindings(this, () => findings);
    addFindings(this, () => placeFindings(host, props));
    // What is built on wrong props would only repeat what is wrong with them.
    if (findings.length === 0) this.#build(host, props);
  }

  #build(host: IPlace & Construct, props: GeneveMuxProps): void {
    const { tunnels, uplink } = props;
    const ends = Object.fromEntries(tunnels.flatMap((tunnel) => endsOf(tunnel, props)));
    const capacity = props.capacity ?? capacityFor(Object.values(ends));
    const object = new BpfObject(this, "program", {
      ...lifecycleOf(props),
      source: "geneve-mux/geneve-mux.bpf.c",
      name: this.name,
      flags: Object.entries(sizesOf(capacity)).map(([size, value]) => `-D${size}=${value}`),
      programs: ["mux_both", "mux_pop", "mux_push"],
      // The tunnels are written into new maps before the new version is attached.
      onMapChange: "recreate",
      statistics: {
        reasons: {
          map: "mux_stats",
          key: { reason: "u32" },
          value: { packets: "u64", bytes: "u64" },
          names: { reason: REASONS },
        },
      },
    });
    const links = linksOf(props);
    const filled = new KernelObject(this, "tunnels", {
      kind: tunnelsKind,
      onBehalfOf: this,
      intent: {
        program: object.name,
        version: object.version,
        capacity,
        links: Object.fromEntries(links.map((link) => [nameOf(link), portOf(link, props)])),
        ends,
      },
    });
    filled.node.addDependency(object);
    object.filledBy(filled);
    for (const tunnel of tunnels) if (tunnel.peer) filled.node.addDependency(tunnel.peer.owner);
    for (const link of links) if (link instanceof LinkHandle) filled.node.addDependency(link.owner);
    this.#forwarding(host, props, filled);
    for (const link of links) {
      const peer = tunnels
        .filter((one) => nameOf(one.interface) === nameOf(link))
        .map(peerOf)
        .find(Boolean);
      const stub = peer ?? (link instanceof LinkHandle ? link.peer : undefined);
      new XdpProgram(this, `xdp-${nameOf(link)}`, {
        object,
        program: programOf(nameOf(link) === nameOf(uplink), ends, nameOf(link)),
        link,
        ...(stub && { peerStub: stub }),
      });
    }
    limitMtus(props);
  }

  /** What the routing table is asked, it answers only where the host forwards. */
  #forwarding(host: IPlace, props: GeneveMuxProps, filled: KernelObject): void {
    const ip = props.tunnels.filter(isIp).filter(({ direction }) => direction !== "pop");
    if (ip.some((tunnel) => outerFamily(tunnel) === 4)) host.enableForwarding();
    if (ip.some((tunnel) => outerFamily(tunnel) === 6)) host.enableIpv6Forwarding();
    // Outer packets that the host's own stack sends on come in with an address of the host's for their source.
    const links = new Map(
      ip
        .filter((tunnel) => outerFamily(tunnel) === 4 && (isRouted(tunnel) || tunnel.redirect === false))
        .map(({ interface: link }) => [nameOf(link), link]),
    );
    if (links.size === 0) return;
    const accept = new Sysctls(this, "own-addresses", {
      name: `${this.name}-own-addresses`,
      values: Object.fromEntries(
        [...links.keys()].flatMap((link) => [
          [`net/ipv4/conf/${link}/accept_local`, "1"],
          [`net/ipv4/conf/${link}/rp_filter`, "2"],
        ]),
      ),
    });
    for (const link of links.values()) if (link instanceof LinkHandle) accept.node.addDependency(link.owner);
    filled.node.addDependency(accept);
  }
}

/** Ends and keys, rounded up: a tunnel more is no new version of the program each time. */
function capacityFor(ends: readonly { readonly keys: readonly string[] }[]): number {
  const keys = ends.reduce((sum, end) => sum + end.keys.length, 0);
  return 2 ** Math.max(4, Math.ceil(Math.log2(Math.max(ends.length, keys))));
}

/** The uplink, then the interfaces of the tunnels, each once. */
function linksOf({ uplink, tunnels }: GeneveMuxProps): readonly (LinkHandle | string)[] {
  const all = [uplink, ...tunnels.map(({ interface: link }) => link)];
  return [...new Map(all.map((link) => [nameOf(link), link])).values()];
}

function portOf(link: LinkHandle | string, { uplink, ports = {}, icmpSource = {}, tunnels }: GeneveMuxProps) {
  const isUplink = nameOf(link) === nameOf(uplink);
  const own = tunnels.filter((tunnel) => nameOf(tunnel.interface) === nameOf(link));
  return {
    ...(icmpSource.ipv4 !== undefined && { address4: icmpSource.ipv4 }),
    ...(icmpSource.ipv6 !== undefined && { address6: icmpSource.ipv6 }),
    ...(ports.geneve !== undefined && { genevePort: ports.geneve }),
    ...(ports.vxlan !== undefined && { vxlanPort: ports.vxlan }),
    fillChecksums: !isUplink,
    askHost: own.some((tunnel) => isRouted(tunnel)),
  };
}

function programOf(
  isUplink: boolean,
  ends: Readonly<Record<string, { link: string; direction: string }>>,
  link: string,
) {
  const directions = new Set(
    Object.values(ends).flatMap((end) => (end.link === link ? [end.direction] : [])),
  );
  if (directions.size === 2) return "mux_both";
  return directions.has("push") || (directions.size === 0 && !isUplink) ? "mux_push" : "mux_pop";
}

/** Gives the tunnels' interfaces the MTU that fits. */
function limitMtus({ tunnels, underlayMtu = 1500 }: GeneveMuxProps): void {
  for (const tunnel of tunnels) {
    if (!(tunnel.interface instanceof LinkHandle) || tunnel.direction === "pop") continue;
    tunnel.interface.limitMtu((tunnel.mtu ?? underlayMtu) - overheadOf(tunnel));
  }
}

function placeFindings({ place }: IPlace, { uplink, tunnels }: GeneveMuxProps) {
  if (place.netns !== undefined) {
    const message = `is in the namespace ${place.netns}: make it in a Host, in whose initial namespace its links are`;
    return [{ path: [], message }];
  }
  const named = [
    { path: ["uplink"], link: uplink },
    ...tunnels.map(({ interface: link }, nth) => ({ path: ["tunnels", nth, "interface"], link })),
  ];
  return named.flatMap(({ path, link }) => {
    if (!(link instanceof LinkHandle) || link.place === undefined) return [];
    const { host, netns } = link.place;
    if (host.name === place.host.name && netns === undefined) return [];
    const where = host.name === place.host.name ? `the namespace ${netns ?? ""}` : `on ${host.name}`;
    return [
      { path, message: `${link.name} is in ${where}: give the end that is in the host's initial namespace` },
    ];
  });
}
