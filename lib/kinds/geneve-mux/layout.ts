import { decodeValue, encodeValue, hex, type Field, type FieldValue } from "../bpf/fields";

/**
 * The maps of bpf/geneve-mux/mux.h as bytes. Entries of all of them are kept as hexadecimal digits, key and value, so
 * that what is wanted and what is there are compared as text.
 */

/** The maps that hold what a program wants; the others are the program's own. */
export const MAPS = [
  "mux_hops",
  "mux_more",
  "mux_devs",
  "mux_ends",
  "mux_sources",
  "mux_v6",
  "mux_prefix4",
  "mux_prefix6",
  "mux_ports",
] as const;

/** One of them. */
export type MapName = (typeof MAPS)[number];

/** Values by key, by map; of arrays only what is not zero. */
export type Tables = Readonly<Record<MapName, Readonly<Record<string, string>>>>;

/** Those that are arrays: what is not there is zero. */
export const ARRAYS: ReadonlySet<MapName> = new Set([
  "mux_hops",
  "mux_more",
  "mux_ends",
  "mux_v6",
  "mux_ports",
]);

/** Tables without an entry. */
export const NO_TABLES: Tables = Object.fromEntries(MAPS.map((map) => [map, {}])) as unknown as Tables;

const fields = (...list: readonly (readonly [name: string, type: string])[]): readonly Field[] =>
  list.map(([name, type]) => ({ name, type }));

/** `struct mux_end`; its counters are not part of what is wanted. */
const END = fields(
  ["a", "bytes:4"],
  ["b", "bytes:4"],
  ["scope", "u32"],
  ["flags", "u16"],
  ["protocol", "u8"],
  ["ttl", "u8"],
  ["vni", "u32"],
  ["sport", "be16"],
  ["dport", "be16"],
  ["local", "ipv4"],
  ["remote", "ipv4"],
  ["mtu", "u16"],
  ["tos", "u8"],
  ["pad1", "pad:1"],
  ["hop", "u32"],
  ["egress", "u32"],
  ["more", "u32"],
  ["counters", "pad:16"],
);

/** `struct mux_hop`. */
const HOP = fields(
  ["local", "bytes:16"],
  ["remote", "bytes:16"],
  ["dmac", "mac"],
  ["smac", "mac"],
  ["egress", "u32"],
  ["resolved", "u32"],
  ["valid", "u32"],
  ["hold", "u32"],
  ["family", "u32"],
);

/** `struct mux_more`. */
const MORE = fields(
  ["dmac", "mac"],
  ["smac", "mac"],
  ["optionsLength", "u8"],
  ["pad1", "pad:3"],
  ["options", "bytes:64"],
  ["pad2", "pad:16"],
);

/** `struct mux_slot6`. */
const SLOT6 = fields(
  ["scope", "u32"],
  ["end", "u32"],
  ["a", "bytes:16"],
  ["b", "bytes:16"],
  ["pad1", "pad:24"],
);

/** `struct mux_port`. */
const PORT = fields(
  ["ifindex", "u32"],
  ["flags", "u32"],
  ["table", "u32"],
  ["end", "u32"],
  ["mask4", "u32"],
  ["mask6", "u32"],
  ["stride", "u32"],
  ["cpus", "u32"],
  ["genevePort", "be16"],
  ["vxlanPort", "be16"],
  ["address4", "ipv4"],
  ["address6", "ipv6"],
  ["seed", "u64"],
);

const NUMBER = fields(["number", "u32"]);
const LPM4 = fields(["length", "u32"], ["table", "u32"], ["address", "ipv4"]);
const LPM6 = fields(["length", "u32"], ["table", "u32"], ["address", "bytes:16"]);

/** Struct and hexadecimal digits, both ways. */
function struct<Names extends string>(layout: readonly Field[]) {
  return {
    encode: (value: Readonly<Record<Names, FieldValue>>) => encodeValue(layout, value).map(hex).join(""),
    decode: (digits: string) => decodeValue(layout, bytesOf(digits)) as Record<Names, FieldValue>,
  };
}

/** An end of a tunnel. */
export const endLine = struct<
  | ("a" | "b" | "scope" | "flags" | "protocol" | "ttl" | "vni" | "sport" | "dport" | "local" | "remote")
  | ("mtu" | "tos" | "hop" | "egress" | "more")
>(END);
/** Where frames go next. */
export const hopEntry = struct<
  "local" | "remote" | "dmac" | "smac" | "egress" | "resolved" | "valid" | "hold" | "family"
>(HOP);
/** What few ends need. */
export const moreEntry = struct<"dmac" | "smac" | "optionsLength" | "options">(MORE);
/** A slot of the table of IPv6 keys. */
export const slot6 = struct<"scope" | "end" | "a" | "b">(SLOT6);
/** An interface. */
export const portEntry = struct<
  | ("ifindex" | "flags" | "table" | "end" | "mask4" | "mask6" | "stride" | "cpus")
  | ("genevePort" | "vxlanPort" | "address4" | "address6" | "seed")
>(PORT);
/** Key of `mux_prefix4`. */
export const lpm4 = struct<"length" | "table" | "address">(LPM4);
/** Key of `mux_prefix6` and of `mux_sources`. */
export const lpm6 = struct<"length" | "table" | "address">(LPM6);

/** A number of 32 bits. */
export const u32 = (number: number) => encodeValue(NUMBER, number).map(hex).join("");
/** The number that digits are. */
export const numberOf = (digits: string) => Number(decodeValue(NUMBER, bytesOf(digits)));

/** Hexadecimal digits as bytes. */
export const bytesOf = (digits: string) =>
  Array.from({ length: digits.length / 2 }, (_, nth) => parseInt(digits.slice(2 * nth, 2 * nth + 2), 16));

/** Bytes as hexadecimal digits. */
export const digitsOf = (bytes: readonly number[]) => bytes.map(hex).join("");

/** Whether digits are all zero. */
export const isZero = (digits: string) => /^0*$/.test(digits);

/** Scope of a slot that an entry was deleted from: searches go on behind it. */
export const TOMB = 0xffff_ffff;
/** Protocol of a line that leads to another. */
export const ALIAS = 255;
/** How far behind its hash an entry may lie. */
export const WINDOW = 32;
/** The same of an interface. */
export const PORT_WINDOW = 8;
/** `hold` of a hop whose MACs and egress are given. */
export const STATIC = 0xffff_ffff;

/** A deleted line. */
export const TOMB_LINE = "00".repeat(8) + u32(TOMB) + "00".repeat(52);
/** A deleted slot of the IPv6 table. */
export const TOMB_SLOT6 = u32(TOMB) + "00".repeat(60);

/** `enum mux_protocol`. */
export const PROTOCOLS = { geneve: 2, vxlan: 3, gre: 4, ipip: 5, vlan: 6, qinq: 7 } as const;
/** A protocol of tunnels. */
export type Protocol = keyof typeof PROTOCOLS;

/** Flags of an end, by the bit. Bit 11 is one thing for an end that pushes and another for one that pops. */
export const FLAGS = {
  v6: 0,
  ip: 1,
  redirect: 2,
  debug: 3,
  key: 4,
  "dont-fragment": 6,
  "inherit-dont-fragment": 7,
  checksum: 8,
  "zero-checksum": 9,
  "trust-checksum": 10,
  "any-source": 11,
  "ecn-compatible": 11,
  "destination-mac": 12,
  "source-mac": 13,
  dscp: 14,
  options: 15,
} as const;
/** A flag of an end. */
export type Flag = keyof typeof FLAGS;

/** Flags of an interface, `MUX_PORT_*`. */
export const PORT_FLAGS = { pair: 1, host: 2, prefix: 4, all: 8, pop: 16, fill: 32, ask: 64 } as const;

/** Sizes of the maps for so many ends and keys, a power of two: the tables are then at most a quarter full. */
export const sizesOf = (capacity: number) => ({
  MUX_ENDS: 5 * capacity,
  MUX_SLOTS6: 4 * capacity,
  MUX_HOPS: 2 * capacity,
  MUX_MORES: 2 * capacity,
  MUX_PORTS: capacity,
  MUX_PREFIXES: 16 * capacity,
  MUX_DEVS: 4 * capacity,
});

/** Lines of `mux_ends` that are the table of IPv4 keys, and slots of the table of IPv6 keys. */
export const tableSize = (capacity: number) => 4 * capacity;
