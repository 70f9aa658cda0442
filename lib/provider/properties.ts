import { Struct } from "google-protobuf/google/protobuf/struct_pb";
import type { Path } from "./paths";
import { readStruct, writeStruct, type Plain } from "./wire";

/** Stands for a value that is not known yet, in a preview. */
export const UNKNOWN: unique symbol = Symbol("unknown");

/** A resource's properties: plain values, with {@link UNKNOWN} where one is not known, and where the secrets are. */
export interface Properties {
  readonly values: Readonly<Record<string, unknown>>;
  readonly secrets: readonly Path[];
}

// The marks of Pulumi's wire format (sdk/go/common/resource/properties.go and plugin/rpc.go in pulumi/pulumi).
const SIGNATURE = "4dabf18193072939515e22adb298388d";
const SECRET = "1b47061264138c4ac30d75fd1eb44270";
const OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4";
const RESOURCE = "5cf8f73096256a8f31e491e813e4eb8e";
const UNKNOWN_STRING = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
const UNKNOWNS = new Set([
  UNKNOWN_STRING,
  "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7", // a boolean
  "3eeb2bf0-c639-47a8-9e75-3b44932eb421", // a number
  "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2", // an array
  "030794c1-ac77-496b-92df-f27374a8bd58", // an asset
  "e48ece36-62e2-4504-bad9-02848725956a", // an archive
  "dd056dcd-154b-4c76-9bd3-c8f88648b5ff", // an object
]);

const EMPTY: Properties = { values: {}, secrets: [] };

/** Reads properties as the engine sends them. A null property is one that is not there. */
export function decode(struct: Struct | undefined): Properties {
  return decodeBytes(struct?.serializeBinary());
}

/** Reads properties that are still bytes. */
export function decodeBytes(struct: Uint8Array | undefined): Properties {
  if (struct === undefined) return EMPTY;
  const secrets: Path[] = [];
  return { values: decodeFields(readStruct(struct), [], secrets), secrets };
}

/**
 * Writes properties for the engine. A secret keeps its mark at the place it had; where the value has changed its
 * shape since, or is inside a list (whose order may have changed), what is around it becomes the secret.
 */
export function encode(properties: Properties): Struct {
  return Struct.deserializeBinary(encodeBytes(properties));
}

/** Writes properties as bytes. */
export function encodeBytes(properties: Properties): Uint8Array {
  return writeStruct(toPlain(properties) as Readonly<Record<string, Plain>>);
}

function toPlain({ values, secrets }: Properties): Readonly<Record<string, unknown>> {
  const marks = secrets.flatMap((path) => markFor(values, path));
  return encodeFields(values, [], marks);
}

/** Whether a value is unknown, or something inside it is. */
export function hasUnknown(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(hasUnknown);
  return isObject(value) ? Object.values(value).some(hasUnknown) : value === UNKNOWN;
}

/** Where the unknowns are inside a value. */
export function unknownPaths(value: unknown, path: Path = []): Path[] {
  if (value === UNKNOWN) return [path];
  if (Array.isArray(value)) return value.flatMap((item, index) => unknownPaths(item, [...path, index]));
  if (!isObject(value)) return [];
  return Object.entries(value).flatMap(([key, item]) => unknownPaths(item, [...path, key]));
}

/** The value at a path; undefined when there is none. */
export function valueAt(value: unknown, path: Path): unknown {
  let current = value;
  for (const segment of path) {
    if (typeof current !== "object" || current === null || !Object.hasOwn(current, segment)) return undefined;
    current = (current as Record<string | number, unknown>)[segment];
  }
  return current;
}

/** Whether a value is an object with named values. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function decodeFields(
  struct: Readonly<Record<string, unknown>>,
  path: Path,
  secrets: Path[],
): Record<string, unknown> {
  const entries: [string, unknown][] = [];
  for (const [key, value] of Object.entries(struct)) {
    const decoded = decodeValue(value, [...path, key], secrets);
    if (decoded !== null && decoded !== undefined) entries.push([key, decoded]);
  }
  return Object.fromEntries(entries);
}

function decodeValue(value: unknown, path: Path, secrets: Path[]): unknown {
  if (typeof value === "string") return UNKNOWNS.has(value) ? UNKNOWN : value;
  if (Array.isArray(value)) return value.map((item, index) => decodeValue(item, [...path, index], secrets));
  return isObject(value) ? decodeStruct(value, path, secrets) : value;
}

/** An object, or what a signature makes of it. */
function decodeStruct(struct: Readonly<Record<string, unknown>>, path: Path, secrets: Path[]): unknown {
  const signature = Object.hasOwn(struct, SIGNATURE) ? struct[SIGNATURE] : undefined;
  const inner = struct.value;
  if (signature === SECRET) {
    secrets.push(path);
    return inner === undefined ? null : decodeValue(inner, path, secrets);
  }
  if (signature === OUTPUT) {
    if (struct.secret === true) secrets.push(path);
    return inner === undefined ? UNKNOWN : decodeValue(inner, path, secrets);
  }
  if (signature === RESOURCE) {
    const id = typeof struct.id === "string" ? struct.id : "";
    return UNKNOWNS.has(id) ? UNKNOWN : id || struct.urn;
  }
  return decodeFields(struct, path, secrets);
}

function encodeFields(object: Readonly<Record<string, unknown>>, path: Path, marks: readonly Path[]) {
  return Object.fromEntries(
    Object.entries(object)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => [key, encodeValue(value, [...path, key], marks)]),
  );
}

function encodeValue(value: unknown, path: Path, marks: readonly Path[]): unknown {
  const plain = encodePlain(value, path, marks);
  const marked = marks.some((mark) => mark.length === path.length && mark.every((s, i) => s === path[i]));
  return marked ? { [SIGNATURE]: SECRET, value: plain } : plain;
}

function encodePlain(value: unknown, path: Path, marks: readonly Path[]): unknown {
  if (value === UNKNOWN) return UNKNOWN_STRING;
  if (value === undefined) return null;
  if (Array.isArray(value)) return value.map((item, index) => encodeValue(item, [...path, index], marks));
  return isObject(value) ? encodeFields(value, path, marks) : value;
}

/** Where the mark of a secret goes in values that may look different from those it was found in. */
function markFor(values: Readonly<Record<string, unknown>>, secret: Path): Path[] {
  const top = secret.slice(0, 1);
  if (valueAt(values, top) === undefined) return [];
  for (let length = 1; length < secret.length; length += 1) {
    const around = secret.slice(0, length);
    if (Array.isArray(valueAt(values, around))) return [around];
    if (valueAt(values, secret.slice(0, length + 1)) === undefined) return [top];
  }
  return [secret];
}
