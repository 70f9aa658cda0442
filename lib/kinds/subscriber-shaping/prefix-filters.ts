import { addressBytes } from "../schemas";
import type { FlowerFilter } from "../shaping/filters";

/** Which way traffic of a link goes. */
export type Side = "download" | "upload";

/**
 * Filters of one prefix length have one `pref`, the longest first: 100 to 132 for IPv4, 200 to 328 for IPv6. Within
 * one, flower finds an address by its hash, however many there are.
 */
const FIRST_PREF = { ip: 100, ipv6: 200 } as const;

/** FNV-1a of 32 bits, over the bytes of an address. */
function fnv1a(bytes: readonly number[]): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}

/**
 * The filter of a prefix on one link. Its number follows from the prefix alone, so changing or removing it needs no
 * look at the others: of IPv4 it is the address itself, of IPv6 a hash.
 */
export function prefixFilter(prefix: string, classid: string, side: Side): FlowerFilter {
  const [address = "", length] = prefix.split("/");
  const bytes = addressBytes(address) ?? [];
  const protocol = bytes.length === 4 ? "ip" : "ipv6";
  const bits = bytes.length * 8;
  const number = bytes.length === 4 ? bytes.reduce((sum, byte) => sum * 256 + byte, 0) : fnv1a(bytes);
  return {
    parent: "egress",
    protocol,
    pref: FIRST_PREF[protocol] + bits - Number(length ?? bits),
    handle: number === 0 ? 1 : number,
    ...(side === "download" ? { destination: prefix } : { source: prefix }),
    classid,
  };
}

/** Pairs of prefixes that would have the same filter: one chance in four thousand million for any two of IPv6. */
export function collisions(prefixes: readonly string[]): (readonly [string, string])[] {
  const taken = new Map<string, string>();
  return prefixes.flatMap((prefix) => {
    const { protocol, pref, handle } = prefixFilter(prefix, "1:1", "download");
    const key = `${protocol} ${pref} ${handle}`;
    const other = taken.get(key);
    taken.set(key, other ?? prefix);
    return other === undefined ? [] : [[other, prefix] as const];
  });
}
