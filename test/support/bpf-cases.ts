import type { End, Key } from "./bpf-mux";
import { ETH, ethernet, geneve, gre, ipv4, ipv6, PROTO, tcp, udp, vxlan } from "./packets";

/* One table of tunnels, used by the push, the pop and the round-trip tests. */

export const innerMacs = { dst: "02:aa:00:00:00:02", src: "02:aa:00:00:00:01" };
export const outerMacs = { dst: "02:bb:00:00:00:02", src: "02:bb:00:00:00:01" };
export const hosts4 = { src: "10.200.1.2", dst: "10.200.2.2" };
export const hosts6 = { src: "fd00:1::2", dst: "fd00:2::2" };
export const outer4 = { src: "192.0.2.1", dst: "198.51.100.7" };
export const outer6 = { src: "2001:db8::1", dst: "2001:db8:ffff::7" };

export const payload = Buffer.from("the quick brown fox jumps over the lazy dog, and more");

/** An inner TCP packet of either family. */
export function inner(
  family: 4 | 6,
  options: { tos?: number; ttl?: number; df?: boolean; body?: Buffer } = {},
): Buffer {
  const { tos = 0, ttl = 64, df = true, body = payload } = options;
  const between = family === 4 ? hosts4 : hosts6;
  const segment = tcp({ sport: 40000, dport: 443, between }, body);
  return family === 4
    ? ipv4({ ...hosts4, protocol: PROTO.tcp, ttl, tos, df, id: df ? 0 : 0x1234 }, segment)
    : ipv6({ ...hosts6, next: PROTO.tcp, hopLimit: ttl, trafficClass: tos, flowLabel: 0xabcde }, segment);
}

export const etherType = (family: 4 | 6): number => (family === 4 ? ETH.ipv4 : ETH.ipv6);

/** The inner packet in its Ethernet frame. */
export const frame = (family: 4 | 6, packet = inner(family)): Buffer =>
  ethernet({ ...innerMacs, type: etherType(family) }, packet);

/** What varies in an outer IP header. */
export interface Outer {
  readonly tos?: number;
  readonly ttl?: number;
  readonly df?: boolean;
  readonly id?: number;
  readonly flowLabel?: number;
  readonly mf?: boolean;
  readonly offset?: number;
  readonly options?: Buffer;
  readonly src?: string;
}

export interface TunnelCase {
  readonly name: string;
  readonly outer: 4 | 6;
  /** The end that pushes; its addresses are `outer4` or `outer6`. */
  readonly end: End;
  /** Where a packet with these headers is looked up by the far side. */
  readonly key: Key;
  /** Carries IP packets rather than frames. */
  readonly l3: boolean;
  /** The tunnel header and what it carries, without the outer IP header. */
  readonly wrap: (payload: Buffer, type: number) => Buffer;
  /** The IP protocol for a payload. */
  readonly protocol: (type: number) => number;
}

const addresses = { 4: outer4, 6: outer6 } as const;
const sport = 51234;

function udpCase(
  kind: "geneve" | "vxlan",
  outer: 4 | 6,
  flags: readonly string[],
  options?: Buffer,
): TunnelCase {
  const { src, dst } = addresses[outer];
  const l3 = flags.includes("L3");
  const vni = 0xabc123;
  // IPv6 needs the checksum unless it is given up (RFC 6935); over IPv4 none is sent unless wanted.
  const summed = outer === 6 ? !flags.includes("CSUM_ZERO") : flags.includes("CSUM");
  return {
    name: [kind, "over", `IPv${outer}`, ...flags, options ? `${options.length} bytes of options` : ""]
      .join(" ")
      .trim(),
    outer,
    l3,
    end: {
      protocol: kind,
      flags: options ? [...flags, "OPTIONS"] : flags,
      vni,
      local: src,
      remote: dst,
      sport,
      options,
    },
    key: { scope: kind, vni, b: dst },
    protocol: () => PROTO.udp,
    wrap: (body, type) =>
      udp(
        { sport, dport: kind === "geneve" ? 6081 : 4789, between: summed ? { src, dst } : undefined },
        kind === "geneve" ? geneve({ vni, type: l3 ? type : ETH.teb, options }, body) : vxlan({ vni }, body),
      ),
  };
}

function greCase(outer: 4 | 6, flags: readonly string[]): TunnelCase {
  const { src, dst } = addresses[outer];
  const l3 = flags.includes("L3");
  const key = flags.includes("KEY") ? 0xdeadbeef : undefined;
  return {
    name: ["gre over", `IPv${outer}`, ...flags].join(" "),
    outer,
    l3,
    end: { protocol: "gre", flags, vni: key, local: src, remote: dst },
    key: key === undefined ? { scope: "gre", a: src, b: dst } : { scope: "greKey", vni: key, b: dst },
    protocol: () => PROTO.gre,
    wrap: (body, type) => gre({ type: l3 ? type : ETH.teb, key, checksum: flags.includes("CSUM") }, body),
  };
}

function ipipCase(outer: 4 | 6): TunnelCase {
  const { src, dst } = addresses[outer];
  return {
    name: `ipip over IPv${outer}`,
    outer,
    l3: true,
    end: { protocol: "ipip", flags: ["L3"], local: src, remote: dst },
    key: { scope: "ipip", a: src, b: dst },
    protocol: (type) => (type === ETH.ipv4 ? PROTO.ipip : PROTO.ipv6),
    wrap: (body) => body,
  };
}

const option = Buffer.from("0102800300112233445566778899aabb", "hex");

/** Every protocol over both families, with what each may carry and write. */
export const tunnels: readonly TunnelCase[] = ([4, 6] as const).flatMap((outer) => [
  udpCase("geneve", outer, []),
  udpCase("geneve", outer, ["L3"]),
  udpCase("geneve", outer, [], option),
  udpCase("geneve", outer, [], Buffer.alloc(64, option)),
  udpCase("geneve", outer, [outer === 4 ? "CSUM" : "CSUM_ZERO"]),
  udpCase("vxlan", outer, []),
  udpCase("vxlan", outer, [outer === 4 ? "CSUM" : "CSUM_ZERO"]),
  greCase(outer, ["L3"]),
  greCase(outer, ["L3", "KEY"]),
  greCase(outer, ["L3", "KEY", "CSUM"]),
  greCase(outer, ["L3", "CSUM"]),
  greCase(outer, ["KEY"]),
  greCase(outer, []),
  ipipCase(outer),
]);

/** The whole frame a tunnel sends for a payload. */
export function encapsulated(tunnel: TunnelCase, family: 4 | 6, body: Buffer, outer: Outer = {}): Buffer {
  const type = etherType(family);
  const l4 = tunnel.wrap(body, type);
  const protocol = tunnel.protocol(type);
  const { ttl = 64, tos = 0, df = false, id = 0, flowLabel = 0 } = outer;
  const packet =
    tunnel.outer === 4
      ? ipv4({ ...outer4, protocol, ttl, tos, df, id, ...outer }, l4)
      : ipv6({ ...outer6, ...outer, next: protocol, hopLimit: ttl, trafficClass: tos, flowLabel }, l4);
  return ethernet({ ...outerMacs, type: etherType(tunnel.outer) }, packet);
}
