import { isDeepStrictEqual } from "node:util";
import type { Step } from "../step";
import type { HtbClassSpec } from "./classes";
import { rateWords } from "./classes";
import { filterKey, filterWords, isHook, nameWords, type FlowerFilter } from "./filters";
import { changesInPlace, queueWords } from "./queue-words";
import type { Queue } from "./queues";
import type { Qdisc, Root, ShapingSpec } from "./schema";
import { majorOf, minorOf } from "./units";

/** Makes the steps of one link. */
export function tcSteps(netns: string | undefined, link: string) {
  const step = (object: string, verb: string, ...args: readonly string[]): Step => ({
    tool: "tc",
    ...(netns !== undefined && { netns }),
    args: [object, verb, "dev", link, ...args],
  });
  const className = ({ parent, classid }: Pick<HtbClassSpec, "parent" | "classid">) => [
    ...["parent", parent, "classid", classid],
  ];
  return {
    raw: step,
    addClass: (one: HtbClassSpec) =>
      step("class", "add", ...className(one), "htb", ...rateWords(one), "prio", String(one.prio)),
    changeClass: (one: HtbClassSpec) =>
      step("class", "change", ...className(one), "htb", ...rateWords(one), "prio", String(one.prio)),
    deleteClass: (id: string) => step("class", "del", "classid", id),
    /** From one qdisc of a place to another; the fewest steps, and at once wherever the kernel can. */
    qdisc(at: readonly string[], from: Placed | undefined, to: Placed | undefined): Step[] {
      if (to === undefined) return from === undefined ? [] : [step("qdisc", "del", ...at)];
      const words = [...at, "handle", to.handle, ...queueWords(to)];
      if (from === undefined) return [step("qdisc", "add", ...words)];
      if (isDeepStrictEqual(from, to)) return [];
      if (from.handle !== to.handle) return [step("qdisc", "replace", ...words)];
      if (changesInPlace(from, to)) return [step("qdisc", "change", ...words)];
      // Of the same number there cannot be two, so the old one goes first.
      return [step("qdisc", "del", ...at), step("qdisc", "add", ...words)];
    },
  };
}

/** A queue with its handle. */
export type Placed = Queue & { readonly handle: string };

/** The fewest lines of tc from one tree to another. A change of a rate is one `class change` and nothing else. */
export function planShaping(current: ShapingSpec | undefined, desired: ShapingSpec | undefined): Step[] {
  const spec = desired ?? current;
  if (spec === undefined) return [];
  const tc = tcSteps(spec.netns, spec.link);
  const onHooks = (current?.filters ?? []).filter(({ parent }) => isHook(parent));
  const hooksGone = current?.clsact === true && (desired === undefined || desired.clsact === false);
  // Wherever there is no root there is no filter of ours either: an interruption leaves nothing that is not seen.
  const hooks = hooksGone
    ? [tc.raw("qdisc", "del", "clsact")]
    : onHooks.map((one) => tc.raw("filter", "del", ...nameWords(one)));
  if (desired === undefined) return [...hooks, tc.raw("qdisc", "del", "root")];
  const rootSteps = planRoot(tc, current?.root, desired.root);
  // What hung on a root that is made again is gone with it.
  const remade = current === undefined || (rootSteps.length > 0 && !isChange(rootSteps));
  const keepsHooks = !remade && !hooksGone;
  const base: ShapingSpec | undefined = current && {
    ...current,
    ...(remade && { classes: [], qdiscs: [] }),
    filters: current.filters.filter(({ parent }) => (isHook(parent) ? keepsHooks : !remade)),
  };
  const going = goingClasses(byId(base?.classes), byId(desired.classes));
  const filters = planFilters(tc, base?.filters ?? [], desired.filters, going);
  return [
    ...(keepsHooks ? [] : hooks),
    ...rootSteps,
    ...hookSteps(tc, current, desired),
    ...filters.before,
    ...planTree(tc, base, desired, going),
    ...filters.after,
  ];
}

/** The hooks that are to be there, or not to be there after a tree of which nothing is left to be seen. */
function hookSteps(tc: Tc, current: ShapingSpec | undefined, { clsact }: ShapingSpec): Step[] {
  if (clsact === undefined || current?.clsact === clsact) return [];
  const there = tc.raw("qdisc", "replace", "clsact");
  if (clsact) return [there];
  return current === undefined ? [there, tc.raw("qdisc", "del", "clsact")] : [];
}

type Tc = ReturnType<typeof tcSteps>;

const isChange = ([first]: readonly Step[]) =>
  first !== undefined && "args" in first && first.args[1] === "change";

function planRoot(tc: Tc, from: Root | undefined, to: Root): Step[] {
  if (isDeepStrictEqual(from, to)) return [];
  if (to.kind !== "htb") {
    return from?.kind === "htb" && from.handle === to.handle
      ? [tc.raw("qdisc", "del", "root"), ...tc.qdisc(["root"], undefined, to)]
      : tc.qdisc(["root"], from as Placed | undefined, to);
  }
  const words = ["root", "handle", to.handle, "htb", ...defaultWords(to)];
  if (from === undefined) return [tc.raw("qdisc", "add", ...words)];
  if (from.handle !== to.handle) return [tc.raw("qdisc", "replace", ...words)];
  // HTB takes its default class only when it is made.
  return [tc.raw("qdisc", "del", "root"), tc.raw("qdisc", "add", ...words)];
}

const defaultWords = ({ defaultClass }: Extract<Root, { kind: "htb" }>) =>
  defaultClass === undefined ? [] : ["default", `0x${minorOf(defaultClass).toString(16)}`];

/** Classes and qdiscs: what goes from below upwards, then what comes from above downwards. */
function planTree(
  tc: Tc,
  base: ShapingSpec | undefined,
  desired: ShapingSpec,
  going: ReadonlySet<string>,
): Step[] {
  const there = byId(base?.classes);
  const depth = depths(there);
  const goes = [...going].sort((a, b) => (depth.get(b) ?? 0) - (depth.get(a) ?? 0));
  const comes = inOrder(desired.classes).flatMap((one): Step[] => {
    const now = going.has(one.classid) ? undefined : there.get(one.classid);
    if (now === undefined) return [tc.addClass(one)];
    return isDeepStrictEqual(now, one) ? [] : [tc.changeClass(one)];
  });
  const queues = planQdiscs(tc, base?.qdiscs ?? [], desired.qdiscs, going);
  return [...queues.before, ...goes.map((id) => tc.deleteClass(id)), ...comes, ...queues.after];
}

const byId = (classes: readonly HtbClassSpec[] = []) => new Map(classes.map((one) => [one.classid, one]));

/**
 * The classes that must go: those that are wanted no longer or elsewhere (HTB cannot move one), and what is below
 * them.
 */
function goingClasses(
  there: ReadonlyMap<string, HtbClassSpec>,
  wanted: ReadonlyMap<string, HtbClassSpec>,
): Set<string> {
  const going = new Set<string>();
  for (const one of there.values()) {
    const path = [one.classid];
    for (let above: HtbClassSpec | undefined = one; above !== undefined; above = there.get(above.parent)) {
      const stays = wanted.get(above.classid)?.parent === above.parent;
      if (!stays) for (const id of path) going.add(id);
      path.push(above.parent);
    }
  }
  return new Set([...going].filter((id) => there.has(id)));
}

function depths(classes: ReadonlyMap<string, HtbClassSpec>): Map<string, number> {
  const depth = (id: string): number => {
    const parent = classes.get(id)?.parent;
    return parent === undefined ? 0 : 1 + depth(parent);
  };
  return new Map([...classes.keys()].map((id) => [id, depth(id)]));
}

/** Parents before their children. */
function inOrder(classes: readonly HtbClassSpec[]): HtbClassSpec[] {
  const depth = depths(new Map(classes.map((one) => [one.classid, one])));
  return [...classes].sort((a, b) => (depth.get(a.classid) ?? 0) - (depth.get(b.classid) ?? 0));
}

/** Qdiscs by place; those of a place that goes, or below a qdisc that is made again, go by themselves. */
function planQdiscs(
  tc: Tc,
  there: readonly Qdisc[],
  wanted: readonly Qdisc[],
  going: ReadonlySet<string>,
): { readonly before: readonly Step[]; readonly after: readonly Step[] } {
  const gone = new Set(going);
  const now = new Map<string, Qdisc>();
  const target = new Map(wanted.map((one) => [one.parent, one]));
  for (const one of topDown(there)) {
    if (gone.has(one.parent) || gone.has(handleOf(one.parent))) gone.add(one.handle);
    else {
      now.set(one.parent, one);
      const to = target.get(one.parent);
      const stays = to?.handle === one.handle && changesInPlace(bare(one), bare(to));
      if (!stays) gone.add(one.handle);
    }
  }
  const before = [...now.values()].filter(({ parent }) => !target.has(parent));
  const after = topDown(wanted).flatMap((one) => {
    const from = now.get(one.parent);
    return tc.qdisc(["parent", one.parent], from && placed(from), placed(one));
  });
  return { before: before.map(({ parent }) => tc.raw("qdisc", "del", "parent", parent)), after };
}

const handleOf = (parent: string) => `${majorOf(parent).toString(16)}:`;

function bare({ parent: _, handle: __, ...queue }: Qdisc): Queue {
  return queue;
}

const placed = ({ parent: _, ...queue }: Qdisc): Placed => queue;

/** Those that others are below, before them. */
function topDown(qdiscs: readonly Qdisc[]): Qdisc[] {
  const byHandle = new Map(qdiscs.map((one) => [one.handle, one]));
  const depth = (one: Qdisc, seen = 0): number => {
    const above = byHandle.get(handleOf(one.parent));
    return above === undefined || seen > qdiscs.length ? 0 : 1 + depth(above, seen + 1);
  };
  return [...qdiscs].sort((a, b) => depth(a) - depth(b));
}

/**
 * A filter of the root that picks a class holds on to it: those that go do so before the classes, and those whose
 * class goes are made again, even where they are as they should be.
 */
function planFilters(
  tc: Tc,
  there: readonly FlowerFilter[],
  wanted: readonly FlowerFilter[],
  going: ReadonlySet<string>,
) {
  const target = new Map(wanted.map((one) => [filterKey(one), one]));
  const stays = (one: FlowerFilter) =>
    isDeepStrictEqual(target.get(filterKey(one)), one) && (isHook(one.parent) || !going.has(one.classid));
  const kept = new Set(there.filter(stays).map(filterKey));
  const before = there.filter((one) => !kept.has(filterKey(one)));
  const after = wanted.filter((one) => !kept.has(filterKey(one)));
  return {
    before: before.map((one) => tc.raw("filter", "del", ...nameWords(one))),
    after: after.map((one) => tc.raw("filter", "add", ...filterWords(one))),
  };
}
