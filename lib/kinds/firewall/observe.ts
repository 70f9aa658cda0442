import { isDeepStrictEqual } from "node:util";
import { clampRule, filterRule, masqueradeRule, portForwardRule, type Bag } from "./parse";
import { CHAINS, type ChainName } from "./render";
import { OWNER_MARK, type Clamp, type FirewallSpec } from "./schema";

/** What is in a table, as it is read member by member. */
interface Found {
  masquerade: FirewallSpec["masquerade"];
  portForward: FirewallSpec["portForward"];
  clampMss: FirewallSpec["clampMss"];
  clampOutput: Clamp[];
  input: FirewallSpec["input"];
  forward: FirewallSpec["forward"];
  output: FirewallSpec["output"];
  unrecognised: string[];
}

const isOurs = (name: unknown): name is ChainName => typeof name === "string" && Object.hasOwn(CHAINS, name);

/** What changes by itself (handles are the kernel's numbering), and what the table says of each of its members. */
const FLEETING = ["handle", "family", "table", "packets", "bytes", "used"];

function shown(kind: string, object: Bag): string {
  const rest = Object.entries(object).filter(([key]) => !FLEETING.includes(key));
  return `${kind} ${JSON.stringify(withoutCounts(Object.fromEntries(rest)))}`;
}

/** What a counter has counted is no part of a rule. */
function withoutCounts(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutCounts);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [
      key,
      key === "counter" && typeof member === "object" ? null : withoutCounts(member),
    ]),
  );
}

function takeChain(found: Found, chain: Bag): void {
  const { name, type, hook, prio, policy } = chain;
  if (!isOurs(name) || !isDeepStrictEqual({ type, hook, prio }, CHAINS[name]))
    return void found.unrecognised.push(shown("chain", chain));
  if (name === "input" || name === "forward" || name === "output") {
    found[name] = { ...found[name], policy: policy === "drop" ? "drop" : "accept" };
  } else if (policy !== "accept") {
    found.unrecognised.push(shown("chain", chain));
  }
}

/** Puts a rule where it belongs; false for one that has no words there. */
function place(found: Found, chain: unknown, expr: unknown, comment: string | undefined): boolean {
  const put = <T>(list: T[], rule: T | undefined): boolean => rule !== undefined && list.push(rule) > 0;
  switch (chain) {
    case "prerouting":
      return put(found.portForward, portForwardRule(expr, comment));
    case "postrouting":
      return put(found.masquerade, masqueradeRule(expr, comment));
    case "mss_forward":
      return put(found.clampMss, clampRule(expr, comment));
    case "mss_output":
      return put(found.clampOutput, clampRule(expr, comment));
    case "input":
    case "forward":
    case "output":
      return put(found[chain].rules, filterRule(expr, comment));
    default:
      return false;
  }
}

/** The clamps of the host's own connections stand with those of what it forwards, in the same order. */
function withOutputs(found: Found): FirewallSpec["clampMss"] {
  const outputs = [...found.clampOutput];
  const clamps = found.clampMss.map((clamp) => {
    if (outputs.length === 0 || !isDeepStrictEqual(clamp, outputs[0])) return clamp;
    outputs.shift();
    return { ...clamp, output: true };
  });
  found.unrecognised.push(
    ...outputs.map((clamp) => `clamp of the host's own connections ${JSON.stringify(clamp)}`),
  );
  return clamps;
}

/**
 * What `nft -j list table` prints, in the schema's words. What has none is told of in `unrecognised`: a chain, set
 * or rule that somebody else has put into the table.
 */
export function observeTable(
  listed: unknown,
  where: Pick<FirewallSpec, "netns" | "family" | "table">,
): FirewallSpec {
  const found: Found = {
    ...{ masquerade: [], portForward: [], clampMss: [], clampOutput: [], unrecognised: [] },
    input: { policy: "accept", rules: [] },
    forward: { policy: "accept", rules: [] },
    output: { policy: "accept", rules: [] },
  };
  for (const member of (listed as { readonly nftables?: readonly Bag[] }).nftables ?? []) {
    for (const [kind, value] of Object.entries(member)) {
      const object = value as Bag;
      if (kind === "metainfo") continue;
      if (kind === "table" && object.flags === undefined) continue;
      if (kind === "chain") {
        takeChain(found, object);
        continue;
      }
      const said =
        typeof object.comment === "string" && !object.comment.startsWith(OWNER_MARK)
          ? object.comment
          : undefined;
      if (kind !== "rule" || !place(found, object.chain, object.expr, said))
        found.unrecognised.push(shown(kind, object));
    }
  }
  const clampMss = withOutputs(found);
  const { masquerade, portForward, input, forward, output, unrecognised } = found;
  return { ...where, masquerade, portForward, clampMss, input, forward, output, unrecognised };
}
