import type { IConstruct } from "constructs";
import type { AnySpec, Claim } from "../kinds/kind";
import type { PropertyPath, TreeFinding } from "./finding";
import type { Intent } from "./intent";
import type { KernelObject, LeafKind } from "./kernel-object";
import type { Place } from "./place";
import { sourcePath } from "./source-path";

/** A leaf of the tree with everything that is known of it. */
export interface Leaf {
  readonly construct: KernelObject;
  readonly path: string;
  readonly kind: LeafKind;
  readonly place: Place;
  /** What will be registered: intent with the namespace filled in, and completed. */
  readonly intent: Intent;
  /** The canonical spec; undefined when the schema refused it or part of it is known only when deployed. */
  readonly spec: AnySpec | undefined;
  /** Where the intent holds values that are known only when deployed. */
  readonly deferred: readonly PropertyPath[];
  readonly claims: readonly Claim[];
}

/** A claim of one sort. */
export type ClaimOf<C extends Claim["claim"]> = Extract<Claim, { claim: C }>;

/** A claim with the leaf that makes it. */
export interface Held<C extends Claim["claim"]> {
  readonly leaf: Leaf;
  readonly claim: ClaimOf<C>;
}

/** A construct that is a host or a namespace. */
export interface DefinedPlace {
  readonly construct: IConstruct;
  readonly place: Place;
}

/** A whole program, as the checks of the tree see it. They know claims, never kinds or constructs. */
export interface Program {
  readonly leaves: readonly Leaf[];
  /** Every construct that is a host or a namespace. */
  readonly places: readonly DefinedPlace[];
  readonly claims: Claims;
}

/** One check of a whole program: a file in `checks/`. */
export type Check = (program: Program) => readonly TreeFinding[];

/** A finding about a property of a leaf's canonical spec, under the name it has in the construct's props. */
export function leafFinding(leaf: Leaf, path: PropertyPath, message: string): TreeFinding {
  return intentFinding(leaf, sourcePath(leaf.spec, leaf.intent, path), message);
}

/** A finding about a property of a leaf's intent, under the name it has in the construct's props. */
export function intentFinding(leaf: Leaf, path: PropertyPath, message: string): TreeFinding {
  const { origin = (p: PropertyPath) => p, onBehalfOf = leaf.construct } = leaf.construct.kernelObject;
  return { construct: onBehalfOf.node.path, path: origin(path), message };
}

/** The path of a property beside the one that a claim names: the `mtu` beside a `name`. */
export function beside(path: PropertyPath, property: string): PropertyPath {
  return [...path.slice(0, -1), property];
}

/** The claims of all leaves, to be found by host and namespace. */
export class Claims {
  readonly #leaves = new Map<string, Leaf>();
  readonly #byPlace = new Map<string, Held<Claim["claim"]>[]>();
  readonly #byEnds = new Map<string, Held<"tunnel">[]>();
  readonly #partlyKnown = new Set<string>();

  constructor(leaves: readonly Leaf[]) {
    for (const leaf of leaves) this.#add(leaf);
    for (const { spec, kind, place } of leaves) {
      if (spec === undefined && kind.claims !== undefined) this.#partlyKnown.add(place.host.name);
    }
  }

  /** Every claim of a sort, in the order of the tree. */
  all<C extends Claim["claim"]>(sort: C): readonly Held<C>[] {
    return [...this.#leaves.values()].flatMap((leaf) =>
      leaf.claims
        .filter((claim): claim is ClaimOf<C> => claim.claim === sort)
        .map((claim) => ({ leaf, claim })),
    );
  }

  /** Every claim of a sort in one namespace of a host; `undefined` is the initial namespace. */
  in<C extends Claim["claim"]>(sort: C, host: string, netns: string | undefined): readonly Held<C>[] {
    return (this.#byPlace.get(placeKey(sort, host, netns)) ?? []) as unknown as Held<C>[];
  }

  /** Who makes an interface. */
  interface(host: string, netns: string | undefined, name: string): Held<"interface"> | undefined {
    return this.in("interface", host, netns).find((held) => held.claim.name === name);
  }

  /**
   * Whether all the links of a namespace are in this program and known: the program makes the namespace itself,
   * and every leaf of the host that takes up anything is known.
   */
  isWhole(host: string, netns: string | undefined): boolean {
    if (netns === undefined) return false;
    const makers = this.in("netns", host, netns);
    const ours = makers.length > 0 && makers.every(({ leaf }) => leaf.construct.kernelObject.adopt !== true);
    return ours && !this.#partlyKnown.has(host);
  }

  /** Every tunnel with these ends, on any host. */
  tunnelsBetween(protocol: string, local: string, remote: string): readonly Held<"tunnel">[] {
    return this.#byEnds.get(JSON.stringify([protocol, local, remote])) ?? [];
  }

  /** Puts a leaf that knows more now in the place of what it was. */
  replace(leaf: Leaf): void {
    const before = this.#leaves.get(leaf.path);
    for (const claim of before?.claims ?? []) {
      for (const [map, key] of this.#keys(leaf, claim)) {
        map.set(
          key,
          (map.get(key) ?? []).filter((held) => held.leaf !== before),
        );
      }
    }
    this.#add(leaf);
  }

  #add(leaf: Leaf): void {
    this.#leaves.set(leaf.path, leaf);
    for (const claim of leaf.claims) {
      for (const [map, key] of this.#keys(leaf, claim)) {
        const list = map.get(key);
        if (list === undefined) map.set(key, [{ leaf, claim }]);
        else list.push({ leaf, claim });
      }
    }
  }

  /** Where a claim is kept. */
  #keys(leaf: Leaf, claim: Claim): [Map<string, Held<Claim["claim"]>[]>, string][] {
    const place = placeKey(claim.claim, leaf.place.host.name, claim.netns);
    if (claim.claim !== "tunnel") return [[this.#byPlace, place]];
    const ends = JSON.stringify([claim.protocol, claim.local, claim.remote]);
    return [
      [this.#byPlace, place],
      [this.#byEnds as unknown as Map<string, Held<Claim["claim"]>[]>, ends],
    ];
  }
}

function placeKey(sort: string, host: string, netns: string | undefined): string {
  return JSON.stringify([sort, host, netns ?? null]);
}
