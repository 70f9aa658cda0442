import { isDeepStrictEqual } from "node:util";
import type { Located } from "../kind";
import { ratesAsWanted, type FoundClass } from "../shaping/classes";
import { filterKey, type FlowerFilter } from "../shaping/filters";
import {
  classesOf,
  classQuery,
  filterQuery,
  filtersOf,
  qdiscQuery,
  qdiscsOf,
  type QdiscRow,
} from "../shaping/observe";
import { queueAsWanted, readQueue } from "../shaping/queue-words";
import { minorOf } from "../shaping/units";
import type { Facts, Query } from "../step";
import { prefixFilter, type Side } from "./prefix-filters";
import type { schema, Service, SubscriberShapingSpec, SubscriberSpec } from "./schema";

type Spec = Located<typeof schema>;

/** Both directions, in the order in which everything is done. */
export const SIDES: readonly Side[] = ["download", "upload"];

/**
 * What `observeSubscribers` needs: whole tables, which are the same for every set on the links, so they are asked
 * for once. Filters only where the program has any.
 */
export function subscriberQueries(spec: Spec): Query[] {
  const filters = Object.keys(spec.prefixes ?? {}).length > 0;
  return [
    qdiscQuery(spec),
    ...SIDES.map((side) => classQuery(spec, spec[side] ?? "")),
    ...(filters ? SIDES.map((side) => filterQuery(spec, spec[side] ?? "", "egress")) : []),
  ];
}

/** One direction of a subscriber as it is found. */
interface FoundService {
  readonly parent: string;
  readonly service: Service & { readonly handle?: string };
}

/** A plan that is not one of the program's, because a class is not as it should be. */
export const asFound = (classid: string): string => `as found at ${classid}`;

/** The handle of the leaf of a class. */
export const leafHandle = (classid: string): string => `${minorOf(classid).toString(16)}:`;

/** The members that are there; undefined when none is. */
export function observeSubscribers(
  facts: Facts,
  specs: readonly [Spec, ...Spec[]],
): SubscriberShapingSpec | undefined {
  const { netns, name = "", download = "", upload = "" } = specs[0];
  const where = { netns };
  const sides = {
    download: new SideFacts(classesOf(facts, where, download), qdiscsOf(facts, where, download)),
    upload: new SideFacts(classesOf(facts, where, upload), qdiscsOf(facts, where, upload)),
  };
  const plans: SubscriberShapingSpec["plans"] = { ...specs[0].plans };
  const subscribers: Record<string, SubscriberSpec> = {};
  const taken = new Set<string>();
  for (const spec of specs) {
    for (const [id, wanted] of Object.entries(spec.subscribers ?? {})) {
      if (taken.has(wanted.class)) continue;
      const plan = spec.plans?.[wanted.plan];
      const [down, up] = SIDES.map((side) => sides[side].find(wanted.class, plan?.[side]));
      if (down === undefined && up === undefined) continue;
      taken.add(wanted.class);
      const parents = new Set([down?.parent ?? "", up?.parent ?? ""]);
      const found = { ...(down && { download: down.service }), ...(up && { upload: up.service }) };
      // The plan's name says it all only where the wanted spec has the same plan by that name.
      const same =
        parents.size === 1 &&
        isDeepStrictEqual(found, plan) &&
        isDeepStrictEqual(plans[wanted.plan] ?? plan, plan);
      if (same) plans[wanted.plan] ??= plan!;
      else plans[asFound(wanted.class)] = found as (typeof plans)[string];
      // Somebody who has another number now may still have the old class, too.
      subscribers[Object.hasOwn(subscribers, id) ? `${id} at ${wanted.class}` : id] = {
        class: wanted.class,
        parent: [...parents].filter((parent) => parent !== "").join(" and "),
        plan: same ? wanted.plan : asFound(wanted.class),
      };
    }
  }
  const prefixes = observePrefixes(facts, specs);
  if (Object.keys(subscribers).length === 0 && Object.keys(prefixes).length === 0) return undefined;
  return { ...(netns !== undefined && { netns }), name, download, upload, plans, subscribers, prefixes };
}

/** What is on one link, by class. */
class SideFacts {
  readonly #leaves: ReadonlyMap<string, QdiscRow>;

  constructor(
    private readonly classes: ReadonlyMap<string, FoundClass>,
    qdiscs: readonly QdiscRow[],
  ) {
    this.#leaves = new Map(
      qdiscs.flatMap((row) => (row.parent === undefined ? [] : [[row.parent, row] as const])),
    );
  }

  find(classid: string, wanted: Service | undefined): FoundService | undefined {
    const found = this.classes.get(classid);
    if (found === undefined) return undefined;
    const row = this.#leaves.get(classid);
    const leaf = row && queueAsWanted(readQueue(row.kind, row.options ?? {}), wanted?.leaf);
    // A handle that is not ours is shown, so that it is not taken for our leaf.
    const other = row !== undefined && row.handle !== leafHandle(classid) ? { handle: row.handle } : {};
    return {
      parent: found.parent,
      service: { ...ratesAsWanted(found, wanted), ...(leaf !== undefined && { leaf }), ...other },
    };
  }
}

/** Prefixes that have a filter on either link; what is not the same on both says so. */
function observePrefixes(facts: Facts, specs: readonly [Spec, ...Spec[]]): Record<string, string> {
  const named = new Set(specs.flatMap(({ prefixes = {} }) => Object.keys(prefixes)));
  if (named.size === 0) return {};
  const { netns } = specs[0];
  const filters = SIDES.map(
    (side) =>
      new Map(
        filtersOf(facts, { netns }, specs[0][side] ?? "", "egress").map((one) => [filterKey(one), one]),
      ),
  );
  const prefixes: Record<string, string> = {};
  for (const prefix of named) {
    const [down, up] = SIDES.map((side, index) => {
      const like = prefixFilter(prefix, "1:1", side);
      const there = filters[index]?.get(filterKey(like));
      return there && (sameMatch(there, like) ? there.classid : `${there.classid} of other packets`);
    });
    const one =
      down === up ? down : [down && `download ${down}`, up && `upload ${up}`].filter(Boolean).join(", ");
    if (one !== undefined && one !== "") prefixes[prefix] = one;
  }
  return prefixes;
}

const sameMatch = (one: FlowerFilter, other: FlowerFilter) =>
  isDeepStrictEqual({ ...one, classid: "" }, { ...other, classid: "" });

/** On which links a prefix that was found has a filter. */
export function sidesOf(found: string): Side[] {
  return SIDES.filter((side) => !/^(download|upload) /.test(found) || found.includes(`${side} `));
}
