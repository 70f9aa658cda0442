import type { TreeFinding } from "../finding";
import { describePlace } from "../place";
import type { Check, ClaimOf } from "../program";
import { leafFinding } from "../program";

// The kernel finds these tunnels by their key alone: vxlan_exists() in drivers/net/vxlan/vxlan_core.c.
const BY_KEY_ALONE: ReadonlySet<string> = new Set(["vxlan"]);

/**
 * The kernel must be able to tell two tunnels apart: not the same protocol, ends and key in one namespace, and
 * no VNI twice.
 */
export const tunnels: Check = ({ claims }) => {
  const findings: TreeFinding[] = [];
  const seen = new Map<string, { name: string; path: string }>();
  for (const { leaf, claim } of claims.all("tunnel")) {
    // A key that is known only when deployed may well differ.
    if (leaf.deferred.length > 0) continue;
    const host = leaf.place.host.name;
    const id = JSON.stringify([host, claim.netns ?? null, ...identity(claim)]);
    const other = seen.get(id);
    if (other === undefined) {
      seen.set(id, { name: claim.name, path: leaf.path });
      continue;
    }
    const where = describePlace(host, claim.netns);
    const same = `${claim.name} and ${other.name} (${other.path}) in ${where} have the same ${told(claim)}`;
    findings.push(
      leafFinding(leaf, claim.path, `${same}; the kernel cannot tell them apart: give each its own key`),
    );
  }
  return findings;
};

function identity(claim: ClaimOf<"tunnel">): unknown[] {
  const key = claim.key ?? null;
  if (BY_KEY_ALONE.has(claim.protocol)) return [claim.protocol, key];
  return [claim.protocol, claim.local ?? null, claim.remote ?? null, claim.link ?? null, key];
}

function told(claim: ClaimOf<"tunnel">): string {
  const key = claim.key === undefined ? "no key" : `key ${claim.key}`;
  if (BY_KEY_ALONE.has(claim.protocol)) return `${claim.protocol} ${key}`;
  const ends = `${claim.local ?? "any"} → ${claim.remote ?? "any"}`;
  const link = claim.link === undefined ? "" : ` on ${claim.link}`;
  return `protocol ${claim.protocol}, ends ${ends}${link} and ${key}`;
}
