import type { IConstruct } from "constructs";
import { hash8 } from "../../lib/synth";

/** Longest name of a set of routes, rules or settings. */
const LONGEST = 64;

/**
 * Names what a pair has on a host: its path and the part's name, with dots between them. With a hash where that would be
 * too long, or might be another's.
 *
 * @example setName(pair, "receiver") // site1.agg.receiver
 */
export function setName(pair: IConstruct, part: string): string {
  const parts = [...pair.node.path.split("/"), part];
  const joined = parts.join(".");
  if (joined.length <= LONGEST && parts.every((one) => /^[A-Za-z0-9_][A-Za-z0-9_-]*$/.test(one)))
    return joined;
  const clean = joined.replace(/[^A-Za-z0-9_.-]+/g, "-").replace(/^[-.]+/, "");
  return `${clean.slice(0, LONGEST - 9)}-${hash8(...parts)}`;
}
