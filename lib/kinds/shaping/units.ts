import { z } from "zod";
import { text } from "../schemas";

/**
 * A rate as tc(8) can show it, bit/s: whole bytes below 1 Mbit/s, whole kbit/s below 1 Gbit/s, whole Mbit/s above
 * (`print_rate` of iproute2's tc_util.c cuts off the rest). What cannot be read back cannot be kept.
 */
export function shownRate(bits: number): number {
  const step = bits < 1e6 ? 8 : bits < 1e9 ? 1e3 : bits < 1e12 ? 1e6 : 1e9;
  return Math.max(8, Math.floor(bits / step) * step);
}

/** A rate in bit/s, 8 to 10^13, cut to what tc can show. */
export const rate = z
  .number({ error: "must be a rate in bit/s, 8 to 10000000000000" })
  .min(8, "must be a rate of at least 8 bit/s")
  .max(1e13, "must be a rate of at most 10000000000000 bit/s")
  .overwrite(shownRate);

const RATE_UNITS: Readonly<Record<string, number>> = { "": 1, K: 1e3, M: 1e6, G: 1e9, T: 1e12 };

/** `50Mbit` as bit/s; undefined for text that is no rate of tc's. */
export function parseRate(printed: string): number | undefined {
  const [, number, unit = ""] = /^(\d+(?:\.\d+)?)([KMGT]?)bit$/.exec(printed) ?? [];
  const factor = RATE_UNITS[unit];
  return number === undefined || factor === undefined ? undefined : Math.round(Number(number) * factor);
}

const SIZE_UNITS: Readonly<Record<string, number>> = { b: 1, Kb: 1024, Mb: 1024 * 1024 };

/** `3028b`, `15Kb`, also with a cell size behind it (`3028b/1`), as bytes. */
export function parseSize(printed: string): number | undefined {
  const [, number, unit = ""] = /^(\d+(?:\.\d+)?)([KM]?b)(?:\/\d+)?$/.exec(printed) ?? [];
  const factor = SIZE_UNITS[unit];
  return number === undefined || factor === undefined ? undefined : Math.round(Number(number) * factor);
}

/**
 * Whether a burst that tc shows is the one that was asked for. The kernel keeps it as the time that it takes at the
 * rate, in ticks of a microsecond or less, and tc shows round numbers of KiB and MiB where they are near.
 *
 * @param bits the rate that the burst is at, bit/s
 */
export function sameBurst(shown: number, wanted: number, bits: number): boolean {
  const rounded = wanted >= 1024 * 1024 ? 1024 : 16;
  return Math.abs(shown - wanted) <= rounded + Math.ceil((bits / 8) * 3e-6);
}

/** A number as a word of tc: never in exponents. */
export const digits = (value: number): string =>
  value.toLocaleString("en-US", { useGrouping: false, maximumFractionDigits: 6 });

const CLASSID = /^([0-9a-fA-F]{1,4}):([0-9a-fA-F]{1,4})$/;
const HANDLE = /^([0-9a-fA-F]{1,4}):$/;

/** `1:0A` as tc prints it, `1:a`; other text as it is. */
export function canonicalClassid(value: string): string {
  const [, major, minor] = CLASSID.exec(value) ?? [];
  return major === undefined || minor === undefined ? value : `${hex(major)}:${hex(minor)}`;
}

const hex = (part: string) => parseInt(part, 16).toString(16);

/** A class by major and minor number, hexadecimal: `1:1001`. */
export const classid = text((value) => {
  const [, major = "0", minor = "0"] = CLASSID.exec(value) ?? [];
  return parseInt(major, 16) > 0 && parseInt(minor, 16) > 0 && parseInt(major, 16) < 0xffff
    ? undefined
    : "must be a class id such as 1:1001, hexadecimal, both parts above 0";
}, canonicalClassid);

/** The handle of a qdisc, hexadecimal: `1:`, up to `fffe:`. */
export const handle = text(
  (value) => {
    const major = parseInt(HANDLE.exec(value)?.[1] ?? "0", 16);
    return major > 0 && major < 0xffff
      ? undefined
      : "must be a handle such as 1: or 1001:, hexadecimal, 1 to fffe";
  },
  (value) => `${hex(value.slice(0, -1))}:`,
);

/** The number before the colon. */
export const majorOf = (id: string): number => parseInt(id.split(":")[0] ?? "0", 16);

/** The number behind the colon; 0 for a handle. */
export const minorOf = (id: string): number => parseInt(id.split(":")[1] || "0", 16);
