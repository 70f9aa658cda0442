import { formatCidr, networkOf, parseCidr } from "../../lib/synth/cidr";
import { quoted } from "./findings";
import { formatIpv6, hasHostBits, parseIpv6 } from "./ipv6";
import type { LeafQueue } from "./model";

/** Mbit/s: the least that a class can be given and the most that HTB's 64-bit rates are used for here. */
export const RATE_RANGE = { least: 0.01, most: 100_000 } as const;

/** Line numbers: as many as one shaper has class ids for (see `classIds` in shaping-tree.ts). */
export const NUMBER_RANGE = { least: 1, most: 61_439 } as const;

/** What is wrong with a rate in Mbit/s, or undefined. */
export function rateProblem(rate: number): string | undefined {
  if (rate === 0) return "a rate of 0 lets nothing through; leave the subscriber out instead";
  if (!(rate >= RATE_RANGE.least && rate <= RATE_RANGE.most)) {
    return `${rate} is no rate: Mbit/s from ${RATE_RANGE.least} to ${RATE_RANGE.most}`;
  }
  return undefined;
}

/** What is wrong with a number in a range, or undefined. */
export function rangeProblem(value: number, least: number, most: number, unit: string): string | undefined {
  return value >= least && value <= most ? undefined : `${value} is not from ${least} to ${most}${unit}`;
}

/** What is wrong with a whole number in a range, or undefined. */
export function wholeProblem(value: number, least: number, most: number): string | undefined {
  return Number.isInteger(value) && value >= least && value <= most
    ? undefined
    : `${value} is not a whole number from ${least} to ${most}`;
}

const UNPRINTABLE = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/u;

/** What is wrong with free text (names, comments), or undefined. It is only ever carried as data. */
export function textProblem(text: string): string | undefined {
  if (text.length > 256) return `${quoted(text)} has ${text.length} characters; 256 are the most`;
  return UNPRINTABLE.test(text) ? `${quoted(text)} holds a control character` : undefined;
}

/** What is wrong with an id (of a subscriber, a device, a node), or undefined. */
export function idProblem(id: string): string | undefined {
  if (id === "") return "an id is needed";
  if (id !== id.trim()) return `${quoted(id)} begins or ends with white space`;
  if (id.includes("#")) return `${quoted(id)} holds a #, which begins a comment in LibreQoS' files`;
  return textProblem(id);
}

/** An address or prefix in canonical form, or what is wrong with it. */
export type AddressReading = { readonly address: string } | { readonly problem: string };

const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;
const PREFIX = /^\d{1,3}$/;

/**
 * Reads one address or prefix of a family as the kernel prints it; a single address loses its `/32` or `/128`.
 */
export function readAddress(text: string, family?: 4 | 6): AddressReading {
  // Most of a large file is plain IPv4 addresses, which are canonical already.
  if (family !== 6 && IPV4.test(text)) return { address: text };
  const [host = "", length, ...rest] = text.split("/");
  const found = IPV4.test(host) ? 4 : 6;
  const groups = found === 6 ? parseIpv6(host) : undefined;
  const bits = found === 4 ? 32 : 128;
  const prefix = length === undefined ? bits : PREFIX.test(length) ? Number(length) : NaN;
  if (rest.length > 0 || !(prefix <= bits) || (found === 6 && groups === undefined)) {
    return {
      problem: `${quoted(text)} is not an ${family === undefined ? "IP" : `IPv${family}`} address or prefix`,
    };
  }
  if (family !== undefined && found !== family) {
    return { problem: `${text} is an IPv${found} address where IPv${family} is wanted` };
  }
  if (prefix === bits) return { address: groups === undefined ? host : formatIpv6(groups) };
  if (groups !== undefined && !hasHostBits(groups, prefix))
    return { address: `${formatIpv6(groups)}/${prefix}` };
  const cidr = parseCidr(text);
  if (cidr === undefined) return { problem: `${quoted(text)} is not an IP address or prefix` };
  const network = formatCidr({ ...cidr, address: networkOf(cidr) });
  return networkOf(cidr) === cidr.address
    ? { address: network }
    : { problem: `${text} has bits set beyond its prefix; ${network} is the prefix` };
}

/** LibreQoS' `sqm` column: one word for both directions or `download/upload`, either of which may be empty. */
export function readLeaf(
  text: string,
):
  | { readonly leaf?: LeafQueue | { readonly download?: LeafQueue; readonly upload?: LeafQueue } }
  | { readonly problem: string } {
  const word = text.trim().toLowerCase();
  if (word === "") return {};
  const isLeaf = (part: string): part is LeafQueue => ["cake", "fq_codel", "none"].includes(part);
  if (isLeaf(word)) return { leaf: word };
  const [download = "", upload = "", ...rest] = word.split("/").map((part) => part.trim());
  const sides = [download, upload].every((part) => part === "" || isLeaf(part));
  if (!word.includes("/") || rest.length > 0 || !sides) {
    return { problem: `${quoted(text)} is none of cake, fq_codel, none, or DOWNLOAD/UPLOAD of these` };
  }
  return {
    leaf: { ...(isLeaf(download) && { download }), ...(isLeaf(upload) && { upload }) },
  };
}

/** The reverse of `readLeaf`. */
export function renderLeaf(
  leaf: LeafQueue | { readonly download?: LeafQueue; readonly upload?: LeafQueue } | undefined,
): string {
  if (leaf === undefined) return "";
  if (typeof leaf === "string") return leaf;
  if (leaf.download === undefined && leaf.upload === undefined) return "";
  return `${leaf.download ?? ""}/${leaf.upload ?? ""}`;
}
