import type { SubscriberFinding } from "./findings";
import { quoted } from "./findings";
import type { NetworkNode } from "./model";
import { directions } from "./model";
import { idProblem, rateProblem, textProblem, wholeProblem } from "./values";

/** Where something was written, in the words of its format. */
export type Where = (field: string) => Omit<SubscriberFinding, "message">;

/** A node that is not checked yet. */
export interface NodeCandidate {
  readonly props: NetworkNode;
  readonly where: Where;
}

/** How many nodes deep the tree may be below the uplink: HTB has 8 levels (TC_HTB_MAXDEPTH), two are taken. */
export const NODE_LEVELS = 6;

/** Class ids kept for nodes. */
export const NODE_NUMBERS = 4_080;

/** The checked network tree, with what is asked of it often. */
export class NetworkTree {
  readonly #byName: ReadonlyMap<string, NetworkNode>;

  /** @param nodes - checked nodes: unique names, known parents, no cycles. */
  constructor(readonly nodes: readonly NetworkNode[]) {
    this.#byName = new Map(nodes.map((node) => [node.name, node]));
  }

  /** The node of a name. */
  get(name: string): NetworkNode | undefined {
    return this.#byName.get(name);
  }

  /** The nodes above a name (itself first), the uppermost last. */
  chain(name: string | undefined): NetworkNode[] {
    const chain: NetworkNode[] = [];
    for (let node = name === undefined ? undefined : this.get(name); node !== undefined;) {
      chain.push(node);
      node = node.parent === undefined ? undefined : this.get(node.parent);
    }
    return chain;
  }

  /** The nearest node, the named one included, that has a rate of its own. */
  shapingNode(name: string | undefined): NetworkNode | undefined {
    return this.chain(name).find((node) => node.virtual !== true);
  }
}

function nodeFindings({ props, where }: NodeCandidate): SubscriberFinding[] {
  const found: SubscriberFinding[] = [];
  const say = (field: string, message: string | undefined) =>
    message !== undefined && found.push({ ...where(field), message });
  say("name", idProblem(props.name));
  for (const direction of directions) {
    // What is no number at all was said where it was read.
    if (!Number.isNaN(props[direction])) say(direction, rateProblem(props[direction]));
  }
  for (const field of ["type", "id"] as const) say(field, textProblem(props[field] ?? ""));
  if (props.number !== undefined) say("number", wholeProblem(props.number, 1, NODE_NUMBERS));
  return found;
}

/** The names that are on a cycle or below one, each with the cycle's names in order. Linear in the nodes. */
function cycles(byName: ReadonlyMap<string, NodeCandidate>): Map<string, string[]> {
  const done = new Set<string>();
  const found = new Map<string, string[]>();
  for (const start of byName.keys()) {
    const trail: string[] = [];
    const place = new Map<string, number>();
    let name: string | undefined = start;
    while (name !== undefined && byName.has(name) && !done.has(name) && !place.has(name)) {
      place.set(name, trail.length);
      trail.push(name);
      name = byName.get(name)?.props.parent;
    }
    const from = name === undefined ? undefined : place.get(name);
    if (from !== undefined) for (const on of trail.slice(from)) found.set(on, trail.slice(from));
    for (const seen of trail) done.add(seen);
  }
  return found;
}

/**
 * Checks a network tree.
 * @param overcommit - whether a node may promise more than the one above it carries
 */
export function checkNetwork(
  candidates: readonly NodeCandidate[],
  overcommit: "refuse" | "cap",
): { readonly tree: NetworkTree; readonly findings: readonly SubscriberFinding[] } {
  const findings: SubscriberFinding[] = [];
  const byName = new Map<string, NodeCandidate>();
  const numbers = new Map<number, string>();
  for (const candidate of candidates) {
    const { props, where } = candidate;
    findings.push(...nodeFindings(candidate));
    if (byName.has(props.name)) {
      findings.push({ ...where("name"), message: `a second node is named ${quoted(props.name)}` });
    } else byName.set(props.name, candidate);
    if (props.number === undefined) continue;
    const other = numbers.get(props.number);
    if (other === undefined) numbers.set(props.number, props.name);
    else findings.push({ ...where("number"), message: `number ${props.number} is node ${quoted(other)}'s` });
  }
  for (const { props, where } of byName.values()) {
    if (props.parent !== undefined && !byName.has(props.parent)) {
      findings.push({ ...where("parent"), message: `no node is named ${quoted(props.parent)}` });
    }
  }
  const circular = cycles(byName);
  for (const [name, cycle] of circular) {
    // Each cycle is said once, at the first of its nodes.
    if (cycle[0] !== name) continue;
    const where = byName.get(name)?.where ?? (() => ({}));
    findings.push({
      ...where("parent"),
      message: `nodes are above each other: ${[...cycle, name].join(" → ")}`,
    });
  }
  const tree = new NetworkTree([...byName.values()].map(({ props }) => props));
  if (findings.length === 0) {
    for (const candidate of byName.values()) findings.push(...placeFindings(candidate, tree, overcommit));
  }
  return { tree, findings };
}

function placeFindings(
  { props, where }: NodeCandidate,
  tree: NetworkTree,
  overcommit: "refuse" | "cap",
): SubscriberFinding[] {
  if (props.virtual === true) return [];
  const chain = tree.chain(props.parent).filter((node) => node.virtual !== true);
  const found: SubscriberFinding[] = [];
  if (chain.length + 1 === NODE_LEVELS + 1) {
    found.push({
      ...where("parent"),
      message: `${NODE_LEVELS + 1} nodes deep; HTB has room for ${NODE_LEVELS} between the uplink and a subscriber`,
    });
  }
  const above = chain[0];
  if (above === undefined || overcommit === "cap") return found;
  for (const direction of directions) {
    if (props[direction] > above[direction]) {
      found.push({
        ...where(direction),
        message: `${props[direction]} Mbit/s ${direction} is above the ${above[direction]} of ${quoted(above.name)}, the node above`,
      });
    }
  }
  return found;
}
