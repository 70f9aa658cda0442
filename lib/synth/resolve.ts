import type { IConstruct } from "constructs";
import type { z } from "zod";
import type { Finding } from "../kinds/kind";
import { checks } from "./checks";
import { findingsOf } from "./composite";
import type { TreeFinding } from "./finding";
import { ValidationError } from "./finding";
import type { Dependencies } from "./graph";
import { dependenciesOf, inOrder, namespaceOf } from "./graph";
import type { Intent } from "./intent";
import { compact } from "./intent";
import { KernelObject, leafPlace } from "./kernel-object";
import type { DefinedPlace, Leaf, Program } from "./program";
import { Claims, intentFinding } from "./program";
import { definedPlace } from "./place";
import { checkSpec } from "./spec";
import { DEFAULT_MTU, mtuOf, otherEnds, underlayOf } from "./underlay";
import type { TreeView } from "./view";

/** One leaf of a program that passed every check. */
export interface Resolved {
  readonly leaf: Leaf;
  readonly dependsOn: readonly Leaf[];
  readonly deletedWith: Leaf | undefined;
}

/** A program that passed every check, each leaf after what it depends on. */
export interface Resolution {
  readonly resolved: readonly Resolved[];
  readonly places: readonly DefinedPlace[];
}

/**
 * Locks the tree, completes every leaf, derives what must come before what and runs every check.
 *
 * @throws ValidationError with everything that is wrong
 */
export function resolve(app: IConstruct): Resolution {
  app.node.lock();
  const constructs = app.node.findAll();
  const findings: TreeFinding[] = [];
  const own = new Map<Leaf, readonly Finding[]>();
  const first = readLeaves(constructs, own, findings);
  const partial = new Claims(first);
  const dependencies = dependenciesOf(first, partial);
  const { order, findings: circles } = inOrder(first, dependencies);
  const completed = complete(order, partial, own, findings);
  const leaves = first.map((leaf) => completed.get(leaf)).filter((leaf) => leaf !== undefined);
  const claims = new Claims(leaves);
  const program: Program = { leaves, places: placesOf(constructs), claims };
  findings.push(...ofConstructs(constructs), ...circles);
  findings.push(
    ...besides(
      findings,
      checks.flatMap((check) => [...check(program)]),
    ),
  );
  if (findings.length > 0) throw new ValidationError(inTreeOrder(constructs, findings));
  return { resolved: resolvedLeaves(order, completed, dependencies, claims), places: program.places };
}

/** Every leaf with what its intent says by itself; its schema's findings wait for the completed spec. */
function readLeaves(
  constructs: readonly IConstruct[],
  own: Map<Leaf, readonly Finding[]>,
  findings: TreeFinding[],
): Leaf[] {
  const leaves: Leaf[] = [];
  for (const construct of constructs) {
    if (!KernelObject.isKernelObject(construct)) continue;
    const place = leafPlace(construct);
    if (place === undefined) {
      const message = "is on no host: create it inside a Host or a Namespace, or give it one";
      findings.push({ construct: construct.node.path, path: [], message });
      continue;
    }
    const { kind, intent } = construct.kernelObject;
    const wanted = typeof intent === "function" ? intent() : intent;
    const { shape } = kind.schema as z.ZodObject;
    const inPlace = "netns" in shape && !("netns" in wanted) ? { netns: place.netns } : {};
    const base = { construct, path: construct.node.path, kind, place };
    const result = checked(base, compact({ ...inPlace, ...wanted }));
    own.set(result.leaf, result.findings);
    leaves.push(result.leaf);
  }
  return leaves;
}

/** Lets each leaf complete its intent, those below first, and collects what its schema says of the outcome. */
function complete(
  order: readonly Leaf[],
  claims: Claims,
  own: ReadonlyMap<Leaf, readonly Finding[]>,
  findings: TreeFinding[],
): Map<Leaf, Leaf> {
  const completed = new Map<Leaf, Leaf>();
  for (const leaf of order) {
    const completion = leaf.construct.kernelObject.complete;
    const result =
      completion === undefined
        ? { leaf, findings: own.get(leaf) ?? [] }
        : checked(leaf, compact(completion(leaf.intent, view(leaf, claims))));
    completed.set(leaf, result.leaf);
    if (result.leaf !== leaf) claims.replace(result.leaf);
    for (const { path, message } of result.findings) findings.push(intentFinding(leaf, path, message));
  }
  return completed;
}

/** What the checks of the tree found, without what a property that is wrong by itself has been told already. */
function besides(known: readonly TreeFinding[], found: readonly TreeFinding[]): TreeFinding[] {
  const key = ({ construct, path }: TreeFinding) => JSON.stringify([construct, path]);
  const told = new Set(known.map(key));
  return found.filter((finding) => finding.path.length === 0 || !told.has(key(finding)));
}

function checked(base: Pick<Leaf, "construct" | "path" | "kind" | "place">, intent: Intent) {
  const { spec, deferred, findings } = checkSpec(base.kind, intent);
  const claims = spec === undefined ? [] : (base.kind.claims?.(spec) ?? []);
  const { construct, path, kind, place } = base;
  const leaf: Leaf = { construct, path, kind, place, intent, spec, deferred, claims };
  return { leaf, findings };
}

function view(leaf: Leaf, claims: Claims): TreeView {
  return {
    tunnelMtu: (pathMtu) => {
      const claim = leaf.claims.find((c) => c.claim === "tunnel");
      if (claim === undefined) return undefined;
      const ends = [{ leaf, claim }, ...otherEnds(claims, claim)];
      const mtus = ends.map((end) => {
        const host = end.leaf.place.host.name;
        const below = underlayOf(claims, host, end.claim)?.claim;
        return below === undefined ? undefined : mtuOf(claims, host, below.netns, below.name);
      });
      const known = [...mtus, pathMtu].filter((mtu) => mtu !== undefined);
      return (known.length === 0 ? DEFAULT_MTU : Math.min(...known)) - claim.overhead;
    },
  };
}

/** What constructs say of their own props, and the validations of the `constructs` package. */
function ofConstructs(constructs: readonly IConstruct[]): TreeFinding[] {
  return constructs.flatMap((construct) => {
    const at = construct.node.path;
    return [
      ...findingsOf(construct).map(({ path, message }) => ({ construct: at, path, message })),
      ...construct.node.validate().map((message) => ({ construct: at, path: [], message })),
    ];
  });
}

function placesOf(constructs: readonly IConstruct[]): DefinedPlace[] {
  return constructs.flatMap((construct) => {
    const place = definedPlace(construct);
    return place === undefined ? [] : [{ construct, place }];
  });
}

function resolvedLeaves(
  order: readonly Leaf[],
  completed: ReadonlyMap<Leaf, Leaf>,
  dependencies: Dependencies,
  claims: Claims,
): Resolved[] {
  const position = new Map(order.map((leaf, index) => [leaf, index]));
  const after = (leaf: Leaf) => completed.get(leaf) ?? leaf;
  return order.map((leaf) => {
    const before = [...(dependencies.get(leaf) ?? [])].sort(
      (a, b) => (position.get(a) ?? 0) - (position.get(b) ?? 0),
    );
    return {
      leaf: after(leaf),
      dependsOn: before.map(after),
      deletedWith: namespaceOf(after(leaf), claims),
    };
  });
}

function inTreeOrder(constructs: readonly IConstruct[], findings: readonly TreeFinding[]): TreeFinding[] {
  const position = new Map(constructs.map((construct, index) => [construct.node.path, index]));
  const of = (finding: TreeFinding) => position.get(finding.construct) ?? 0;
  return [...findings].sort((a, b) => of(a) - of(b));
}
