import { isDeepStrictEqual } from "node:util";
import type { Direction, NetworkNode, Subscriber } from "./model";
import { directions } from "./model";
import type { ClassOwner, HtbClass, ShapingTree } from "./shaping-tree";
import type { Subscribers } from "./subscribers";

/** What became of one thing between two programs. */
export interface Change<T> {
  readonly change: "added" | "removed" | "changed";
  /** As it was; absent for what is new. */
  readonly before?: T;
  /** As it is to be; absent for what goes. */
  readonly after?: T;
  /** Of what changed, the properties: `plan.downloadMax`. */
  readonly fields: readonly string[];
}

/** What became of one subscriber. */
export interface SubscriberChange extends Change<Subscriber> {
  readonly id: string;
}

/** What became of one network node. */
export interface NodeChange extends Change<NetworkNode> {
  readonly name: string;
}

/** What became of one class, in one direction. */
export interface ClassChange extends Change<HtbClass> {
  readonly direction: Direction;
  readonly classid: string;
  readonly owner: ClassOwner;
}

/** Compares by key: what went, in the old order, then what came or changed, in the new order. Linear. */
function compare<T>(
  before: readonly T[],
  after: readonly T[],
  key: (one: T) => string,
  fields: (a: T, b: T) => readonly string[],
): (Change<T> & { readonly key: string })[] {
  const old = new Map(before.map((one) => [key(one), one]));
  const kept = new Set(after.map(key));
  const changes: (Change<T> & { readonly key: string })[] = before
    .filter((one) => !kept.has(key(one)))
    .map((one) => ({ key: key(one), change: "removed", before: one, fields: [] }));
  for (const one of after) {
    const was = old.get(key(one));
    const changed = was === undefined ? [] : fields(was, one);
    if (was === undefined) changes.push({ key: key(one), change: "added", after: one, fields: [] });
    else if (changed.length > 0) {
      changes.push({ key: key(one), change: "changed", before: was, after: one, fields: changed });
    }
  }
  return changes;
}

function changedFields(a: object, b: object, nested: readonly string[] = []): string[] {
  const [was, is] = [a as Readonly<Record<string, unknown>>, b as Readonly<Record<string, unknown>>];
  return [...new Set([...Object.keys(was), ...Object.keys(is)])].flatMap((field) => {
    const [x, y] = [was[field], is[field]];
    if (isDeepStrictEqual(x, y)) return [];
    if (
      nested.includes(field) &&
      typeof x === "object" &&
      typeof y === "object" &&
      x !== null &&
      y !== null
    ) {
      return changedFields(x, y).map((inner) => `${field}.${inner}`);
    }
    return [field];
  });
}

/** The subscribers that differ between two sets, each with what about it differs. */
export function diffSubscribers(before: Subscribers, after: Subscribers): readonly SubscriberChange[] {
  return compare(
    before.all,
    after.all,
    ({ id }) => id,
    (a, b) => changedFields(a, b, ["plan", "client"]),
  ).map(({ key, ...change }) => ({ id: key, ...change }));
}

/** The nodes of the access network that differ between two sets. */
export function diffNetwork(before: Subscribers, after: Subscribers): readonly NodeChange[] {
  return compare(
    before.network,
    after.network,
    ({ name }) => name,
    (a, b) => changedFields(a, b),
  ).map(({ key, ...change }) => ({ name: key, ...change }));
}

/**
 * The classes that differ between two trees, by class id: those that go first, children before parents, then those
 * that come or change, parents before children. A class that is another owner's now goes and comes.
 */
export function diffShaping(before: ShapingTree, after: ShapingTree): readonly ClassChange[] {
  return directions.flatMap((direction) =>
    compare(
      [...before[direction].classes].reverse(),
      after[direction].classes,
      ({ classid, owner }) => `${classid} ${JSON.stringify(owner)}`,
      (a, b) => changedFields(a, b),
    ).map(({ key: _, ...change }): ClassChange => {
      const { classid, owner } = (change.after ?? change.before) as HtbClass;
      return { direction, classid, owner, ...change };
    }),
  );
}
