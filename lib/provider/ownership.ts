import { isDeepStrictEqual } from "node:util";
import type { z } from "zod";
import type { LedgerEntry, LedgerRecord } from "../host/operation";
import type { AnyKind, AnySpec } from "../kinds/kind";
import { isObject } from "./properties";
import { isMap } from "./zod-shape";

/** An object that is to be as a program wants it, with what is known of it. */
export interface Wish {
  readonly kind: AnyKind;
  readonly key: string;
  readonly urn: string;
  readonly desired: AnySpec;
  /** What the engine says was wanted before; the ledger may know more. */
  readonly previous?: AnySpec;
  readonly current: AnySpec | undefined;
  readonly record: LedgerRecord | undefined;
  /** Which life of the host this is. */
  readonly boot?: string;
}

/** What to make of an object, and what to remember of it. */
export interface Claimed {
  /** What is wanted, with what becomes of properties that are wanted no longer. */
  readonly effective: AnySpec;
  readonly intent: LedgerRecord;
  readonly done: LedgerRecord;
}

/**
 * Works out what is wanted in full, and the ledger's records before and after the steps. Of an object that was
 * there before us we remember what we changed as it was, no more: what others change meanwhile is theirs.
 */
export function claim({ kind, key, urn, desired, previous, current, record, boot }: Wish): Claimed {
  const earlier = [...(record?.specs ?? []), ...(previous === undefined ? [] : [previous])];
  const how = record?.how ?? (current === undefined && kind.ownership === "object" ? "created" : "adopted");
  const known = record?.specs ?? [];
  const before =
    how === "created" ? undefined : remember(kind, record?.before ?? {}, known, desired, current ?? {});
  const effective = handBack(kind, desired, earlier, before);
  const specs = [desired, ...earlier.filter((spec) => !isDeepStrictEqual(spec, desired))];
  const base = { key, urn, how, ...(boot !== undefined && { boot }) } as const;
  return {
    effective,
    intent: { ...base, ...(before && { before }), specs: unique(specs) },
    done: { ...base, ...(before && { before: managed(kind, before, desired) }), specs: [desired] },
  };
}

/** The entries that say so, none for a record that says it already. */
export function entries(record: LedgerRecord | undefined, next: LedgerRecord): LedgerEntry[] {
  return isDeepStrictEqual(record, next) ? [] : [{ op: "set", record: next }];
}

/**
 * What an object becomes when its resource is deleted: nothing (undefined) if we made it, what it was if it was
 * there before us.
 */
export function afterDelete(
  kind: AnyKind,
  record: LedgerRecord,
  deleteAdopted: boolean,
): AnySpec | undefined {
  if (record.how === "created" || (deleteAdopted && kind.ownership === "object")) return undefined;
  return handBack(kind, record.before ?? {}, record.specs, record.before);
}

/** Adds what is about to be changed for the first time, as it is now. */
function remember(
  kind: AnyKind,
  before: AnySpec,
  known: readonly AnySpec[],
  desired: AnySpec,
  current: AnySpec,
): AnySpec {
  const remembered: Record<string, unknown> = { ...before };
  for (const property of Object.keys(desired)) {
    const now = current[property];
    if (isMapOf(kind, property) && isObject(desired[property])) {
      const managedKeys = new Set(known.flatMap((spec) => keysOf(spec[property])));
      const fresh = keysOf(desired[property]).filter(
        (key) => !managedKeys.has(key) && isObject(now) && key in now,
      );
      const added = Object.fromEntries(fresh.map((key) => [key, (now as AnySpec)[key]]));
      remembered[property] = { ...(isObject(before[property]) ? before[property] : {}), ...added };
    } else if (now !== undefined && !known.some((spec) => spec[property] !== undefined)) {
      remembered[property] = now;
    }
  }
  return remembered;
}

/** Adds to what is wanted what the properties become that were wanted once and are not now. */
function handBack(
  kind: AnyKind,
  desired: AnySpec,
  earlier: readonly AnySpec[],
  before: AnySpec | undefined,
): AnySpec {
  const effective: Record<string, unknown> = { ...desired };
  for (const property of new Set(earlier.flatMap((spec) => Object.keys(spec)))) {
    const was = before?.[property];
    if (desired[property] === undefined) {
      const policy = kind.policy[property];
      if (was !== undefined) effective[property] = was;
      else if (policy?.change === "inPlace" && policy.unset !== undefined) effective[property] = policy.unset;
    } else if (isMapOf(kind, property) && isObject(was)) {
      const dropped = earlier.flatMap((spec) => keysOf(spec[property]));
      const restored = dropped.filter((key) => key in was).map((key) => [key, was[key]] as const);
      effective[property] = { ...Object.fromEntries(restored), ...(desired[property] as AnySpec) };
    }
  }
  return effective;
}

/** What is remembered of properties that are still ours. */
function managed(kind: AnyKind, before: AnySpec, desired: AnySpec): AnySpec {
  const kept = Object.entries(before)
    .filter(([property]) => desired[property] !== undefined)
    .map(([property, was]): [string, unknown] => {
      if (!isMapOf(kind, property) || !isObject(was)) return [property, was];
      const wanted = new Set(keysOf(desired[property]));
      return [property, Object.fromEntries(Object.entries(was).filter(([key]) => wanted.has(key)))];
    });
  return Object.fromEntries(kept);
}

/** Whether the keys of a property are members that come and go one by one. */
function isMapOf(kind: AnyKind, property: string): boolean {
  return isMap((kind.schema as z.ZodObject).shape[property] as z.ZodType | undefined);
}

function keysOf(value: unknown): string[] {
  return isObject(value) ? Object.keys(value) : [];
}

function unique(specs: readonly AnySpec[]): AnySpec[] {
  return specs.filter((spec, index) => specs.findIndex((other) => isDeepStrictEqual(other, spec)) === index);
}
