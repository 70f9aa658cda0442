import ipaddr from "ipaddr.js";
import { z } from "zod";

/**
 * Small schemas that the kinds share. Each is the check and the normaliser of one sort of value: what comes out
 * is how the kernel and iproute2 print it, so that equal things are equal text. None of them lets through a
 * character that means anything to a shell or to a batch file.
 */

/** Longest interface name in bytes: IFNAMSIZ of `linux/if.h` without the closing NUL. */
const MAX_INTERFACE_NAME = 15;

/** What is wrong with a value, in the user's words; undefined when nothing is. */
export type Problem = (value: string) => string | undefined;

/** Text that passes a check, in its canonical spelling. */
export function text(problem: Problem, canonical: (value: string) => string = (value) => value): z.ZodString {
  return z
    .string({ error: "must be text" })
    .superRefine((value, context) => {
      const message = problem(value);
      if (message !== undefined) context.addIssue({ code: "custom", message });
    })
    .overwrite((value) => (problem(value) === undefined ? canonical(value) : value));
}

/** A value as it is shown in an error: quoted, control characters escaped, cut where it is long. */
export function quoted(value: string): string {
  return JSON.stringify(value.length > 64 ? `${value.slice(0, 64)}…` : value);
}

/** A whole number in a range. The message never shows the number: it may be a key. */
export function whole(min: number, max: number): z.ZodNumber {
  const error = `must be a whole number from ${min} to ${max}`;
  return z.number({ error }).int({ error }).min(min, { error }).max(max, { error });
}

/** What keeps a name from naming an interface: the rules of the kernel's `dev_valid_name` and our safe letters. */
export const interfaceNameProblem: Problem = (name) => {
  const bytes = Buffer.byteLength(name);
  if (bytes === 0) return "is empty: an interface needs a name of 1 to 15 bytes";
  if (bytes > MAX_INTERFACE_NAME) {
    return `${quoted(name)} has ${bytes} bytes, and the kernel allows ${MAX_INTERFACE_NAME} in an interface name (IFNAMSIZ)`;
  }
  return unsafe(name, "an interface name");
};

function unsafe(name: string, what: string): string | undefined {
  if (name === "." || name === "..") return `${quoted(name)} cannot be ${what}`;
  if (name.startsWith("-")) return `${quoted(name)} starts with "-", which tools take for an option`;
  if (!/^[A-Za-z0-9_.-]+$/.test(name)) {
    return `${quoted(name)} cannot be ${what}: only letters, digits, "_", "." and "-" are allowed`;
  }
  return undefined;
}

const nameUpTo = (max: number, what: string) =>
  text((name) => {
    if (name === "") return `is empty: ${what} has 1 to ${max} characters`;
    if (name.length > max) return `has ${name.length} characters, and ${what} has at most ${max}`;
    return unsafe(name, what);
  });

/** The name of a network interface: 1 to 15 bytes, letters, digits, `_`, `.` and `-`. */
export const interfaceName = text(interfaceNameProblem);

/** The name of a network namespace as `ip netns` knows it (ip-netns(8)): a file below `/run/netns`. */
export const netnsName = nameUpTo(64, "a namespace name");

/** A name of our own: letters, digits, `_`, `.` and `-`, at most 64 of them. */
export const safeName = nameUpTo(64, "a name");

/** An IPv4 address by itself: a town's subscribers have a hundred thousand of them, and the library reads ten ways to write one. */
const FOUR_PARTS = /^(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})$/;

/** Bytes of an address, first to last; undefined when the text is no address. */
export function addressBytes(address: string): number[] | undefined {
  const parts = FOUR_PARTS.exec(address);
  if (parts !== null) {
    const bytes = parts.slice(1).map(Number);
    return bytes.every((byte) => byte <= 255) ? bytes : undefined;
  }
  if (!address.includes(":") || !/^[0-9A-Fa-f:.]+$/.test(address)) return undefined;
  const hex = dottedTailAsHex(address);
  return hex !== undefined && ipaddr.IPv6.isValid(hex) ? ipaddr.IPv6.parse(hex).toByteArray() : undefined;
}

/** `::1.2.3.4` as `::102:304`: ipaddr.js takes every dotted tail for an IPv4-mapped address. */
function dottedTailAsHex(address: string): string | undefined {
  const colon = address.lastIndexOf(":");
  const tail = address.slice(colon + 1);
  if (!tail.includes(".")) return address;
  if (!ipaddr.IPv4.isValidFourPartDecimal(tail)) return undefined;
  const [a = 0, b = 0, c = 0, d = 0] = ipaddr.IPv4.parse(tail).toByteArray();
  return `${address.slice(0, colon + 1)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
}

/** Address bytes as iproute2 prints them, which is inet_ntop(3): RFC 5952, with an IPv4 tail where one is meant. */
export function formatAddress(bytes: readonly number[]): string {
  if (bytes.length === 4) return bytes.join(".");
  const zeros = bytes.findIndex((byte) => byte !== 0);
  const mapped = zeros === 10 && bytes[10] === 0xff && bytes[11] === 0xff;
  const compatible = zeros === 12 || zeros === 13;
  if (mapped) return `::ffff:${bytes.slice(12).join(".")}`;
  if (compatible) return `::${bytes.slice(12).join(".")}`;
  return new ipaddr.IPv6([...bytes]).toRFC5952String();
}

/** 4 or 6; undefined when the text is no address. */
export function familyOf(address: string): 4 | 6 | undefined {
  const bytes = addressBytes(address.split("/", 1)[0] ?? "");
  return bytes === undefined ? undefined : bytes.length === 4 ? 4 : 6;
}

/** An address in its canonical spelling; text that is no address as it is. */
export function canonicalAddress(address: string): string {
  const bytes = addressBytes(address);
  return bytes === undefined ? address : formatAddress(bytes);
}

const addressOf = (family: 4 | 6 | undefined, like: string) =>
  text((value) => {
    const found = value.includes("/") ? undefined : familyOf(value);
    if (found === undefined) return `${quoted(value)} is not an ${label(family)} address such as ${like}`;
    if (family !== undefined && found !== family) {
      return `${quoted(value)} is an ${label(found)} address, and an ${label(family)} address is wanted`;
    }
    return undefined;
  }, canonicalAddress);

const label = (family: 4 | 6 | undefined) => (family === undefined ? "IP" : family === 4 ? "IPv4" : "IPv6");

/** An IPv4 address in four decimal parts. */
export const ipv4 = addressOf(4, "192.0.2.1");

/** An IPv6 address without a zone, RFC 5952 on the way out. */
export const ipv6 = addressOf(6, "2001:db8::1");

/** An IPv4 or IPv6 address. */
export const ip = addressOf(undefined, "192.0.2.1 or 2001:db8::1");

interface Prefix {
  readonly bytes: number[];
  readonly length: number;
}

function readPrefix(value: string): Prefix | undefined {
  const [address = "", length, ...rest] = value.split("/");
  const bytes = addressBytes(address);
  if (bytes === undefined || rest.length > 0 || length === undefined || !/^(0|[1-9]\d{0,2})$/.test(length)) {
    return undefined;
  }
  return Number(length) <= bytes.length * 8 ? { bytes, length: Number(length) } : undefined;
}

const writePrefix = ({ bytes, length }: Prefix) => `${formatAddress(bytes)}/${length}`;

/** The prefix without its host bits. */
function masked({ bytes, length }: Prefix): Prefix {
  const network = bytes.map(
    (byte, index) => byte & (0xff << (8 - Math.min(8, Math.max(0, length - 8 * index)))),
  );
  return { bytes: network, length };
}

/** `address/length` in its canonical spelling; text that is none as it is. */
export function canonicalCidr(value: string): string {
  const read = readPrefix(value);
  return read === undefined ? value : writePrefix(read);
}

/** The network of an address with a prefix length, `10.0.0.0/16` of `10.0.0.1/16`; other text as it is. */
export function networkOf(value: string): string {
  const read = readPrefix(value);
  return read === undefined ? value : writePrefix(masked(read));
}

function cidrProblem(value: string): string | undefined {
  if (readPrefix(value) !== undefined) return undefined;
  const [address = "", length] = value.split("/");
  const family = familyOf(address);
  if (family === undefined)
    return `${quoted(value)} is not an address with a prefix length such as 10.0.0.1/16`;
  const most = family === 4 ? 32 : 128;
  return length === undefined
    ? `${quoted(value)} has no prefix length: write ${quoted(`${address}/${most}`)} for this one address`
    : `${quoted(value)} has no prefix length of 0 to ${most} after the slash`;
}

/** An address with a prefix length, host bits kept: `10.0.0.1/16`. */
export const cidr = text(cidrProblem, canonicalCidr);

/** A network: an address with a prefix length whose host bits are zero, `10.0.0.0/16`. */
export const prefix = text((value) => {
  const read = readPrefix(value);
  if (read === undefined) return cidrProblem(value);
  const network = writePrefix(masked(read));
  return network === writePrefix(read)
    ? undefined
    : `${quoted(value)} has host bits set: the network is ${quoted(network)}`;
}, canonicalCidr);

/** A list without an order: sorted by text, each once. */
export function set<T extends z.ZodType<string>>(item: T) {
  return z.array(item, { error: "must be a list" }).overwrite((items) => [...new Set(items)].sort());
}

/** A hardware address of an Ethernet interface: six bytes, unicast, not all zero. */
export const mac = text(
  (value) => {
    if (!/^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$/.test(value)) {
      return `${quoted(value)} is not a MAC address such as 02:00:00:00:00:01`;
    }
    if (/^(00:){5}00$/.test(value)) return "is all zero, which no interface can have";
    return parseInt(value.slice(0, 2), 16) & 1
      ? `${quoted(value)} is a multicast MAC address, which no interface can have`
      : undefined;
  },
  (value) => value.toLowerCase(),
);

/** Bytes of the largest packet of a link: 68 (RFC 791's least) to 65535. */
export const mtu = whole(68, 65535);

/** A 32-bit unsigned number. */
export const u32 = whole(0, 0xffff_ffff);

/** A TCP or UDP port. */
export const port = whole(1, 65535);

/**
 * A kernel setting below `/proc/sys`, `/`-separated as sysctl(8) accepts it: a dot may be part of an interface
 * name there. `net.ipv4.ip_forward` (no slash at all) is accepted and comes out as `net/ipv4/ip_forward`.
 */
export const sysctlKey = text(sysctlKeyProblem, canonicalSysctlKey);

function canonicalSysctlKey(key: string): string {
  return key.includes("/") ? key : key.replaceAll(".", "/");
}

function sysctlKeyProblem(key: string): string | undefined {
  const parts = canonicalSysctlKey(key).split("/");
  const ok =
    parts.length > 1 && parts.every((part) => /^[A-Za-z0-9_@.-]+$/.test(part) && !/^\.{1,2}$/.test(part));
  return ok && !key.startsWith("-")
    ? undefined
    : `${quoted(key)} is not a kernel setting such as net/ipv4/ip_forward (a path below /proc/sys)`;
}

/** A setting's value with one space between its parts: the kernel prints tabs and a newline. */
export function canonicalSysctlValue(value: string): string {
  return value.trim().split(/\s+/).join(" ");
}

/** The value of a kernel setting. */
export const sysctlValue = text(
  (value) =>
    /^[\x20-\x7e\t]+$/.test(value) && value.trim() !== "" && value.length <= 4096
      ? undefined
      : "must be one line of printable text, not empty",
  canonicalSysctlValue,
);

/** Whether an address is one of many receivers: 224.0.0.0/4 or ff00::/8. */
export function isMulticast(address: string): boolean {
  const bytes = addressBytes(address);
  return bytes !== undefined && (bytes.length === 4 ? ((bytes[0] ?? 0) & 0xf0) === 0xe0 : bytes[0] === 0xff);
}
