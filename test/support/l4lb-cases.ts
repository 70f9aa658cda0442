import type { Backend } from "./bpf-l4lb";
import { ETH, ethernet, ipv4, ipv6, PROTO, tcp, u16, u32, u8, udp } from "./packets";

/* Packets to a load balancer's VIPs and what it is to make of them, built from the RFCs. */

export type Family = 4 | 6;

export const client = { 4: "198.51.100.20", 6: "2001:db8:c::20" } as const;
export const vip = { 4: "203.0.113.80", 6: "2001:db8:f::80" } as const;
export const server = { 4: "10.0.1.1", 6: "2001:db8:1::1" } as const;
export const own = { 4: "192.0.2.7", 6: "2001:db8:2::7" } as const;
export const macs = { dst: "02:00:00:00:00:0b", src: "02:00:00:00:00:0a" } as const;
/** Those of a frame that goes back to where it came from. */
export const back = { dst: macs.src, src: macs.dst } as const;

export const payload = Buffer.from("GET / HTTP/1.1\r\nHost: example.net\r\n\r\n");

export const etherType = (family: Family): number => (family === 4 ? ETH.ipv4 : ETH.ipv6);

export const frame = (family: Family, packet: Buffer, addresses: { dst: string; src: string } = macs) =>
  ethernet({ ...addresses, type: etherType(family) }, packet);

/** TCP flags by the letters of tcpdump(8). */
const tcpFlags = { F: 1, S: 2, R: 4, P: 8, ".": 16 } as const;
export type TcpFlags = string;

export interface Request {
  readonly family?: Family;
  readonly protocol?: "tcp" | "udp";
  readonly sport?: number;
  readonly dport?: number;
  readonly src?: string;
  readonly dst?: string;
  readonly tos?: number;
  readonly ttl?: number;
  readonly df?: boolean;
  readonly flags?: TcpFlags;
  readonly options?: Buffer;
  readonly body?: Buffer;
}

/** A segment or datagram, its checksum right. */
export function segment({
  family = 4,
  protocol = "tcp",
  sport = 40000,
  dport = 80,
  src = client[family],
  dst = vip[family],
  flags = ".",
  body = payload,
}: Request): Buffer {
  const between = { src, dst };
  if (protocol === "udp") return udp({ sport, dport, between }, body);
  const bytes = tcp({ sport, dport, between }, body);
  // The helper writes an ACK; other flags change the checksum by as much as they change their word.
  const wanted = [...flags].reduce((sum, letter) => sum | tcpFlags[letter as keyof typeof tcpFlags], 0);
  const sum = 0xffff - bytes.readUInt16BE(16) - 0x10 + wanted;
  bytes.writeUInt8(wanted, 13);
  bytes.writeUInt16BE(0xffff - (sum > 0xffff ? sum - 0xffff : sum), 16);
  return bytes;
}

/** The packet of a client. */
export function request(options: Request = {}): Buffer {
  const { family = 4, protocol = "tcp", src = client[family], dst = vip[family] } = options;
  const body = segment(options);
  const { tos = 0, ttl = 61, df = true } = options;
  return family === 4
    ? ipv4({ src, dst, protocol: PROTO[protocol], tos, ttl, df, options: options.options }, body)
    : ipv6({ src, dst, next: PROTO[protocol], trafficClass: tos, hopLimit: ttl, flowLabel: 0x12345 }, body);
}

/** A way of wrapping, by name: the backend that asks for it and what comes out. */
export interface Form {
  readonly name: string;
  readonly backend: Backend;
  /** Family of the outer header; none where there is none. */
  readonly outer?: Family;
  readonly gue?: "header" | "direct";
}

const to = (outer: Family, more: Partial<Backend>): Backend => ({
  address: server[outer],
  source: own[outer],
  flags: ["NEXT_BACK"],
  ...more,
});

export const wraps: readonly Form[] = [
  ...([4, 6] as const).flatMap((outer): Form[] => [
    { name: `IPIP over IPv${outer}`, outer, backend: to(outer, {}) },
    {
      name: `GUE over IPv${outer}`,
      outer,
      gue: "header",
      backend: to(outer, { form: "gue", port: 6080 }),
    },
    {
      name: `GUE version 1 over IPv${outer}`,
      outer,
      gue: "direct",
      backend: to(outer, { form: "gue", port: 6080, flags: ["NEXT_BACK", "GUE_DIRECT"] }),
    },
  ]),
  { name: "MAC", backend: to(4, { form: "mac", flags: ["NEXT_MAC"], mac: "02:00:00:00:00:0c" }) },
];

/** Fields of an outer header that may differ from packet to packet. */
export interface Outer {
  readonly tos?: number;
  readonly ttl?: number;
  readonly src?: string;
  readonly sport?: number;
  readonly flowLabel?: number;
  /** GUE over IPv6 without a checksum. */
  readonly unsummed?: boolean;
}

/** The whole frame a balancer sends for a packet. */
export function wrapped(form: Form, inner: Family, packet: Buffer, outer: Outer = {}): Buffer {
  const { outer: family, gue } = form;
  if (family === undefined) return frame(inner, packet, { dst: form.backend.mac ?? macs.src, src: macs.dst });
  const src = outer.src ?? own[family];
  const dst = server[family];
  const next = inner === 4 ? PROTO.ipip : PROTO.ipv6;
  const { tos = 0, ttl = 64, flowLabel = 0, sport = 0 } = outer;
  let body = packet;
  if (gue !== undefined) {
    // draft-ietf-intarea-gue: version 0, no flags, the protocol of what follows.
    const header = gue === "header" ? Buffer.concat([u8(0), u8(next), u16(0)]) : Buffer.alloc(0);
    const between = family === 6 && !outer.unsummed ? { src, dst } : undefined;
    body = udp({ sport, dport: 6080, between }, Buffer.concat([header, packet]));
  }
  const protocol = gue === undefined ? next : PROTO.udp;
  return frame(
    family,
    family === 4
      ? ipv4({ src, dst, protocol, tos, ttl, df: true, id: 0 }, body)
      : ipv6({ src, dst, next: protocol, trafficClass: tos, hopLimit: ttl, flowLabel }, body),
    back,
  );
}

/** What is a hash of the flow in a frame: the outer source port and flow label, to be compared by themselves. */
export function hashes(form: Form, sent: Buffer): Outer {
  const l4 = form.outer === 4 ? 34 : 54;
  return {
    sport: form.gue === undefined ? 0 : sent.readUInt16BE(l4),
    flowLabel: form.outer === 6 ? sent.readUInt32BE(14) & 0xfffff : 0,
  };
}

/** An IPv6 fragment header (RFC 8200 section 4.5). */
export const fragmentHeader = (next: number, offset: number, more: boolean, id: number): Buffer =>
  Buffer.concat([u8(next), u8(0), u16((offset << 3) | (more ? 1 : 0)), u32(id)]);
