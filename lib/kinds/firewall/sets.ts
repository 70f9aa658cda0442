import { addressBytes, formatAddress } from "../schemas";
import type { Range } from "../protocols";

/**
 * Sets of addresses and ports. nftables merges neighbours and drops what is covered when it lists a set, so both
 * what is wanted and what is found are brought to the one smallest list of prefixes (or ranges) of the same set.
 */

/** First and last address of an interval, as numbers of 32 or 128 bits. */
interface Interval {
  readonly from: bigint;
  readonly to: bigint;
}

/** Addresses of one family as intervals. */
export interface AddressSet {
  readonly version: 4 | 6;
  readonly intervals: readonly Interval[];
}

const widthOf = (version: 4 | 6) => (version === 4 ? 32 : 128);

function numberOf(address: string): { version: 4 | 6; value: bigint } | undefined {
  const bytes = addressBytes(address);
  if (bytes === undefined) return undefined;
  return {
    version: bytes.length === 4 ? 4 : 6,
    value: bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n),
  };
}

function addressOf(value: bigint, version: 4 | 6): string {
  const length = widthOf(version) / 8;
  const bytes = Array.from({ length }, (_, index) =>
    Number((value >> BigInt(8 * (length - 1 - index))) & 0xffn),
  );
  return formatAddress(bytes);
}

/** A prefix (`10.0.0.0/8`) or an address as an interval. */
export function prefixInterval(text: string): { version: 4 | 6; interval: Interval } | undefined {
  const [address = "", given] = text.split("/");
  const found = numberOf(address);
  if (found === undefined) return undefined;
  const { version, value } = found;
  const width = widthOf(version);
  const length = given === undefined ? width : Number(given);
  if (!Number.isInteger(length) || length < 0 || length > width) return undefined;
  const size = 1n << BigInt(width - length);
  const from = value - (value % size);
  return { version, interval: { from, to: from + size - 1n } };
}

/** From one address to another as an interval. */
export function rangeInterval(
  first: string,
  last: string,
): { version: 4 | 6; interval: Interval } | undefined {
  const [from, to] = [numberOf(first), numberOf(last)];
  if (from === undefined || to === undefined || from.version !== to.version || from.value > to.value)
    return undefined;
  return { version: from.version, interval: { from: from.value, to: to.value } };
}

const byStart = (a: Interval, b: Interval) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0);

/** The same addresses in intervals that neither touch nor overlap. */
function merged(intervals: readonly Interval[]): Interval[] {
  const result: Interval[] = [];
  for (const one of [...intervals].sort(byStart)) {
    const last = result.at(-1);
    if (last === undefined || one.from > last.to + 1n) result.push(one);
    else if (one.to > last.to) result[result.length - 1] = { from: last.from, to: one.to };
  }
  return result;
}

/** The fewest prefixes of exactly these addresses, in order. */
export function prefixes({ version, intervals }: AddressSet): string[] {
  const width = widthOf(version);
  return merged(intervals).flatMap(({ from, to }) => {
    const found: string[] = [];
    for (let start = from; start <= to;) {
      let bits = 0;
      // As large as the start is aligned to, and as what is left allows.
      while (
        bits < width &&
        start % (1n << BigInt(bits + 1)) === 0n &&
        start + (1n << BigInt(bits + 1)) - 1n <= to
      )
        bits += 1;
      found.push(`${addressOf(start, version)}/${width - bits}`);
      start += 1n << BigInt(bits);
    }
    return found;
  });
}

/** Prefixes or addresses of one family in their canonical form; as they are when there is no such set. */
export function canonicalPrefixes(given: readonly string[]): string[] {
  const read = given.map(prefixInterval);
  const [first] = read;
  if (first === undefined || read.some((one) => one?.version !== first.version)) return [...given];
  return prefixes({
    version: first.version,
    intervals: read.flatMap((one) => (one === undefined ? [] : [one.interval])),
  });
}

/** Ranges that neither touch nor overlap, in order. */
export function mergedRanges(ranges: readonly Range[]): Range[] {
  const result: Range[] = [];
  for (const one of [...ranges].sort((a, b) => a.from - b.from)) {
    const last = result.at(-1);
    if (last === undefined || one.from > last.to + 1) result.push(one);
    else if (one.to > last.to) result[result.length - 1] = { from: last.from, to: one.to };
  }
  return result;
}
