import * as s from "../schemas";
import { differs, flag, option, type LinkOption } from "./family";
import { numberOf, textOf, type InfoData } from "./iproute";
import { noEncap, type Encap, type LinkSpec, type PartialLink } from "./schema";

/** What tunnels over IPv4 and IPv6 have in common: the properties of their outer packets. */

const IPV6_KINDS: readonly string[] = ["ip6gre", "ip6gretap"];

/** Whether the outer packets of a kind are always IPv6. */
export function outerIpv6(kind: string): boolean {
  return IPV6_KINDS.includes(kind);
}

/** Own address. `any` is said only to take an address away. */
export const localOption = option("local", (local) => ["local", local], {
  create: (local) => (local === "any" ? [] : ["local", local]),
});

/** The other end. The kernel does not let a point-to-point tunnel become one with many ends, or the reverse. */
export const remoteOption = option("remote", (remote) => ["remote", remote], {
  create: (remote) => (remote === "any" ? [] : ["remote", remote]),
  change: (merged, current) =>
    (current.remote ?? "any") === "any" || merged.remote === undefined || merged.remote === "any"
      ? "again"
      : ["remote", merged.remote],
});

/** `any` or an address, as iproute2 prints it. */
export function endpointOf(data: InfoData, ...fields: readonly string[]): string {
  return s.canonicalAddress(textOf(data, ...fields) ?? "any");
}

/** Hop limit. With `ipip` and `sit` a fixed one goes with path MTU discovery only: `ip` refuses anything else. */
export const ttlOption: LinkOption = {
  of: ["ttl"],
  create: ({ ttl }) => (ttl === undefined ? [] : ["ttl", String(ttl)]),
  change: ({ ttl }) => ["ttl", String(ttl ?? "inherit")],
};

/** Traffic class. `ip` reads the number as hexadecimal, with or without 0x. */
export const tosOption = option("tos", (tos) => ["tos", tosWord(tos)], {
  create: (tos) => (tos === 0 ? [] : ["tos", tosWord(tos)]),
});

/** The same, as the IPv6 tunnels call it. */
export const tclassOption = option("tos", (tos) => ["tclass", tosWord(tos)], {
  create: (tos) => (tos === 0 ? [] : ["tclass", tosWord(tos)]),
});

function tosWord(tos: NonNullable<LinkSpec["tos"]>): string {
  return tos === "inherit" ? tos : `0x${tos.toString(16).padStart(2, "0")}`;
}

/** A traffic class as iproute2 prints it: left out when 0, 0x1 for `inherit`. */
export function tosOf(value: unknown): LinkSpec["tos"] {
  const number = numberOf(value) ?? 0;
  return value === "inherit" || number === 1 ? "inherit" : number;
}

/** Don't Fragment on the outer packets. */
export const pathMtuOption = flag("pathMtuDiscovery", "pmtudisc", "nopmtudisc", true);

/** Ends come with each packet. */
export const externalOption: LinkOption = {
  of: ["external"],
  create: ({ external }) => (external === true ? ["external"] : []),
  change: "again",
};

/** The link that the outer packets must leave by. */
export const underlayOption: LinkOption = {
  of: ["link"],
  create: ({ link }) => (link === undefined ? [] : ["dev", link]),
  change: "again",
};

/** The namespace of the outer packets: the one that the link is made in, before it is sent to its own. */
export const linkNetnsOption: LinkOption = { of: ["linkNetns"], create: () => [], change: "again" };

/**
 * UDP around the outer packet. All of it is said again whenever anything changes: iproute2 (6.1) reads the ports
 * back in the wrong byte order and would swap them with every change of something else.
 */
export const encapOption: LinkOption = {
  of: ["encap"],
  create: (spec) => encapWords(spec, []),
  change: (merged) => encapWords(merged, ["encap", "none"]),
  differs: (current, desired) => differs(current, desired, "encap"),
  along: (merged) => encapWords(merged, []),
};

function encapWords({ kind, encap }: LinkSpec, off: readonly string[]): readonly string[] {
  if (encap === undefined || encap.type === "none") return off;
  const { type, sourcePort, destinationPort, checksum } = encap;
  const sum = outerIpv6(kind) ? "encap-csum6" : "encap-csum";
  return [
    ...["encap", type, "encap-sport", String(sourcePort), "encap-dport", String(destinationPort)],
    checksum ? sum : `no${sum}`,
  ];
}

/** Reads the `encap` of a tunnel. */
export function encapOf(kind: string, value: unknown): Encap {
  if (typeof value !== "object" || value === null) return noEncap;
  const { type, sport, dport, csum, csum6 } = value as Record<string, unknown>;
  if (type !== "fou" && type !== "gue") return noEncap;
  const source = numberOf(sport);
  const destination = numberOf(dport);
  return {
    type,
    sourcePort: source === undefined || source === 0 ? "auto" : source,
    ...(destination !== undefined && { destinationPort: destination }),
    checksum: (outerIpv6(kind) ? csum6 : csum) === true,
  };
}

/** Bytes of the UDP around an outer packet: a UDP header, and with GUE its own. */
export function encapOverhead({ encap }: LinkSpec): number {
  return encap?.type === "fou" ? 8 : encap?.type === "gue" ? 12 : 0;
}

/** Hop limit of geneve and vxlan, whose 0 is the route's; `inherit` is printed for people only. */
export function autoTtlOf(value: unknown): LinkSpec["ttl"] {
  const ttl = numberOf(value);
  return ttl === undefined ? "inherit" : ttl === 0 ? "auto" : ttl;
}

/**
 * What every tunnel's driver says of its outer packets. Of one whose ends come with each packet the rest means
 * nothing, and iproute2 before 6.0 does not print it.
 */
export function parseOuter(kind: string, data: InfoData): PartialLink {
  const ttl = numberOf(data.ttl) ?? 0;
  return {
    local: endpointOf(data, "local"),
    remote: endpointOf(data, "remote"),
    ...(data.external !== true && { ttl: ttl === 0 ? "inherit" : ttl }),
    encap: encapOf(kind, data.encap),
    external: data.external === true,
    ...(typeof data.link === "string" && { link: data.link }),
  };
}

/** What an IPv4 tunnel's driver says besides. */
export function parseOuterV4(kind: string, data: InfoData): PartialLink {
  return {
    ...parseOuter(kind, data),
    ...(data.external !== true && {
      tos: tosOf(data.tos),
      ...(typeof data.pmtudisc === "boolean" && { pathMtuDiscovery: data.pmtudisc }),
    }),
  };
}
