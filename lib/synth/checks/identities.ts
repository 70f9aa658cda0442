import type { TreeFinding } from "../finding";
import type { Check, Leaf } from "../program";

/**
 * No two leaves are the same object on a host. Links and namespaces have checks of their own, with better words.
 */
export const identities: Check = ({ leaves }) => {
  const seen = new Map<string, Leaf>();
  const findings: TreeFinding[] = [];
  for (const leaf of leaves) {
    if (leaf.spec === undefined) continue;
    if (leaf.claims.some((claim) => claim.claim === "interface" || claim.claim === "netns")) continue;
    const id = [leaf.place.host.name, ...leaf.kind.identity(leaf.spec)].join("/");
    const key = `${leaf.kind.token} ${id}`;
    const other = seen.get(key);
    if (other === undefined) {
      seen.set(key, leaf);
      continue;
    }
    const message = `${other.path} is the same ${leaf.kind.token} ${id}; give one of them another name`;
    findings.push({ construct: leaf.path, path: [], message });
  }
  return findings;
};
