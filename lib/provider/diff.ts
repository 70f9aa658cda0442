import { isDeepStrictEqual } from "node:util";
import type { z } from "zod";
import type { AnyKind, AnySpec, PropertyPolicy } from "../kinds/kind";
import { canonical } from "./check";
import { split } from "./common";
import { identityOf, identityProperties } from "./ids";
import { formatPath, matches, parsePath, type Path } from "./paths";
import { UNKNOWN, isObject } from "./properties";

/** How one property differs. */
export type Change = "add" | "update" | "delete";

/** One property, or a value inside it, that differs. */
export interface PropertyChange {
  readonly path: Path;
  readonly change: Change;
  readonly replace: boolean;
}

/** What an update would change. */
export interface Difference {
  readonly changes: readonly PropertyChange[];
  /** Names are taken: what is replaced must go first. */
  readonly deleteBeforeReplace: boolean;
}

/**
 * What differs between the inputs that made an object and those that are wanted now. Only what is wanted of the
 * host counts: not the connection, not `adopt`, not the order of keys, not a default that was filled in since,
 * and not a property that the program no longer speaks of and that stays as it is.
 */
export function difference(
  kind: AnyKind,
  oldValues: AnySpec,
  newValues: AnySpec,
  ignoreChanges: readonly string[] = [],
): Difference {
  const ignored = ignoreChanges.map(parsePath).filter((path) => path !== undefined);
  const before = split(oldValues).spec;
  const news = split(newValues).spec;
  // Most resources of most runs are as they were: no schema is needed to see that.
  const olds = isDeepStrictEqual(before, news) ? before : canonical(kind.schema as z.ZodObject, before);
  const replacing = replacers(kind, olds, news);
  const changes = [...hostChange(oldValues, newValues)];
  for (const property of new Set([...Object.keys(olds), ...Object.keys(news)])) {
    const policy: PropertyPolicy | undefined = kind.policy[property];
    const wanted =
      news[property] ?? (replacing.has(property) ? undefined : unsetValue(policy, olds[property]));
    const replace = replacing.has(property) || policy?.change === "replace";
    const differing = compare(olds[property], wanted, [property]);
    const gone = news[property] === undefined && differing.length > 0;
    const shown = gone ? [{ path: [property], change: "delete" as const }] : differing;
    changes.push(...shown.map((change) => ({ ...change, replace })));
  }
  const kept = changes.filter(({ path }) => !ignored.some((pattern) => matches(path, pattern)));
  return { changes: kept, deleteBeforeReplace: kept.some(({ replace }) => replace) };
}

/**
 * What a property that is taken out of the program becomes: its unset value, or what it is. What cannot be changed
 * in place stays too: nothing is destroyed because a line is missing, and an import need not name everything.
 */
function unsetValue(policy: PropertyPolicy | undefined, old: unknown): unknown {
  return policy?.change === "inPlace" && "unset" in policy ? policy.unset : old;
}

/** A host of another name is another host, however it is reached. */
function hostChange(olds: AnySpec, news: AnySpec): PropertyChange[] {
  if (news.host === UNKNOWN) return [{ path: ["host"], change: "update", replace: true }];
  const [before, after] = [olds.host, news.host].map((host) => (isObject(host) ? host.name : undefined));
  if (before === undefined || before === after) return [];
  return [{ path: ["host", "name"], change: "update", replace: true }];
}

/** The properties whose change makes it another object. */
function replacers(kind: AnyKind, olds: AnySpec, news: AnySpec): ReadonlySet<string> {
  const before = identityOf(kind, olds);
  const after = identityOf(kind, news);
  if (after !== undefined && isDeepStrictEqual(before, after)) return new Set();
  return identityProperties(kind, news);
}

/** Where two values differ. Members of a list are the same wherever they stand. */
export function compare(before: unknown, after: unknown, path: Path): { path: Path; change: Change }[] {
  if (isDeepStrictEqual(before, after) && after !== UNKNOWN) return [];
  if (before === undefined) return [{ path, change: "add" }];
  if (after === undefined) return [{ path, change: "delete" }];
  if (Array.isArray(before) && Array.isArray(after)) return compareLists(before, after, path);
  if (!isObject(before) || !isObject(after)) return [{ path, change: "update" }];
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys].flatMap((key) => compare(before[key], after[key], [...path, key]));
}

function compareLists(before: readonly unknown[], after: readonly unknown[], path: Path) {
  const [gone, added] = unmatched(before, after);
  if (gone.size === 0 && added.size === 0) return [{ path, change: "update" as const }];
  return [...new Set([...gone, ...added])]
    .sort((a, b) => a - b)
    .flatMap((index) => {
      const here = [...path, index];
      if (gone.has(index) && added.has(index)) return compare(before[index], after[index], here);
      return [{ path: here, change: added.has(index) ? ("add" as const) : ("delete" as const) }];
    });
}

/** The indexes of the members that the other list does not have. */
function unmatched(before: readonly unknown[], after: readonly unknown[]): [Set<number>, Set<number>] {
  const gone = new Set(before.keys());
  const added = new Set<number>();
  const places = new Map<string, number[]>();
  before.forEach((item, index) => {
    const text = stable(item);
    places.set(text, [...(places.get(text) ?? []), index]);
  });
  after.forEach((item, index) => {
    const place = places.get(stable(item))?.shift();
    if (place === undefined) added.add(index);
    else gone.delete(place);
  });
  return [gone, added];
}

/** The same text for values that are deeply equal. */
function stable(value: unknown): string {
  if (value === UNKNOWN) return "?"; // no value's JSON, and never in the old ones
  if (Array.isArray(value)) return `[${value.map(stable).join()}]`;
  if (!isObject(value)) return JSON.stringify(value) ?? "";
  return `{${Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${stable(value[key])}`)
    .join()}}`;
}

/** The paths of changes as Pulumi writes them. */
export function changedProperties(changes: readonly PropertyChange[]): string[] {
  return [...new Set(changes.map(({ path }) => formatPath(path.slice(0, 1))))];
}
