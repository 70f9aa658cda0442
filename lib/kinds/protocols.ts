import { z } from "zod";
import { port, text, whole } from "./schemas";

/**
 * IP protocols by name, with IANA's numbers. The names are ours alone: what goes to a host and comes from it may be
 * a number, so that its /etc/protocols does not matter.
 */
export const PROTOCOL_NUMBERS = {
  icmp: 1,
  ipip: 4,
  tcp: 6,
  udp: 17,
  dccp: 33,
  ipv6: 41,
  gre: 47,
  esp: 50,
  ah: 51,
  icmpv6: 58,
  ospf: 89,
  vrrp: 112,
  l2tp: 115,
  sctp: 132,
  udplite: 136,
} as const;

/** A protocol that has a name. */
export type ProtocolName = keyof typeof PROTOCOL_NUMBERS;

const NAMES = Object.keys(PROTOCOL_NUMBERS) as [ProtocolName, ...ProtocolName[]];

/** Other names that /etc/protocols or a tool has for them. */
const ALIASES: Readonly<Record<string, ProtocolName>> = {
  "ipv6-icmp": "icmpv6",
  ipencap: "ipip",
  ospfigp: "ospf",
};

/** A protocol as we name it: by name where there is one. */
export function protocolName(given: string | number): ProtocolName | number | undefined {
  const printed = String(given).replace(/^ipproto-/, "");
  if (/^\d+$/.test(printed)) {
    const number = Number(printed);
    return NAMES.find((name) => PROTOCOL_NUMBERS[name] === number) ?? number;
  }
  return NAMES.find((name) => name === printed) ?? ALIASES[printed];
}

/** A protocol's number. */
export const protocolNumber = (protocol: ProtocolName | number): number =>
  typeof protocol === "number" ? protocol : PROTOCOL_NUMBERS[protocol];

/** An IP protocol: one of the names, or a number of 1 to 255. */
export const ipProtocol = z
  .union([z.enum(NAMES), whole(1, 255)], {
    error: `must be one of ${NAMES.join(", ")}, or a number from 1 to 255`,
  })
  .overwrite((value) => protocolName(value) ?? value);

/** First and last of a range of whole numbers. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

const RANGE = /^([1-9]\d{0,4})-([1-9]\d{0,4})$/;

/** A port or a range of ports as numbers. */
export function portRange(ports: number | string): Range | undefined {
  if (typeof ports === "number") return { from: ports, to: ports };
  const [, from, to] = RANGE.exec(ports) ?? [];
  return from === undefined || to === undefined ? undefined : { from: Number(from), to: Number(to) };
}

/** A range of ports in its canonical spelling. */
export const writePorts = ({ from, to }: Range): number | string => (from === to ? from : `${from}-${to}`);

const rangeText = text((value) => {
  const range = portRange(value);
  return range !== undefined && range.from <= range.to && range.to <= 65535
    ? undefined
    : "must be a range of ports such as 1024-2047";
});

/** A TCP or UDP port, or a range of them such as `1024-2047`. */
export const ports = z
  .union([port, rangeText], { error: "must be a port from 1 to 65535, or a range such as 1024-2047" })
  .overwrite((value) => {
    const range = portRange(value);
    return range === undefined ? value : writePorts(range);
  });
