import type { TreeFinding } from "../finding";
import { describePlace } from "../place";
import type { Check } from "../program";
import { beside, leafFinding } from "../program";

/** A route's link exists. Only where the program makes the whole namespace. */
export const routeDevices: Check = ({ claims }) => {
  const findings: TreeFinding[] = [];
  for (const { leaf, claim } of claims.all("route")) {
    const host = leaf.place.host.name;
    if (claim.dev === undefined || claim.dev === "lo" || !claims.isWhole(host, claim.netns)) continue;
    if (claims.interface(host, claim.netns, claim.dev) !== undefined) continue;
    const names = claims.in("interface", host, claim.netns).map((held) => held.claim.name);
    const where = describePlace(host, claim.netns);
    const message = `there is no link ${claim.dev} in ${where}: it has ${["lo", ...names].join(", ")}`;
    findings.push(leafFinding(leaf, beside(claim.path, "dev"), message));
  }
  return findings;
};
