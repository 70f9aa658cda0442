import type { z } from "zod";
import type { endSchema } from "../../lib/kinds/geneve-mux/schema";
import { canonicalAddress, canonicalCidr, familyOf } from "../../lib/kinds/schemas";
import { LinkHandle } from "../link-handle";
import type { GeneveMuxProps, GeneveOption, MuxIpTunnelBase, MuxTunnel } from "./props";

/** A tunnel as the two ends that the program knows. */

/** An end, as the kind's schema takes it. */
export type End = z.input<typeof endSchema>;

const MTU = 1500;
const ROUTE_HOLD = 50;

/** A link's name. */
export const nameOf = (link: LinkHandle | string) => (typeof link === "string" ? link : link.name);

/** The other end of a tunnel's interface, where the program knows it. */
export const peerOf = ({ peer, interface: link }: MuxTunnel) =>
  peer ?? (link instanceof LinkHandle ? link.peer : undefined);

/** Whether a tunnel has an outer IP header. */
export const isIp = (tunnel: MuxTunnel): tunnel is MuxTunnel & MuxIpTunnelBase => "local" in tunnel;

/** Family of the outer header. */
export const outerFamily = ({ local }: MuxIpTunnelBase) => familyOf(local) ?? 4;

const isPushed = ({ direction = "both" }: MuxTunnel) => direction !== "pop";
const isPopped = ({ direction = "both" }: MuxTunnel) => direction !== "push";

/** Whether it carries IP packets rather than frames. */
export function carriesIp(tunnel: MuxTunnel): boolean {
  if (tunnel.protocol === "ipip") return true;
  if (tunnel.protocol === "gre") return tunnel.payload !== "ethernet";
  return tunnel.protocol === "geneve" && tunnel.payload === "ip";
}

/** Bytes that a tunnel adds to an IP packet inside it, up to the outer IP packet. */
export function overheadOf(tunnel: MuxTunnel): number {
  if (!isIp(tunnel)) return 0;
  const outer = outerFamily(tunnel) === 6 ? 40 : 20;
  return outer + headerOf(tunnel) + (carriesIp(tunnel) ? 0 : 14);
}

function headerOf(tunnel: MuxTunnel): number {
  if (tunnel.protocol === "geneve") return 16 + optionBytes(tunnel.options).length / 2;
  if (tunnel.protocol === "vxlan") return 16;
  if (tunnel.protocol !== "gre") return 0;
  return 4 + (tunnel.key === undefined ? 0 : 4) + (tunnel.checksum === true ? 4 : 0);
}

const hexadecimal = (value: number, digits: number) => value.toString(16).padStart(digits, "0");

/** Geneve options as they are written, in hexadecimal digits. */
export function optionBytes(options: readonly GeneveOption[] = []): string {
  return options
    .map(({ class: of, type, critical = false, data = "" }) => {
      const words = data.length / 8;
      return (
        hexadecimal(of, 4) +
        hexadecimal(type | (critical ? 0x80 : 0), 2) +
        hexadecimal(words, 2) +
        data.toLowerCase()
      );
    })
    .join("");
}

/** What a tunnel's packets are selected by, on the interface where they come in. */
export function pushKeys({ select = {} }: MuxTunnel): string[] {
  const keys = [
    ...(select.destinations ?? []).map((destination) =>
      destination.includes("/")
        ? `prefix ${canonicalCidr(destination)}`
        : `host ${canonicalAddress(destination)}`,
    ),
    ...(select.pairs ?? []).map(
      ({ source, destination }) => `pair ${canonicalAddress(source)} ${canonicalAddress(destination)}`,
    ),
  ];
  return keys.length === 0 ? ["all"] : keys;
}

/** What a tunnel's packets are known by, on the uplink. */
export function popKeys(tunnel: MuxTunnel): string[] {
  if (tunnel.protocol === "vlan") return [`vlan ${tunnel.vlanId}`];
  if (tunnel.protocol === "qinq") return [`qinq ${tunnel.outerVlanId} ${tunnel.vlanId}`];
  const local = canonicalAddress(tunnel.local);
  if (tunnel.protocol === "geneve" || tunnel.protocol === "vxlan")
    return [`${tunnel.protocol} ${tunnel.vni} ${local}`];
  if (tunnel.protocol === "gre" && tunnel.key !== undefined) return [`gre-key ${tunnel.key} ${local}`];
  // Without a key it is the outer addresses that tell tunnels apart.
  return [
    `${tunnel.protocol} ${tunnel.sources === undefined ? canonicalAddress(tunnel.remote) : "any"} ${local}`,
  ];
}

/** The ends of a tunnel, by name. */
export function endsOf(tunnel: MuxTunnel, props: GeneveMuxProps): readonly (readonly [string, End])[] {
  const sorted = (end: End): End => ({ ...end, keys: [...end.keys].sort(), flags: [...end.flags].sort() });
  return [
    ...(isPushed(tunnel) ? [[`${tunnel.name}.push`, sorted(pushEnd(tunnel, props))] as const] : []),
    ...(isPopped(tunnel) ? [[`${tunnel.name}.pop`, sorted(popEnd(tunnel, props))] as const] : []),
  ];
}

const when = (condition: boolean | undefined, ...flags: string[]) => (condition === true ? flags : []);

function pushEnd(tunnel: MuxTunnel, props: GeneveMuxProps): End {
  const { redirect = true, macs = {}, debug, mtu = props.underlayMtu ?? MTU } = tunnel;
  const { innerDestination, innerSource } = macs;
  const link = nameOf(tunnel.interface);
  const common = { link, keys: pushKeys(tunnel), direction: "push", protocol: tunnel.protocol, mtu } as const;
  const flags = [...when(redirect, "redirect"), ...when(debug, "debug")];
  const rewritten = [
    ...when(innerDestination !== undefined, "destination-mac"),
    ...when(innerSource !== undefined, "source-mac"),
  ];
  if (!isIp(tunnel)) {
    const { vlanId, priority = 0 } = tunnel;
    const outer = tunnel.protocol === "qinq" ? tag(tunnel.outerVlanId, priority) * 0x1_0000 : 0;
    return {
      ...common,
      flags: [...flags, ...rewritten],
      vni: outer + tag(vlanId, priority),
      ...(redirect && { egress: nameOf(props.uplink) }),
      ...(rewritten.length > 0 && { hop: { dmac: innerDestination, smac: innerSource } }),
    };
  }
  const options = tunnel.protocol === "geneve" ? optionBytes(tunnel.options) : "";
  const hasInner = rewritten.length > 0 || options !== "";
  return {
    ...common,
    flags: [
      ...[...flags, ...rewritten, ...when(carriesIp(tunnel), "ip"), ...ipFlags(tunnel)],
      ...when(tunnel.protocol === "gre" && tunnel.key !== undefined, "key"),
      ...checksumFlags(tunnel),
    ],
    vni: numberOf(tunnel),
    ttl: tunnel.ttl === "inherit" ? 0 : (tunnel.ttl ?? 64),
    tos: typeof tunnel.dscp === "number" ? 4 * tunnel.dscp : 0,
    ...udpPorts(tunnel, props),
    local: tunnel.local,
    remote: tunnel.remote,
    hop: pushHop(tunnel, props),
    ...(hasInner && {
      inner: { dmac: innerDestination, smac: innerSource, ...(options !== "" && { options }) },
    }),
  };
}

const tag = (vlan: number, priority: number) => priority * 0x2000 + vlan;

function numberOf(tunnel: MuxTunnel): number {
  if (tunnel.protocol === "geneve" || tunnel.protocol === "vxlan") return tunnel.vni;
  return tunnel.protocol === "gre" ? (tunnel.key ?? 0) : 0;
}

function ipFlags(tunnel: MuxIpTunnelBase): string[] {
  const { dscp, ecn, dontFragment = true } = tunnel;
  const fragments = outerFamily(tunnel) === 4;
  return [
    ...when(typeof dscp === "number", "dscp"),
    ...when(ecn === "compatible", "ecn-compatible"),
    ...when(fragments && dontFragment === true, "dont-fragment"),
    ...when(fragments && dontFragment === "inherit", "inherit-dont-fragment"),
  ];
}

function checksumFlags(tunnel: MuxTunnel & MuxIpTunnelBase): string[] {
  if (tunnel.protocol === "gre") return when(tunnel.checksum, "checksum");
  if (tunnel.protocol === "ipip" || !("vni" in tunnel)) return [];
  return outerFamily(tunnel) === 4
    ? when(tunnel.checksum, "checksum")
    : when(tunnel.checksum === false, "zero-checksum");
}

function udpPorts(tunnel: MuxTunnel, { ports = {} }: GeneveMuxProps) {
  if (tunnel.protocol !== "geneve" && tunnel.protocol !== "vxlan") return {};
  const destinationPort = tunnel.protocol === "geneve" ? (ports.geneve ?? 6081) : (ports.vxlan ?? 4789);
  return { sourcePort: tunnel.sourcePort ?? 0, destinationPort };
}

function pushHop(tunnel: MuxTunnel, props: GeneveMuxProps): End["hop"] {
  const { redirect = true, macs = {} } = tunnel;
  const own = { link: nameOf(tunnel.interface) };
  // The host takes a frame that is addressed to the interface where it came in.
  if (!redirect) return { dmac: own, smac: own };
  const { outerDestination, outerSource } = macs;
  if (outerDestination === undefined) return { hold: props.routeHold ?? ROUTE_HOLD };
  const uplink = nameOf(props.uplink);
  return { link: uplink, dmac: outerDestination, smac: outerSource ?? { link: uplink } };
}

/** Whether a tunnel's outer frames are addressed by the routing table. */
export const isRouted = (tunnel: MuxTunnel) =>
  isIp(tunnel) &&
  isPushed(tunnel) &&
  tunnel.redirect !== false &&
  tunnel.macs?.outerDestination === undefined;

function popEnd(tunnel: MuxTunnel, props: GeneveMuxProps): End {
  const { redirect = true, debug } = tunnel;
  const { hop, flags: rewritten } = delivery(tunnel, props);
  const common = {
    link: nameOf(props.uplink),
    keys: popKeys(tunnel),
    direction: "pop",
    protocol: tunnel.protocol,
    ...(redirect && { egress: nameOf(tunnel.interface) }),
    ...(hop && { hop }),
  } as const;
  const flags = [...when(redirect, "redirect"), ...when(debug, "debug"), ...rewritten];
  if (!isIp(tunnel)) return { ...common, flags };
  const { sources, verifyChecksum, deliverDscp } = tunnel;
  return {
    ...common,
    flags: [
      ...[...flags, ...when(carriesIp(tunnel), "ip"), ...when(deliverDscp, "dscp")],
      ...when(verifyChecksum === false, "trust-checksum"),
      ...when(sources === "any", "any-source"),
      ...when("vni" in tunnel && tunnel.checksum === false && outerFamily(tunnel) === 6, "zero-checksum"),
    ],
    local: tunnel.local,
    remote: tunnel.remote,
    ...(Array.isArray(sources) && { sources: (sources as readonly string[]).map(asPrefix) }),
  };
}

const asPrefix = (text: string) => (text.includes("/") ? text : `${text}/${familyOf(text) === 6 ? 128 : 32}`);

/** By which MAC addresses popped frames go on. */
function delivery(tunnel: MuxTunnel, props: GeneveMuxProps): { hop?: End["hop"]; flags: string[] } {
  const { redirect = true, macs = {}, select } = tunnel;
  const ip = carriesIp(tunnel);
  const { delivered = ip || select !== undefined ? "peer" : "keep" } = macs;
  if (delivered === "keep") return { flags: [] };
  const flags = ip ? [] : ["destination-mac", "source-mac"];
  const link = nameOf(redirect ? tunnel.interface : props.uplink);
  const peer = peerOf(tunnel);
  if (delivered !== "peer") return { hop: { dmac: delivered, smac: { link } }, flags };
  // The host's own stack takes what is addressed to the uplink, where it came in.
  if (!redirect) return { hop: { dmac: { link }, smac: { link } }, flags };
  if (peer === undefined) return { flags: [] };
  const netns = peer.place?.netns;
  return { hop: { dmac: { link: peer.name, ...(netns !== undefined && { netns }) }, smac: { link } }, flags };
}
