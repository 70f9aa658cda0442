import ipaddr from "ipaddr.js";

/** An address with a prefix length, as numbers. */
export interface Cidr {
  readonly family: 4 | 6;
  /** The address with its host bits. */
  readonly address: bigint;
  readonly prefix: number;
}

const BITS = { 4: 32, 6: 128 } as const;

// The checks of a program read the same few addresses again and again.
const read = new Map<string, Cidr | undefined>();
const REMEMBERED = 10_000;

/** Reads `10.0.0.1/16`, `10.0.0.1` (a host) or their IPv6 like; undefined for anything else. */
export function parseCidr(text: string): Cidr | undefined {
  if (read.has(text)) return read.get(text);
  if (read.size >= REMEMBERED) read.clear();
  const cidr = readCidr(text);
  read.set(text, cidr);
  return cidr;
}

function readCidr(text: string): Cidr | undefined {
  const [host = "", length, ...rest] = text.split("/");
  if (rest.length > 0) return undefined;
  const family = ipaddr.IPv4.isValidFourPartDecimal(host) ? 4 : ipaddr.IPv6.isValid(host) ? 6 : undefined;
  if (family === undefined || host.includes("%")) return undefined;
  const prefix = length === undefined ? BITS[family] : /^\d{1,3}$/.test(length) ? Number(length) : NaN;
  if (!(prefix <= BITS[family])) return undefined;
  const address = ipaddr
    .parse(host)
    .toByteArray()
    .reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  return { family, address, prefix };
}

/** The first address of the subnet. */
export function networkOf(cidr: Cidr): bigint {
  const host = BigInt(BITS[cidr.family] - cidr.prefix);
  return (cidr.address >> host) << host;
}

/** Whether every address of `inner` is in `outer`. */
export function contains(outer: Cidr, inner: Cidr): boolean {
  if (outer.family !== inner.family || outer.prefix > inner.prefix) return false;
  const host = BigInt(BITS[outer.family] - outer.prefix);
  return outer.address >> host === inner.address >> host;
}

/** Whether two subnets share an address. */
export function overlaps(a: Cidr, b: Cidr): boolean {
  return contains(a, b) || contains(b, a);
}

/** A prefix that holds a single address. */
export function isHostPrefix(cidr: Cidr): boolean {
  return cidr.prefix === BITS[cidr.family];
}

/** fe80::/10: the same on every link, and only of use together with a link. */
export function isLinkLocal(cidr: Cidr): boolean {
  return cidr.family === 6 && cidr.address >> 118n === 0x3fan;
}

/** How many subnets of a prefix length fit into a pool. */
export function subnetCount(pool: Cidr, prefix: number): bigint {
  return prefix < pool.prefix ? 0n : 1n << BigInt(prefix - pool.prefix);
}

/** The pool's subnet of a prefix length by number. */
export function subnetAt(pool: Cidr, prefix: number, index: bigint): Cidr {
  const size = 1n << BigInt(BITS[pool.family] - prefix);
  return { family: pool.family, address: networkOf(pool) + index * size, prefix };
}

/** The address alone, as the kernel prints it. */
export function formatAddress(family: 4 | 6, address: bigint): string {
  const bytes = Array.from({ length: BITS[family] / 8 }, (_, index) =>
    Number((address >> BigInt(BITS[family] - 8 * (index + 1))) & 0xffn),
  );
  const parsed = ipaddr.fromByteArray(bytes);
  return parsed.kind() === "ipv6" ? (parsed as ipaddr.IPv6).toRFC5952String() : parsed.toString();
}

/** Address and prefix length, as the kernel prints them. */
export function formatCidr(cidr: Cidr): string {
  return `${formatAddress(cidr.family, cidr.address)}/${cidr.prefix}`;
}
