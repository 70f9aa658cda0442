import type { TreeFinding } from "../finding";
import { livesIn } from "../graph";
import type { Check } from "../program";
import { leafFinding } from "../program";

/** A namespace that is used is made by the program once, or declared as being there already. */
export const namespaces: Check = ({ leaves, claims, places }) => {
  const existing = new Set(
    places
      .filter(({ place }) => place.existing === true)
      .map(({ place }) => `${place.host.name} ${place.netns}`),
  );
  const findings: TreeFinding[] = [];
  for (const leaf of leaves) {
    const host = leaf.place.host.name;
    const used = new Set(leaf.claims.filter((claim) => claim.claim !== "netns").map((claim) => claim.netns));
    used.add(livesIn(leaf));
    for (const netns of used) {
      if (netns === undefined || existing.has(`${host} ${netns}`)) continue;
      if (claims.in("netns", host, netns).length > 0) continue;
      // A namespace whose own spec is refused has its finding already.
      if (
        leaves.some((l) => l.spec === undefined && l.place.host.name === host && l.intent["name"] === netns)
      ) {
        continue;
      }
      const message = `nothing makes the network namespace ${netns} on ${host}: add a Namespace, or Namespace.existing if it is there already`;
      findings.push(leafFinding(leaf, ["netns"], message));
    }
  }
  for (const { leaf, claim } of claims.all("netns")) {
    const first = claims.in("netns", leaf.place.host.name, claim.netns)[0]?.leaf;
    if (first === undefined || first === leaf) continue;
    const message = `${first.path} makes the network namespace ${claim.netns} on ${leaf.place.host.name} already`;
    findings.push(leafFinding(leaf, ["name"], message));
  }
  return findings;
};
