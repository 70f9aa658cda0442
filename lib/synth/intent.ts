import type { Input } from "@pulumi/pulumi";

/** A value that the program knows, or one that is known only when other resources exist (Pulumi's). */
export type { Input };

/** An object in which any value may be an {@link Input}. */
export type Inputs<T> = T extends readonly (infer E)[]
  ? readonly Inputs<E>[]
  : T extends object
    ? { readonly [K in keyof T]: Inputs<T[K]> | Input<T[K]> }
    : Input<T>;

/** What a leaf wants, before its schema has looked at it. */
export type Intent = Readonly<Record<string, unknown>>;

/** Stands in a resolved plan for a value that is only known while the program is deployed. */
export const UNKNOWN = "<known when deployed>";

/** Whether a value is only known while the program is deployed. */
export function isDeferred(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const candidate = value as { __pulumiOutput?: unknown; then?: unknown };
  return candidate.__pulumiOutput === true || typeof candidate.then === "function";
}

/** A spec without its deferred values, and where they were. */
export interface Separated {
  readonly known: Intent;
  readonly deferred: readonly (readonly (string | number)[])[];
}

/** Takes the deferred values out of an intent; properties that are `undefined` go too. */
export function separate(intent: Intent): Separated {
  const deferred: (string | number)[][] = [];
  const visit = (value: unknown, path: (string | number)[]): unknown => {
    if (isDeferred(value)) {
      deferred.push(path);
      return undefined;
    }
    if (Array.isArray(value)) return value.map((item, index) => visit(item, [...path, index]));
    if (!isPlainObject(value)) return value;
    const entries = Object.entries(value).map(([key, item]) => [key, visit(item, [...path, key])] as const);
    return Object.fromEntries(entries.filter(([, item]) => item !== undefined));
  };
  return { known: visit(intent, []) as Intent, deferred };
}

/** The intent with a word in place of each deferred value, for plans that people and snapshots read. */
export function printable(value: unknown): unknown {
  if (isDeferred(value)) return UNKNOWN;
  if (Array.isArray(value)) return value.map(printable);
  if (!isPlainObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, item]) => item !== undefined)
      .map(([key, item]) => [key, printable(item)]),
  );
}

/** The intent without properties that are `undefined`: what is registered. */
export function compact<T extends Intent>(intent: T): T {
  return Object.fromEntries(Object.entries(intent).filter(([, value]) => value !== undefined)) as T;
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
