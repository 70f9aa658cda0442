import { formatCidr, parseCidr } from "./cidr";
import type { PropertyPath } from "./finding";
import { isDeferred } from "./intent";

/**
 * A path inside a canonical spec as a path inside what the program wrote. They differ where the schema sorts a
 * list: the member is looked up by what it says. A member that is spelt otherwise in the program cannot be told,
 * and the path ends at its list.
 */
export function sourcePath(spec: unknown, intent: unknown, path: PropertyPath): PropertyPath {
  const result: (string | number)[] = [];
  let [canonical, written] = [spec, intent];
  for (const segment of path) {
    let key = segment;
    if (typeof segment === "number" && Array.isArray(canonical) && Array.isArray(written)) {
      const member: unknown = canonical[segment];
      const same = (candidate: unknown) => says(candidate, member);
      key = same(written[segment]) ? segment : written.findIndex(same);
      if (key === -1) return result;
    }
    result.push(key);
    canonical = at(canonical, segment);
    written = at(written, key);
  }
  return result;
}

/** Whether everything that was written is in the canonical member. */
function says(written: unknown, canonical: unknown): boolean {
  if (written === undefined || isDeferred(written)) return true;
  if (typeof written !== "object" || written === null)
    return written === canonical || isAlike(written, canonical);
  if (typeof canonical !== "object" || canonical === null) return false;
  return Object.keys(written).every((key) => says(at(written, key), at(canonical, key)));
}

/** Two spellings of one address or network; `default` is the network of everything. */
function isAlike(written: unknown, canonical: unknown): boolean {
  if (typeof written !== "string" || typeof canonical !== "string") return false;
  if (written === "default") return canonical.endsWith("/0");
  const [a, b] = [parseCidr(written), parseCidr(canonical)];
  return a !== undefined && b !== undefined && formatCidr(a) === formatCidr(b);
}

function at(value: unknown, segment: string | number): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return (value as Record<string | number, unknown>)[segment];
}
