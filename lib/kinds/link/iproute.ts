import type { Query } from "../step";

/** One address of a link in `ip -j address show`. */
export interface IpAddress {
  readonly family: string;
  readonly local?: string;
  readonly prefixlen?: number;
  readonly scope?: string;
  /** Set by SLAAC or a DHCP client: it has a lifetime and is not ours. */
  readonly dynamic?: boolean;
}

/** What a driver says of a link, by iproute2's names. */
export type InfoData = Readonly<Record<string, unknown>>;

/** One link in `ip -d -j address show`. */
export interface IpLink {
  readonly ifindex: number;
  readonly ifname: string;
  /** The link below or the other end, when it is in the same namespace. */
  readonly link?: string | null;
  /** Its index, when it is in another namespace. */
  readonly link_index?: number;
  /** A number for the namespace of the outer packets, where it is another. */
  readonly link_netnsid?: number;
  readonly flags: readonly string[];
  readonly mtu: number;
  readonly master?: string;
  readonly txqlen?: number;
  readonly link_type: string;
  readonly address?: string;
  readonly num_tx_queues?: number;
  readonly num_rx_queues?: number;
  readonly linkinfo?: { readonly info_kind?: string; readonly info_data?: InfoData };
  readonly addr_info?: readonly IpAddress[];
}

/** Every link of a namespace with its addresses: one look for all the links that are in it. */
export function linksQuery(netns: string | undefined): Query {
  return { tool: "ip", ...(netns !== undefined && { netns }), args: ["-d", "address", "show"] };
}

/** A number that iproute2 prints as a number or in hexadecimal text. */
export function numberOf(value: unknown): number | undefined {
  if (typeof value === "number") return value;
  if (typeof value !== "string" || !/^(0x[0-9a-f]+|\d+)$/i.test(value)) return undefined;
  return Number(value);
}

/** A GRE key, which iproute2 prints like an IPv4 address. */
export function keyNumber(value: unknown): number | undefined {
  if (typeof value !== "string" || !/^\d+(\.\d+){3}$/.test(value)) return numberOf(value);
  return value.split(".").reduce((sum, byte) => sum * 256 + Number(byte), 0);
}

/** The first of some fields that holds text. */
export function textOf(data: InfoData, ...fields: readonly string[]): string | undefined {
  return fields.map((field) => data[field]).find((value): value is string => typeof value === "string");
}
