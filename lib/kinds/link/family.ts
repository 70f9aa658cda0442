import { isDeepStrictEqual } from "node:util";
import type { InfoData, IpLink } from "./iproute";
import type { LinkKind, LinkSpec, PartialLink } from "./schema";

/** A property that not every kind of link has. */
export type SpecificProperty = Exclude<
  keyof LinkSpec,
  "netns" | "name" | "kind" | "mtu" | "up" | "addresses" | "mac" | "master" | "txQueueLength" | "sysctls"
>;

/** One thing that `ip link … type KIND` can be told. */
export interface LinkOption {
  /** The properties that say it. */
  readonly of: readonly SpecificProperty[];
  /** The words for a new link; none for what is the default anyway. */
  create(spec: LinkSpec): readonly string[];
  /**
   * The words for a link that is there, out of what it is and what is wanted together; `again` when only a new
   * link can have it.
   */
  change: ((merged: LinkSpec, current: LinkSpec, desired: LinkSpec) => readonly string[] | "again") | "again";
  /** Whether it differs from what is wanted; by default when a property that is wanted does. */
  differs?(current: LinkSpec, desired: LinkSpec): boolean;
  /** Words that go along when anything else changes, because iproute2 would lose or miss it. */
  along?(merged: LinkSpec): readonly string[];
}

/** What is particular about some kinds of link. */
export interface Family {
  readonly kinds: readonly LinkKind[];
  readonly options: readonly LinkOption[];
  /** Properties that must be given. */
  required(spec: LinkSpec): readonly SpecificProperty[];
  /** Reads what the driver says; properties that it does not say are left out. */
  parse(data: InfoData, link: IpLink, wanted: PartialLink): PartialLink;
  /** Bytes that it adds to a packet of the link's MTU; undefined for what encapsulates nothing. */
  overhead?(spec: LinkSpec): number;
  /** The driver refuses an MTU among its own changes (`Cannot change mtu`): it gets a line of its own. */
  readonly mtuApart?: true;
  /** Whether the order of some words matters so much that they need lines of their own. */
  lines?(words: readonly string[], merged: LinkSpec): readonly (readonly string[])[];
}

/** Whether what is wanted of a property is not what is there. What is not wanted does not differ. */
export function differs(current: LinkSpec, desired: LinkSpec, property: keyof LinkSpec): boolean {
  return desired[property] !== undefined && !isDeepStrictEqual(current[property], desired[property]);
}

/** What is wanted, and for the rest what is there. */
export function merge(current: LinkSpec, desired: LinkSpec): LinkSpec {
  const wanted = Object.entries(desired).filter(([, value]) => value !== undefined);
  return { ...current, ...Object.fromEntries(wanted) };
}

/** An option that is one property: the words for a value, and those for a new link when they are others. */
export function option<P extends SpecificProperty>(
  property: P,
  words: (value: NonNullable<LinkSpec[P]>) => readonly string[],
  more: {
    create?: (value: NonNullable<LinkSpec[P]>) => readonly string[];
    change?: LinkOption["change"];
  } = {},
): LinkOption {
  const say = (how: typeof words, spec: LinkSpec): readonly string[] => {
    const value = spec[property];
    return value === undefined ? [] : how(value);
  };
  return {
    of: [property],
    create: (spec) => say(more.create ?? words, spec),
    change: more.change ?? ((merged) => say(words, merged)),
  };
}

/** An option that is on or off; on a new link only what is not the default is said. */
export function flag(property: SpecificProperty, on: string, off: string, byDefault: boolean): LinkOption {
  const word = (value: unknown) => [value === true ? on : off];
  return option(property, word, { create: (value) => (value === byDefault ? [] : word(value)) });
}

/** An option that only a new link can be given. */
export function fixed<P extends SpecificProperty>(
  property: P,
  words: (value: NonNullable<LinkSpec[P]>) => readonly string[],
): LinkOption {
  return option(property, words, { change: "again" });
}

/** The words after `type KIND` for a new link. */
export function createWords(family: Family, spec: LinkSpec): string[] {
  return family.options.flatMap((one) => one.create(spec));
}

/**
 * The words after `type KIND`, line by line, that make of the link that is there the one that is wanted;
 * `again` when it has to be made anew.
 */
export function changeLines(
  family: Family,
  current: LinkSpec,
  desired: LinkSpec,
): readonly (readonly string[])[] | "again" {
  const merged = merge(current, desired);
  const differing = family.options.filter(
    (one) =>
      one.differs?.(current, desired) ?? one.of.some((property) => differs(current, desired, property)),
  );
  if (differing.length === 0) return [];
  const words: string[] = [];
  for (const one of family.options) {
    const changed = differing.includes(one)
      ? one.change === "again"
        ? "again"
        : one.change(merged, current, desired)
      : (one.along?.(merged) ?? []);
    if (changed === "again") return "again";
    words.push(...changed);
  }
  return family.lines?.(words, merged) ?? [words];
}
