import type { IConstruct } from "constructs";
import type { TreeFinding } from "./finding";
import { KernelObject } from "./kernel-object";
import type { Claims, Leaf } from "./program";
import { connectedTo, deviceRoutesTo, holderOf, underlayOf } from "./underlay";

/** For each leaf, the leaves that must be there before it. */
export type Dependencies = ReadonlyMap<Leaf, ReadonlySet<Leaf>>;

/** What must be there before what: by the program's own word, by the tree, and by what the claims name. */
export function dependenciesOf(leaves: readonly Leaf[], claims: Claims): Dependencies {
  const byConstruct = new Map<IConstruct, Leaf>(leaves.map((leaf) => [leaf.construct, leaf]));
  const result = new Map<Leaf, Set<Leaf>>();
  for (const leaf of leaves) {
    const set = new Set<Leaf>();
    for (const other of [
      ...declared(leaf.construct, byConstruct),
      ...enclosing(leaf.construct, byConstruct),
      ...named(leaf, claims),
    ]) {
      if (other !== leaf) set.add(other);
    }
    result.set(leaf, set);
  }
  return result;
}

/** The leaf that makes the namespace that another lives in: when it goes, so does what is in it. */
export function namespaceOf(leaf: Leaf, claims: Claims): Leaf | undefined {
  const netns = livesIn(leaf);
  if (netns === undefined) return undefined;
  const maker = claims.in("netns", leaf.place.host.name, netns)[0]?.leaf;
  return maker === leaf ? undefined : maker;
}

/** The namespace that a leaf says it is in. */
export function livesIn(leaf: Leaf): string | undefined {
  return typeof leaf.intent["netns"] === "string" ? leaf.intent["netns"] : undefined;
}

/**
 * An order in which every leaf comes after what it depends on, as near to the order of the tree as can be; a
 * circle is a finding on each of its members.
 */
export function inOrder(
  leaves: readonly Leaf[],
  dependencies: Dependencies,
): { readonly order: readonly Leaf[]; readonly findings: readonly TreeFinding[] } {
  const order: Leaf[] = [];
  const state = new Map<Leaf, "open" | "done">();
  const circles = new Map<string, TreeFinding>();
  const visit = (leaf: Leaf, above: readonly Leaf[]) => {
    if (state.get(leaf) === "done") return;
    if (state.get(leaf) === "open") {
      const circle = above.slice(above.indexOf(leaf)).map((member) => member.path);
      const first = [...circle].sort()[0] ?? leaf.path;
      const text = [...circle, circle[0]].join(" → ");
      circles.set(first, { construct: first, path: [], message: `depends on itself: ${text}` });
      return;
    }
    state.set(leaf, "open");
    for (const before of dependencies.get(leaf) ?? []) visit(before, [...above, leaf]);
    state.set(leaf, "done");
    order.push(leaf);
  };
  for (const leaf of leaves) visit(leaf, []);
  return { order, findings: [...circles.values()] };
}

/** `node.addDependency` on the leaf or any scope around it, towards every leaf inside its target. */
function* declared(construct: IConstruct, byConstruct: ReadonlyMap<IConstruct, Leaf>): Iterable<Leaf> {
  for (const scope of construct.node.scopes) {
    for (const target of scope.node.dependencies) {
      // What is inside the target cannot wait for all of it.
      if (construct.node.scopes.includes(target)) continue;
      for (const inside of target.node.findAll()) {
        const leaf = byConstruct.get(inside);
        if (leaf !== undefined) yield leaf;
      }
    }
  }
}

/** A leaf inside another leaf (a link inside a namespace's construct) comes after it. */
function* enclosing(construct: IConstruct, byConstruct: ReadonlyMap<IConstruct, Leaf>): Iterable<Leaf> {
  for (const scope of construct.node.scopes) {
    if (scope === construct || !KernelObject.isKernelObject(scope)) continue;
    const leaf = byConstruct.get(scope);
    if (leaf !== undefined) yield leaf;
  }
}

/** The leaves whose namespace, interface or subnet a leaf's claims name. */
function* named(leaf: Leaf, claims: Claims): Iterable<Leaf> {
  const host = leaf.place.host.name;
  const own = namespaceOf(leaf, claims);
  if (own !== undefined) yield own;
  for (const claim of leaf.claims) {
    if (claim.netns !== undefined && claim.claim !== "netns") {
      for (const held of claims.in("netns", host, claim.netns)) yield held.leaf;
    }
    const interfaces: (string | undefined)[] = [];
    switch (claim.claim) {
      case "port":
        interfaces.push(claim.master, claim.name);
        break;
      case "address":
        interfaces.push(claim.interface);
        break;
      case "tunnel": {
        interfaces.push(claim.link, underlayOf(claims, host, claim)?.claim.name);
        const holder =
          claim.local === undefined ? undefined : holderOf(claims, host, claim.netns, claim.local);
        if (holder !== undefined) yield holder.leaf;
        break;
      }
      case "route":
        interfaces.push(claim.dev);
        if (claim.via !== undefined) {
          for (const held of connectedTo(claims, host, claim.netns, claim.via)) yield held.leaf;
          for (const held of deviceRoutesTo(claims, host, claim)) {
            if (isNarrower(held.claim.destination, claim.destination)) yield held.leaf;
          }
        }
        break;
      case "interface":
      case "netns":
        break;
    }
    for (const name of interfaces) {
      const held = name === undefined ? undefined : claims.interface(host, claim.netns, name);
      if (held !== undefined) yield held.leaf;
    }
  }
}

/** Only a route that is more particular can carry another's next hop; it keeps two sets from waiting on each other. */
function isNarrower(destination: string, than: string): boolean {
  const length = (text: string) => (text === "default" ? 0 : Number(text.split("/")[1] ?? 128));
  return length(destination) > length(than);
}
