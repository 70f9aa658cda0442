import type { SubscriberFinding } from "../findings";
import { quoted, SubscribersError } from "../findings";
import type { NetworkNode } from "../model";
import type { NodeCandidate } from "../network-tree";

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

const isObject = (value: Json | undefined): value is { readonly [key: string]: Json } =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Nothing real is this deep; it keeps a hostile file from exhausting the stack. */
const DEEPEST = 64;

/**
 * Reads LibreQoS' network.json: names with `downloadBandwidthMbps`, `uploadBandwidthMbps`, `type`, `id`,
 * `virtual` and `children`. `{}` is a flat network. Keys that the shaping does not use (`latitude`, …) are
 * passed over.
 * @throws SubscribersError for text that is no JSON object
 */
export function readNetworkJson(
  text: string,
  source: string,
): { readonly candidates: readonly NodeCandidate[]; readonly findings: readonly SubscriberFinding[] } {
  let root: Json;
  try {
    root = JSON.parse(text) as Json;
  } catch (error) {
    throw new SubscribersError([{ source, message: `not JSON: ${(error as Error).message}` }], source);
  }
  const findings: SubscriberFinding[] = [];
  const candidates: NodeCandidate[] = [];
  const visit = (children: Json, parent: string | undefined, path: string, depth: number): void => {
    if (!isObject(children)) {
      findings.push({ source, path, message: `${quoted(children)} where an object of nodes belongs` });
      return;
    }
    if (depth > DEEPEST) {
      findings.push({ source, path, message: `nodes more than ${DEEPEST} deep` });
      return;
    }
    for (const [name, node] of Object.entries(children)) {
      const here = path === "" ? name : `${path}.${name}`;
      if (!isObject(node)) {
        findings.push({ source, path: here, message: `${quoted(node)} where a node belongs` });
        continue;
      }
      candidates.push(readNode(name, node, parent, here, source, findings));
      if (node["children"] !== undefined) visit(node["children"], name, here, depth + 1);
    }
  };
  visit(root, undefined, "", 1);
  return { candidates, findings };
}

function readNode(
  name: string,
  node: { readonly [key: string]: Json },
  parent: string | undefined,
  here: string,
  source: string,
  findings: SubscriberFinding[],
): NodeCandidate {
  const say = (key: string, message: string) => findings.push({ source, path: `${here}.${key}`, message });
  const rate = (key: string) => {
    const value = node[key];
    if (typeof value === "number") return value;
    say(key, value === undefined ? "a rate in Mbit/s is needed" : `${quoted(value)} is not a rate in Mbit/s`);
    return NaN;
  };
  const word = (key: string) => {
    const value = node[key];
    if (value === undefined || value === null || typeof value === "string") return value ?? undefined;
    say(key, `${quoted(value)} is not a string`);
    return undefined;
  };
  const [type, id] = [word("type"), word("id")];
  // Older files mark a virtual node by its type.
  const isVirtual = node["virtual"] === true || type?.toLowerCase() === "virtual";
  const props: NetworkNode = {
    name,
    ...(type !== undefined && { type }),
    ...(parent !== undefined && { parent }),
    download: rate("downloadBandwidthMbps"),
    upload: rate("uploadBandwidthMbps"),
    ...(id !== undefined && { id }),
    ...(isVirtual && { virtual: true }),
  };
  const keys: Readonly<Record<string, string>> = {
    download: "downloadBandwidthMbps",
    upload: "uploadBandwidthMbps",
  };
  return {
    props,
    where: (field) => ({ source, path: field === "name" ? here : `${here}.${keys[field] ?? field}` }),
  };
}

interface RenderedNode {
  id?: string;
  virtual?: true;
  downloadBandwidthMbps: number;
  uploadBandwidthMbps: number;
  type?: string;
  children?: Record<string, RenderedNode>;
}

/**
 * Writes network.json with two spaces of indentation, siblings sorted by name so that equal trees are equal
 * files. A tree without nodes is `{}`, LibreQoS' flat network.
 * @param nodes - checked nodes (`Subscribers.network`)
 * @throws SubscribersError for a node that LibreQoS would take for a property of the node above
 */
export function renderNetworkJson(nodes: readonly NetworkNode[]): string {
  // LibreQoS walks every object it finds, so a node may not be named like its own keys; and JavaScript would
  // order a whole number before its siblings and lose `__proto__`.
  const reserved = new Set([
    "children",
    "downloadBandwidthMbps",
    "uploadBandwidthMbps",
    "type",
    "id",
    "virtual",
    "__proto__",
  ]);
  const findings = nodes
    .filter(({ name }) => reserved.has(name))
    .map(({ name }) => ({
      path: `network node ${quoted(name)}`,
      message: "LibreQoS uses the name for itself; rename the node",
    }));
  if (findings.length > 0) throw new SubscribersError(findings, "the network tree");
  const below = new Map<string | undefined, NetworkNode[]>();
  for (const node of nodes) {
    const siblings = below.get(node.parent);
    if (siblings === undefined) below.set(node.parent, [node]);
    else siblings.push(node);
  }
  const render = (parent: string | undefined): Record<string, RenderedNode> =>
    Object.fromEntries(
      (below.get(parent) ?? [])
        .sort((a, b) => (a.name < b.name ? -1 : 1))
        .map((node) => {
          const rendered: RenderedNode = {
            ...(node.id !== undefined && { id: node.id }),
            ...(node.virtual === true && { virtual: true }),
            downloadBandwidthMbps: node.download,
            uploadBandwidthMbps: node.upload,
            ...(node.type !== undefined && { type: node.type }),
            ...(below.has(node.name) && { children: render(node.name) }),
          };
          return [node.name, rendered];
        }),
    );
  return `${JSON.stringify(render(undefined), null, 2)}\n`;
}
