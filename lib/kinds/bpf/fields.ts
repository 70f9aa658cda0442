import { z } from "zod";
import { addressBytes, canonicalCidr, formatAddress, networkOf, quoted, text } from "../schemas";

/**
 * The types that a map's keys and values are made of, and how each is bytes. Numbers are in the host's order, which
 * is little-endian on every machine that this runs on; `be16` and its like are in the network's.
 */

/** A member of a key or a value. */
export interface Field {
  readonly name: string;
  /**
   * `u8` `u16` `u32` `u64` `s32`, `be16` `be32` `be64`, `ipv4`, `ipv6`, `mac`; `prefix4` and `prefix6` for the key of
   * an LPM trie (`struct bpf_lpm_trie_key`); `bytes:N` in hexadecimal digits, `pad:N` for N zero bytes that no entry
   * names.
   */
  readonly type: string;
}

/** What an entry says of one field. */
export type FieldValue = number | string;

interface Codec {
  readonly size: number;
  /** @throws Error in the words of the value's user */
  encode(value: FieldValue): number[];
  decode(bytes: readonly number[]): FieldValue;
}

function integer(size: number, options: { signed?: boolean; big?: boolean } = {}): Codec {
  const bits = BigInt(size * 8);
  const [least, most] = options.signed
    ? [-(1n << (bits - 1n)), (1n << (bits - 1n)) - 1n]
    : [0n, (1n << bits) - 1n];
  const ordered = (bytes: number[]) => (options.big ? bytes.reverse() : bytes);
  return {
    size,
    encode(value) {
      const isWhole = typeof value === "number" ? Number.isSafeInteger(value) : /^-?\d+$/.test(value);
      const number = isWhole ? BigInt(value) : undefined;
      if (number === undefined || number < least || number > most)
        throw new Error(`must be a whole number from ${least} to ${most}`);
      const unsigned = BigInt.asUintN(size * 8, number);
      return ordered(
        Array.from({ length: size }, (_, index) => Number((unsigned >> BigInt(8 * index)) & 255n)),
      );
    },
    decode(bytes) {
      const unsigned = ordered([...bytes]).reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
      const number = options.signed ? BigInt.asIntN(size * 8, unsigned) : unsigned;
      return number <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(number) : String(number);
    },
  };
}

function address(size: 4 | 16): Codec {
  const like = size === 4 ? "IPv4 address such as 192.0.2.1" : "IPv6 address such as 2001:db8::1";
  return {
    size,
    encode(value) {
      const bytes = addressBytes(String(value));
      if (bytes?.length !== size) throw new Error(`must be an ${like}`);
      return bytes;
    },
    decode: (bytes) => formatAddress(bytes),
  };
}

/** A prefix length in the host's order, then the address: what an LPM trie is looked up by. */
function lpm(size: 4 | 16): Codec {
  const [length, bytes] = [integer(4), address(size)];
  return {
    size: 4 + size,
    encode(value) {
      const [network = "", bits] = networkOf(String(value)).split("/");
      if (bits === undefined || addressBytes(network)?.length !== size)
        throw new Error(
          `must be an IPv${size === 4 ? 4 : 6} prefix such as ${size === 4 ? "192.0.2.0/24" : "2001:db8::/32"}`,
        );
      if (canonicalCidr(String(value)) !== `${network}/${bits}`)
        throw new Error(`has host bits set: the network is ${network}/${bits}`);
      return [...length.encode(Number(bits)), ...bytes.encode(network)];
    },
    decode: (all) => `${bytes.decode(all.slice(4))}/${length.decode(all.slice(0, 4))}`,
  };
}

const mac: Codec = {
  size: 6,
  encode(value) {
    if (!/^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$/.test(String(value)))
      throw new Error("must be a MAC address such as 02:00:00:00:00:01");
    return String(value)
      .split(":")
      .map((part) => parseInt(part, 16));
  },
  decode: (bytes) => bytes.map(hex).join(":"),
};

const raw = (size: number): Codec => ({
  size,
  encode(value) {
    if (!new RegExp(`^([0-9A-Fa-f]{2}){${size}}$`).test(String(value)))
      throw new Error(`must be ${2 * size} hexadecimal digits`);
    return Array.from({ length: size }, (_, index) =>
      parseInt(String(value).slice(2 * index, 2 * index + 2), 16),
    );
  },
  decode: (bytes) => bytes.map(hex).join(""),
});

const CODECS: Readonly<Record<string, Codec>> = {
  u8: integer(1),
  u16: integer(2),
  u32: integer(4),
  u64: integer(8),
  s32: integer(4, { signed: true }),
  be16: integer(2, { big: true }),
  be32: integer(4, { big: true }),
  be64: integer(8, { big: true }),
  ipv4: address(4),
  ipv6: address(16),
  prefix4: lpm(4),
  prefix6: lpm(16),
  mac,
};

/** Two hexadecimal digits. */
export const hex = (byte: number) => byte.toString(16).padStart(2, "0");

const SIZED = /^(bytes|pad):([1-9]\d{0,2})$/;

function codecOf(type: string): Codec {
  const size = Number(SIZED.exec(type)?.[2] ?? 0);
  const codec = size > 0 ? raw(size) : CODECS[type];
  if (codec === undefined) throw new Error(`${quoted(type)} is no type of a field`);
  return codec;
}

const isPadding = ({ type }: Field) => type.startsWith("pad:");

/** Schema of the fields of a key or a value. */
export const fieldsSchema = z
  .array(
    z.strictObject({
      name: text((name) =>
        /^[A-Za-z_][A-Za-z0-9_]{0,63}$/.test(name) ? undefined : `${quoted(name)} is not a name in C`,
      ),
      type: text((type) =>
        type in CODECS || SIZED.test(type)
          ? undefined
          : `${quoted(type)} is none of ${Object.keys(CODECS).join(", ")}, bytes:N, pad:N`,
      ),
    }),
    { error: "must be a list of fields" },
  )
  .refine((fields) => fields.some((field) => !isPadding(field)), "names no field")
  .refine((fields) => new Set(fields.map(({ name }) => name)).size === fields.length, "names a field twice");

/** Bytes of a key or a value. */
export const sizeOf = (fields: readonly Field[]) =>
  fields.reduce((sum, { type }) => sum + codecOf(type).size, 0);

/**
 * A value as bytes, from one number or text where there is but one field, else from an object of them.
 *
 * @throws Error that names the field
 */
export function encodeValue(fields: readonly Field[], value: unknown): number[] {
  const named = fields.filter((field) => !isPadding(field));
  const only = named.length === 1 && typeof value !== "object" ? named[0]?.name : undefined;
  const members = (only === undefined ? value : { [only]: value }) as
    Readonly<Record<string, FieldValue>> | undefined;
  if (typeof members !== "object" || members === null || Array.isArray(members))
    throw new Error(`must be an object of ${named.map(({ name }) => name).join(", ")}`);
  const strange = Object.keys(members).find((name) => !named.some((field) => field.name === name));
  if (strange !== undefined)
    throw new Error(`has ${quoted(strange)}, and the fields are ${named.map(({ name }) => name).join(", ")}`);
  return fields.flatMap((field) => {
    const codec = codecOf(field.type);
    if (isPadding(field)) return new Array<number>(codec.size).fill(0);
    const member = members[field.name];
    try {
      if (typeof member !== "number" && typeof member !== "string") throw new Error("is missing");
      return codec.encode(member);
    } catch (error) {
      throw new Error(`${field.name} ${(error as Error).message}`, { cause: error });
    }
  });
}

/** Bytes as a value: what {@link encodeValue} makes bytes of. */
export function decodeValue(
  fields: readonly Field[],
  bytes: readonly number[],
): FieldValue | Record<string, FieldValue> {
  const members: [string, FieldValue][] = [];
  let from = 0;
  for (const field of fields) {
    const codec = codecOf(field.type);
    const own = bytes.slice(from, (from += codec.size));
    if (!isPadding(field)) members.push([field.name, codec.decode(own)]);
  }
  const [first] = members;
  return members.length === 1 && first !== undefined ? first[1] : Object.fromEntries(members);
}

/** A key as bytes, from the text that names it: its fields, one space between them. */
export function encodeKey(fields: readonly Field[], key: string): number[] {
  const named = fields.filter((field) => !isPadding(field));
  const parts = key.split(" ");
  if (parts.length !== named.length)
    throw new Error(`is not ${named.map(({ name }) => name).join(" ")}, one space between them`);
  return encodeValue(fields, Object.fromEntries(named.map(({ name }, index) => [name, parts[index]])));
}

/** Bytes of a key as the text that names it. */
export function decodeKey(fields: readonly Field[], bytes: readonly number[]): string {
  const value = decodeValue(fields, bytes);
  return typeof value === "object" ? Object.values(value).join(" ") : String(value);
}
