import { createHash } from "node:crypto";

/** Longest interface name in bytes: IFNAMSIZ of `linux/if.h` without the closing NUL. */
export const MAX_INTERFACE_NAME = 15;

/** Eight hexadecimal digits that depend on every part and on their order. */
export function hash8(...parts: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 8);
}

/**
 * A 32-bit number that depends on every part and on their order; the same on every machine and in every release.
 */
export function hash32(...parts: readonly string[]): number {
  return createHash("sha256").update(JSON.stringify(parts)).digest().readUInt32BE(0);
}

/**
 * A stable interface name: the parts joined by `-` where that fits, else as much of them as fits and an 8-digit
 * hash of the whole, at most 15 bytes. The same parts always give the same name, whatever else is in the program.
 *
 * @example interfaceName("gre", "site2") // gre-site2
 * @example interfaceName("gre", "a-site-with-a-long-name") // gre-a--70bc01a5 or alike
 */
export function interfaceName(...parts: readonly string[]): string {
  const clean = parts.map((part) => part.replace(/[^A-Za-z0-9_.-]+/g, "-"));
  const joined = clean.join("-");
  const unchanged = clean.every((part, index) => part === parts[index]);
  if (unchanged && joined.length > 0 && joined.length <= MAX_INTERFACE_NAME && !/^\.{1,2}$/.test(joined)) {
    return joined;
  }
  const room = MAX_INTERFACE_NAME - 9;
  const kept = joined.slice(0, room).replace(/^[-.]+|[-.]+$/g, "");
  return `${kept === "" ? "if" : kept}-${hash8(...parts)}`;
}
