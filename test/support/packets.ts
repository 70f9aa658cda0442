import { parse } from "ipaddr.js";

/*
 * Packets built from the RFCs, byte by byte, as the oracle for what the data plane sends. Nothing here may be
 * taken from the programs under test; the checksum code is its own.
 */

/** EtherTypes and IP protocol numbers by the names the RFCs use. */
export const ETH = {
  ipv4: 0x0800,
  ipv6: 0x86dd,
  arp: 0x0806,
  vlan: 0x8100,
  qinq: 0x88a8,
  teb: 0x6558,
} as const;
export const PROTO = {
  icmp: 1,
  ipip: 4,
  tcp: 6,
  udp: 17,
  ipv6: 41,
  gre: 47,
  dstopts: 60,
  icmpv6: 58,
  fragment: 44,
} as const;

/** RFC 1071: the ones' complement of the ones' complement sum of big-endian 16-bit words. */
export function checksum(...parts: readonly Buffer[]): number {
  const bytes = Buffer.concat(parts);
  let sum = 0;
  for (let i = 0; i < bytes.length; i++) sum += i % 2 === 0 ? bytes[i]! * 256 : bytes[i]!;
  while (sum > 0xffff) sum = (sum % 0x10000) + Math.floor(sum / 0x10000);
  return 0xffff - sum;
}

export const u8 = (value: number): Buffer => Buffer.from([value & 0xff]);
export const u16 = (value: number): Buffer => Buffer.from([(value >> 8) & 0xff, value & 0xff]);
export const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
};

/** The bytes of an IPv4 or IPv6 address. */
export const ip = (address: string): Buffer => Buffer.from(parse(address).toByteArray());

/** The bytes of `02:00:00:00:00:01`. */
export const mac = (address: string): Buffer => Buffer.from(address.replaceAll(":", ""), "hex");

export interface Tag {
  readonly type: number;
  readonly tci: number;
}

export interface Ethernet {
  readonly dst: string;
  readonly src: string;
  readonly type: number;
  readonly tags?: readonly Tag[];
}

/** An Ethernet II frame without its frame check sequence. */
export function ethernet(header: Ethernet, payload: Buffer): Buffer {
  const tags = (header.tags ?? []).flatMap(({ type, tci }) => [u16(type), u16(tci)]);
  return Buffer.concat([mac(header.dst), mac(header.src), ...tags, u16(header.type), payload]);
}

export interface Ipv4 {
  readonly src: string;
  readonly dst: string;
  readonly protocol: number;
  readonly ttl?: number;
  readonly tos?: number;
  readonly id?: number;
  readonly df?: boolean;
  readonly mf?: boolean;
  /** Fragment offset in units of 8 bytes. */
  readonly offset?: number;
  /** A multiple of 4 bytes. */
  readonly options?: Buffer;
  /** Total length, if it is to be a lie. */
  readonly length?: number;
  readonly version?: number;
}

/** RFC 791. */
export function ipv4(header: Ipv4, payload: Buffer): Buffer {
  const options = header.options ?? Buffer.alloc(0);
  const words = 5 + options.length / 4;
  const flags = (header.df ? 0x4000 : 0) | (header.mf ? 0x2000 : 0) | (header.offset ?? 0);
  const before = Buffer.concat([
    u8(((header.version ?? 4) << 4) | words),
    u8(header.tos ?? 0),
    u16(header.length ?? words * 4 + payload.length),
    u16(header.id ?? 0),
    u16(flags),
    u8(header.ttl ?? 64),
    u8(header.protocol),
  ]);
  const after = Buffer.concat([ip(header.src), ip(header.dst), options]);
  return Buffer.concat([before, u16(checksum(before, after)), after, payload]);
}

export interface Ipv6 {
  readonly src: string;
  readonly dst: string;
  readonly next: number;
  readonly hopLimit?: number;
  readonly trafficClass?: number;
  readonly flowLabel?: number;
  readonly length?: number;
  readonly version?: number;
}

/** RFC 8200. */
export function ipv6(header: Ipv6, payload: Buffer): Buffer {
  const first =
    (header.version ?? 6) * 2 ** 28 + ((header.trafficClass ?? 0) << 20) + (header.flowLabel ?? 0);
  return Buffer.concat([
    u32(first),
    u16(header.length ?? payload.length),
    u8(header.next),
    u8(header.hopLimit ?? 64),
    ip(header.src),
    ip(header.dst),
    payload,
  ]);
}

/** The pseudo header of RFC 768 and of RFC 8200 section 8.1. */
function pseudo(src: string, dst: string, protocol: number, length: number): Buffer {
  const wide = src.includes(":");
  return Buffer.concat([
    ip(src),
    ip(dst),
    ...(wide ? [u32(length), u32(protocol)] : [u16(protocol), u16(length)]),
  ]);
}

export interface Udp {
  readonly sport: number;
  readonly dport: number;
  /** Addresses for the checksum; without them it is 0, "none". */
  readonly between?: { readonly src: string; readonly dst: string };
  /** Added to the checksum, to make it wrong. */
  readonly spoil?: number;
  readonly length?: number;
}

/** RFC 768. */
export function udp(header: Udp, payload: Buffer): Buffer {
  const length = header.length ?? 8 + payload.length;
  const start = Buffer.concat([u16(header.sport), u16(header.dport), u16(length)]);
  let sum = 0;
  if (header.between) {
    const { src, dst } = header.between;
    sum = checksum(pseudo(src, dst, PROTO.udp, length), start, u16(0), payload) || 0xffff;
    sum = (sum + (header.spoil ?? 0)) & 0xffff;
  }
  return Buffer.concat([start, u16(sum), payload]);
}

/** A TCP segment with its checksum (RFC 9293), no options. */
export function tcp(
  header: { sport: number; dport: number; between: { src: string; dst: string } },
  payload: Buffer,
): Buffer {
  const { src, dst } = header.between;
  const start = Buffer.concat([
    u16(header.sport),
    u16(header.dport),
    u32(1),
    u32(2),
    u8(5 << 4),
    u8(0x10),
    u16(1024),
  ]);
  const sum = checksum(pseudo(src, dst, PROTO.tcp, 20 + payload.length), start, u16(0), u16(0), payload);
  return Buffer.concat([start, u16(sum), u16(0), payload]);
}

export interface Geneve {
  readonly vni: number;
  readonly type?: number;
  readonly options?: Buffer;
  readonly control?: boolean;
  readonly critical?: boolean;
  readonly version?: number;
  /** In words of 4 bytes, if it is to be a lie. */
  readonly optionWords?: number;
}

/** RFC 8926 section 3.4. */
export function geneve(header: Geneve, payload: Buffer): Buffer {
  const options = header.options ?? Buffer.alloc(0);
  return Buffer.concat([
    u8(((header.version ?? 0) << 6) | (header.optionWords ?? options.length / 4)),
    u8((header.control ? 0x80 : 0) | (header.critical ? 0x40 : 0)),
    u16(header.type ?? ETH.teb),
    u32(header.vni * 256),
    options,
    payload,
  ]);
}

/** A Geneve option (RFC 8926 section 3.5). */
export function geneveOption(optionClass: number, type: number, data: Buffer): Buffer {
  return Buffer.concat([u16(optionClass), u8(type), u8(data.length / 4), data]);
}

/** RFC 7348 section 5. */
export function vxlan(header: { vni: number; flags?: number }, payload: Buffer): Buffer {
  return Buffer.concat([u8(header.flags ?? 0x08), Buffer.alloc(3), u32(header.vni * 256), payload]);
}

export interface Gre {
  readonly type: number;
  readonly key?: number;
  readonly sequence?: number;
  readonly checksum?: boolean;
  /** Added to the checksum, to make it wrong. */
  readonly spoil?: number;
  readonly version?: number;
  /** Further bits of the first word. */
  readonly bits?: number;
}

/** RFC 2784, key and sequence number of RFC 2890. */
export function gre(header: Gre, payload: Buffer): Buffer {
  const flags =
    (header.checksum ? 0x8000 : 0) |
    (header.key !== undefined ? 0x2000 : 0) |
    (header.sequence !== undefined ? 0x1000 : 0) |
    (header.version ?? 0) |
    (header.bits ?? 0);
  const start = Buffer.concat([u16(flags), u16(header.type)]);
  const rest = Buffer.concat([
    ...(header.key !== undefined ? [u32(header.key)] : []),
    ...(header.sequence !== undefined ? [u32(header.sequence)] : []),
  ]);
  if (!header.checksum) return Buffer.concat([start, rest, payload]);
  const sum = (checksum(start, u32(0), rest, payload) + (header.spoil ?? 0)) & 0xffff;
  return Buffer.concat([start, u16(sum), u16(0), rest, payload]);
}

/** ICMPv4 (RFC 792), or ICMPv6 (RFC 4443) where addresses for its pseudo header are given. */
export function icmp(
  header: { type: number; code: number; rest: Buffer; between?: { src: string; dst: string } },
  payload: Buffer,
): Buffer {
  const start = Buffer.concat([u8(header.type), u8(header.code)]);
  const { between } = header;
  const lead = between ? pseudo(between.src, between.dst, PROTO.icmpv6, 8 + payload.length) : Buffer.alloc(0);
  return Buffer.concat([
    start,
    u16(checksum(lead, start, u16(0), header.rest, payload)),
    header.rest,
    payload,
  ]);
}
