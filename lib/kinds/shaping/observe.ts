import { found, readingOnce } from "../found";
import type { Located } from "../kind";
import type { Facts, Query } from "../step";
import type { FoundClass, HtbClassSpec } from "./classes";
import { ratesAsWanted, readClasses } from "./classes";
import type { FlowerFilter } from "./filters";
import { filterKey, isHook, readFilters } from "./filters";
import { queueAsWanted, readQueue } from "./queue-words";
import type { Queue } from "./queues";
import { schema, sortClasses, sortQdiscs, type Qdisc, type Root, type ShapingSpec } from "./schema";
import { majorOf, minorOf } from "./units";

type Spec = Located<typeof schema>;

interface Where {
  readonly netns?: string | undefined;
}

const tc = ({ netns }: Where, args: readonly string[]): Query => ({
  tool: "tc",
  ...(netns !== undefined && { netns }),
  args,
});

/** Every qdisc of the namespace: one look serves all the links that are shaped. */
export const qdiscQuery = (where: Where): Query => tc(where, ["qdisc", "show"]);

/** The classes of a link. */
export const classQuery = (where: Where, link: string): Query =>
  tc(where, ["-d", "class", "show", "dev", link]);

/** The filters of one place of a link. */
export const filterQuery = (where: Where, link: string, parent: string): Query =>
  tc(where, ["filter", "show", "dev", link, ...(isHook(parent) ? [parent] : ["parent", parent])]);

/** What tc says of a link that is not there, or of a place for filters that is not. */
const ABSENT =
  /Cannot find device|Parent Qdisc doesn't exists|No such file or directory|Class doesn't support blocks/;

/** The places in which a spec has filters. */
const filterPlaces = (spec: Spec): string[] => [...new Set((spec.filters ?? []).map(({ parent }) => parent))];

/** What `observeShaping` needs to know of the host. */
export function shapingQueries(spec: Spec): Query[] {
  const link = spec.link ?? "";
  return [
    qdiscQuery(spec),
    classQuery(spec, link),
    ...filterPlaces(spec).map((parent) => filterQuery(spec, link, parent)),
  ];
}

/** One row of `tc -j qdisc show`. */
export interface QdiscRow {
  readonly kind: string;
  readonly handle: string;
  readonly dev: string;
  readonly root?: boolean;
  readonly parent?: string;
  readonly options?: Readonly<Record<string, unknown>>;
}

const qdiscsByLink = readingOnce((value): ReadonlyMap<string, readonly QdiscRow[]> => {
  const links = new Map<string, QdiscRow[]>();
  for (const row of (value ?? []) as readonly QdiscRow[]) {
    const others = links.get(row.dev);
    if (others === undefined) links.set(row.dev, [row]);
    else others.push(row);
  }
  return links;
});

/** The qdiscs of a link; none when there is no such namespace. */
export const qdiscsOf = (facts: Facts, where: Where, link: string): readonly QdiscRow[] =>
  qdiscsByLink(facts, qdiscQuery(where)).get(link) ?? [];

const classesByNumber = readingOnce((value): ReadonlyMap<string, FoundClass> => readClasses(value));

/** The HTB classes of a link; none when there is no such link. */
export const classesOf = (facts: Facts, where: Where, link: string): ReadonlyMap<string, FoundClass> =>
  classesByNumber(facts, classQuery(where, link), ABSENT);

/** The filters of flower in one place of a link. */
export const filtersOf = (facts: Facts, where: Where, link: string, parent: string): FlowerFilter[] =>
  readFilters(found(facts, filterQuery(where, link, parent), ABSENT), parent);

/** The tree of a link; undefined while the link has the kernel's default qdisc. */
export function observeShaping(facts: Facts, specs: readonly [Spec, ...Spec[]]): ShapingSpec | undefined {
  const { netns, link = "", minors = { first: 1, last: 0xffff } } = specs[0];
  // Hooks that are not spoken of any more are still ours to remove, if they were asked for once.
  const hooks = specs[0].clsact !== undefined || specs.some(({ clsact }) => clsact === true);
  const rows = qdiscsOf(facts, { netns }, link);
  const top = rows.find((row) => row.root === true);
  // The kernel's own has no handle; one that a person or a program made has.
  if (top === undefined || majorOf(top.handle) === 0) return undefined;
  const classes = treeClasses(classesOf(facts, { netns }, link), specs, minors);
  const held = new Set(classes.map(({ classid }) => classid));
  return {
    ...(netns !== undefined && { netns }),
    link,
    root: readRoot(top, specs[0].root),
    classes,
    qdiscs: treeQdiscs(rows, held, specs),
    filters: namedFilters(facts, specs, link),
    ...(hooks && { clsact: rows.some(({ kind }) => kind === "clsact") }),
    minors,
  };
}

function readRoot(row: QdiscRow, wanted: Root | undefined): Root {
  const { kind, handle, options = {} } = row;
  if (kind === "htb") {
    const minor = typeof options.default === "string" ? parseInt(options.default, 16) : 0;
    const defaultClass =
      minor > 0 ? { defaultClass: `${majorOf(handle).toString(16)}:${minor.toString(16)}` } : {};
    return { kind, handle, ...defaultClass };
  }
  const like = wanted === undefined || wanted.kind === "htb" ? undefined : (wanted as Queue);
  return { ...queueAsWanted(readQueue(kind, options), like), handle };
}

const within = (id: string, { first, last }: ShapingSpec["minors"]) =>
  minorOf(id) >= first && minorOf(id) <= last;

/**
 * The classes whose numbers are this tree's. One that is wanted no longer is passed over while somebody else's class
 * is below it: it can only go when that has moved away, and will be seen again then.
 */
function treeClasses(
  there: ReadonlyMap<string, FoundClass>,
  specs: readonly [Spec, ...Spec[]],
  minors: ShapingSpec["minors"],
): HtbClassSpec[] {
  const wanted = new Map<string, HtbClassSpec>();
  for (const one of [...specs].reverse().flatMap(({ classes = [] }) => classes)) wanted.set(one.classid, one);
  const now = new Set((specs[0].classes ?? []).map(({ classid }) => classid));
  const lent = new Set<string>();
  for (const one of there.values()) {
    if (within(one.classid, minors)) continue;
    for (let above = there.get(one.parent); above !== undefined; above = there.get(above.parent))
      lent.add(above.classid);
  }
  const mine = [...there.values()].filter(
    ({ classid }) => within(classid, minors) && (now.has(classid) || !lent.has(classid)),
  );
  return sortClasses(
    mine.map((one) => ({
      classid: one.classid,
      parent: one.parent,
      ...ratesAsWanted(one, wanted.get(one.classid)),
      prio: one.prio ?? wanted.get(one.classid)?.prio ?? 0,
    })),
  );
}

function treeQdiscs(rows: readonly QdiscRow[], held: ReadonlySet<string>, specs: readonly Spec[]): Qdisc[] {
  const wanted = new Map<string, Qdisc>();
  for (const one of [...specs].reverse().flatMap(({ qdiscs = [] }) => qdiscs)) wanted.set(one.parent, one);
  const handles = new Set<string>(rows.filter(({ root }) => root === true).map(({ handle }) => handle));
  const left = rows.filter(({ root, parent }) => root !== true && parent !== undefined);
  const mine: Qdisc[] = [];
  for (let before = -1; before !== mine.length;) {
    before = mine.length;
    for (const row of left) {
      const { kind, handle, parent = "", options = {} } = row;
      const above = handles.has(parent) || handles.has(`${majorOf(parent).toString(16)}:`);
      const inTree = held.has(parent) || (above && rootOf(rows) !== majorOf(parent));
      if (!inTree || majorOf(handle) === 0 || handles.has(handle)) continue;
      handles.add(handle);
      mine.push({ ...queueAsWanted(readQueue(kind, options), wanted.get(parent)), parent, handle });
    }
  }
  return sortQdiscs(mine);
}

/** Below a classful root only classes have qdiscs; below another, the root's own number stands for its inside. */
function rootOf(rows: readonly QdiscRow[]): number {
  const top = rows.find(({ root }) => root === true);
  return top?.kind === "htb" ? majorOf(top.handle) : -1;
}

function namedFilters(facts: Facts, specs: readonly [Spec, ...Spec[]], link: string): FlowerFilter[] {
  const named = new Set(specs.flatMap(({ filters = [] }) => filters).map(filterKey));
  const places = new Set(specs.flatMap(filterPlaces));
  const there = [...places].flatMap((parent) => filtersOf(facts, { netns: specs[0].netns }, link, parent));
  const mine = there.filter((filter) => named.has(filterKey(filter)));
  return schema.shape.filters.parse(mine);
}
