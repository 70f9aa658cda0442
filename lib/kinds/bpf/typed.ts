import { addressBytes, canonicalCidr, formatAddress, networkOf } from "../schemas";
import { hex } from "./fields";
import type { Member, Shape } from "./shapes";

/**
 * Values as a person writes them, as bytes by the types of the program that reads them. How a value is written says
 * what it is where C does not: four bytes are an address when they are written as one.
 */

/** What an entry says. */
export type TypedValue = number | string | readonly TypedValue[] | { readonly [member: string]: TypedValue };

/**
 * A value as bytes.
 *
 * @throws Error that names the member: `remote.port must be a whole number from 0 to 65535`
 */
export function encodeTyped(shape: Shape, value: TypedValue, path = ""): number[] {
  const written = typeof value === "string" ? encodeWritten(shape, value, path) : undefined;
  if (written !== undefined) return written;
  switch (shape.kind) {
    case "number":
    case "enum":
      if (typeof value === "number" || typeof value === "string") return encodeNumber(shape, value, path);
      break;
    case "array":
      if (Array.isArray(value)) return encodeArray(shape, value as readonly TypedValue[], path);
      break;
    case "struct":
      if (typeof value === "object" && !Array.isArray(value))
        return encodeStruct(shape, value as Readonly<Record<string, TypedValue>>, path);
      break;
    case "opaque":
      throw wrong(path, `is ${shape.what}, which cannot be written`);
    case "text":
      break;
  }
  throw wrong(path, `must be ${expected(shape)}`);
}

/**
 * Bytes as a value. `like` is what was wanted: what it says is told in the same words, and what it leaves out is not
 * looked at.
 */
export function decodeTyped(shape: Shape, bytes: readonly number[], like?: TypedValue): TypedValue {
  if (typeof like === "string" || typeof like === "number") {
    if (sameBytes(tryEncode(shape, like), bytes)) return like;
    const form = typeof like === "string" ? formOf(shape, like) : undefined;
    if (form !== undefined) return form.decode(bytes);
  }
  switch (shape.kind) {
    case "number":
      return decodeNumber(shape, bytes);
    case "enum": {
      const number = decodeNumber({ ...shape, signed: true, big: false }, bytes);
      return Object.entries(shape.values).find(([, value]) => value === number)?.[0] ?? number;
    }
    case "text": {
      const end = bytes.indexOf(0);
      return Buffer.from(end < 0 ? bytes : bytes.slice(0, end)).toString("utf8");
    }
    case "array": {
      if (shape.of.size === 1 && !Array.isArray(like)) return bytes.map(hex).join("");
      const items = Array.isArray(like) ? (like as readonly TypedValue[]) : undefined;
      const { of, count } = shape;
      return Array.from({ length: items?.length ?? count }, (_, nth) =>
        decodeTyped(of, bytes.slice(nth * of.size, (nth + 1) * of.size), items?.[nth]),
      );
    }
    case "struct": {
      const members = typeof like === "object" ? (like as Readonly<Record<string, TypedValue>>) : undefined;
      return Object.fromEntries(
        (members === undefined
          ? shape.members.filter((member) => member.shape.kind !== "opaque")
          : shape.members.filter(({ name }) => name in members)
        ).map(({ name, offset, shape: of }) => [
          name,
          decodeTyped(of, bytes.slice(offset, offset + of.size), members?.[name]),
        ]),
      );
    }
    case "opaque":
      return bytes.map(hex).join("");
  }
}

/**
 * A key as bytes, from the text that names it: a prefix or address, its members with one space between them, or `0x`
 * and every byte.
 *
 * @throws Error that names the member
 */
export function encodeTypedKey(shape: Shape, key: string): number[] {
  const whole = /^0x((?:[0-9a-f]{2})+)$/.exec(key)?.[1];
  if (whole !== undefined && whole.length === 2 * shape.size) return fromHex(whole);
  if (shape.kind !== "struct" || formOf(shape, key) !== undefined) return encodeTyped(shape, key);
  const members = named(shape.members);
  const parts = key.split(" ");
  if (parts.length !== members.length)
    throw new Error(`is not ${members.map(({ name }) => name).join(" ")}, one space between them`);
  return encodeStruct(
    shape,
    Object.fromEntries(members.map(({ name }, nth) => [name, parts[nth] ?? ""])),
    "",
  );
}

/** Bytes of a key as a text that {@link encodeTypedKey} makes the same bytes of. */
export function decodeTypedKey(shape: Shape, bytes: readonly number[], mapType: string): string {
  if (mapType === "lpm_trie" && (shape.size === 8 || shape.size === 20))
    return prefixForm(shape.size).decode(bytes);
  const parts =
    shape.kind === "struct"
      ? named(shape.members).map((one) =>
          decodeTyped(one.shape, bytes.slice(one.offset, one.offset + one.shape.size)),
        )
      : [decodeTyped(shape, bytes)];
  const text = parts.map(String).join(" ");
  try {
    if (sameBytes(encodeTypedKey(shape, text), bytes)) return text;
  } catch {
    // It holds what has no text of its own: a list, a space.
  }
  return `0x${bytes.map(hex).join("")}`;
}

/** Members without what only fills gaps. */
const named = (members: readonly Member[]) =>
  members.filter(({ name }) => !/^_*(pad|padding|reserved)\d*$/.test(name));

interface Form {
  encode(text: string): number[];
  decode(bytes: readonly number[]): string;
}

const addressForm: Form = {
  encode: (text) => addressBytes(text) ?? [],
  decode: (bytes) => formatAddress(bytes),
};

const macForm: Form = {
  encode: (text) => text.split(":").map((part) => parseInt(part, 16)),
  decode: (bytes) => bytes.map(hex).join(":"),
};

const hexForm: Form = {
  encode: fromHex,
  decode: (bytes) => bytes.map(hex).join(""),
};

/** `struct bpf_lpm_trie_key`: a length in the host's order, then the address. */
const prefixForm = (size: number): Form => ({
  encode(text) {
    const [network = "", length] = networkOf(text).split("/");
    if (canonicalCidr(text) !== `${network}/${length}`)
      throw new Error(`has host bits set: the network is ${network}/${length}`);
    return [Number(length), 0, 0, 0, ...(addressBytes(network) ?? [])];
  },
  decode: (bytes) => `${formatAddress(bytes.slice(4, size))}/${bytes[0] ?? 0}`,
});

/** How a text says what some bytes are, if it does. */
function formOf(shape: Shape, text: string): Form | undefined {
  const { kind, size } = shape;
  if (kind === "text" || kind === "enum" || kind === "opaque") return undefined;
  if (size === 6 && /^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$/.test(text)) return macForm;
  const [address = "", length] = text.split("/");
  const bytes = addressBytes(address)?.length;
  if (length !== undefined) {
    const most = (bytes ?? 0) * 8;
    const isPrefix =
      bytes !== undefined && size === 4 + bytes && /^\d+$/.test(length) && Number(length) <= most;
    return isPrefix && kind === "struct" ? prefixForm(size) : undefined;
  }
  if (bytes === size) return addressForm;
  return kind === "array" && shape.of.size === 1 && new RegExp(`^([0-9A-Fa-f]{2}){${size}}$`).test(text)
    ? hexForm
    : undefined;
}

function encodeWritten(shape: Shape, text: string, path: string): number[] | undefined {
  if (shape.kind === "text") {
    const bytes = [...Buffer.from(text, "utf8")];
    if (bytes.length > shape.size) throw wrong(path, `is longer than its ${shape.size} bytes`);
    return [...bytes, ...zeros(shape.size - bytes.length)];
  }
  try {
    return formOf(shape, text)?.encode(text);
  } catch (error) {
    throw wrong(path, (error as Error).message);
  }
}

function encodeNumber(
  shape: Extract<Shape, { kind: "number" | "enum" }>,
  value: number | string,
  path: string,
): number[] {
  const { size } = shape;
  const known = shape.kind === "enum" ? shape.values[String(value)] : undefined;
  const given = known ?? value;
  const isWhole = typeof given === "number" ? Number.isSafeInteger(given) : /^-?\d+$/.test(given);
  const signed = shape.kind === "enum" || shape.signed;
  const bits = BigInt(8 * size);
  const [least, most] = signed ? [-(1n << (bits - 1n)), (1n << (bits - 1n)) - 1n] : [0n, (1n << bits) - 1n];
  const number = isWhole ? BigInt(given) : undefined;
  if (number === undefined || number < least || number > most)
    throw wrong(path, `must be ${expected(shape)}`);
  const unsigned = BigInt.asUintN(8 * size, number);
  const bytes = Array.from({ length: size }, (_, nth) => Number((unsigned >> BigInt(8 * nth)) & 255n));
  return shape.kind === "number" && shape.big ? bytes.reverse() : bytes;
}

function decodeNumber(
  { size, signed, big }: Pick<Extract<Shape, { kind: "number" }>, "size" | "signed" | "big">,
  bytes: readonly number[],
): number | string {
  const ordered = big ? [...bytes].reverse() : bytes;
  const unsigned = ordered.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  const number = signed ? BigInt.asIntN(8 * size, unsigned) : unsigned;
  const isSafe = number <= BigInt(Number.MAX_SAFE_INTEGER) && number >= BigInt(Number.MIN_SAFE_INTEGER);
  return isSafe ? Number(number) : String(number);
}

function encodeArray(
  { of, count, size }: Extract<Shape, { kind: "array" }>,
  items: readonly TypedValue[],
  path: string,
): number[] {
  if (items.length > count) throw wrong(path, `has ${items.length} items, and there is room for ${count}`);
  const bytes = items.flatMap((item, nth) => encodeTyped(of, item, `${path}[${nth}]`));
  return [...bytes, ...zeros(size - bytes.length)];
}

function encodeStruct(
  { members, size }: Extract<Shape, { kind: "struct" }>,
  value: Readonly<Record<string, TypedValue>>,
  path: string,
): number[] {
  const bytes = zeros(size);
  const names = members.map(({ name }) => name);
  for (const [name, item] of Object.entries(value)) {
    const member = members.find((one) => one.name === name);
    if (member === undefined)
      throw wrong(path, `has ${JSON.stringify(name)}, and the members are ${names.join(", ")}`);
    const own = encodeTyped(member.shape, item, path === "" ? name : `${path}.${name}`);
    bytes.splice(member.offset, own.length, ...own);
  }
  return bytes;
}

/** What a shape takes, in words. */
function expected(shape: Shape): string {
  switch (shape.kind) {
    case "number": {
      const bits = BigInt(8 * shape.size);
      const [least, most] = shape.signed
        ? [-(1n << (bits - 1n)), (1n << (bits - 1n)) - 1n]
        : [0n, (1n << bits) - 1n];
      return `a whole number from ${least} to ${most}${shape.size === 4 ? ", or an IPv4 address" : ""}`;
    }
    case "enum":
      return `one of ${Object.keys(shape.values).join(", ")}`;
    case "text":
      return `text of at most ${shape.size} bytes`;
    case "array": {
      const bytes = `${2 * shape.size} hexadecimal digits`;
      const like = shape.size === 6 ? ", a MAC address" : shape.size === 16 ? ", an IPv6 address" : "";
      return shape.of.size === 1 ? `${bytes}${like} or a list` : `a list of at most ${shape.count}`;
    }
    case "struct": {
      const like = shape.size === 16 ? ", or an IPv6 address" : "";
      return `an object of ${shape.members.map(({ name }) => name).join(", ")}${like}`;
    }
    case "opaque":
      return shape.what;
  }
}

const wrong = (path: string, message: string) => new Error(path === "" ? message : `${path} ${message}`);

const zeros = (count: number) => new Array<number>(count).fill(0);

function fromHex(digits: string): number[] {
  return (digits.match(/../g) ?? []).map((pair) => parseInt(pair, 16));
}

function tryEncode(shape: Shape, value: TypedValue): number[] | undefined {
  try {
    return encodeTyped(shape, value);
  } catch {
    return undefined;
  }
}

const sameBytes = (a: readonly number[] | undefined, b: readonly number[]) =>
  a?.length === b.length && a.every((byte, nth) => byte === b[nth]);
