import { decodeKey, decodeValue, encodeKey, encodeValue, sizeOf, type Field } from "./fields";
import type { Shape } from "./shapes";
import { decodeTyped, decodeTypedKey, encodeTyped, encodeTypedKey, type TypedValue } from "./typed";

/** How the entries of one map are bytes. */
export interface Coding {
  readonly valueSize: number;
  /** @throws Error that names the field */
  keyOf(name: string): number[];
  nameOf(key: readonly number[]): string;
  /** @throws Error that names the field */
  bytesOf(value: TypedValue): number[];
  /** `like` is what was wanted. */
  valueOf(bytes: readonly number[], like?: TypedValue): TypedValue;
}

/** What keys and values of a map are by its program's own types. */
export interface Types {
  readonly key: Shape;
  readonly value: Shape;
}

/** By the fields that a stack gives. */
export const fieldCoding = (key: readonly Field[], value: readonly Field[]): Coding => ({
  valueSize: sizeOf(value),
  keyOf: (name) => encodeKey(key, name),
  nameOf: (bytes) => decodeKey(key, bytes),
  bytesOf: (one) => encodeValue(value, one),
  valueOf: (bytes) => decodeValue(value, bytes),
});

/** By the program's own types. */
export const typedCoding = ({ key, value }: Types, mapType: string): Coding => ({
  valueSize: value.size,
  keyOf: (name) => encodeTypedKey(key, name),
  nameOf: (bytes) => decodeTypedKey(key, bytes, mapType),
  bytesOf: (one) => encodeTyped(value, one),
  valueOf: (bytes, like) => decodeTyped(value, bytes, like),
});
