import { isLinkLocal, parseCidr } from "../cidr";
import type { TreeFinding } from "../finding";
import { describePlace } from "../place";
import type { Check } from "../program";
import { beside, leafFinding } from "../program";
import { connectedTo, deviceRoutesTo } from "../underlay";

/**
 * A next hop is in the subnet of one of the namespace's links, or a route onto a link covers it. Only where the
 * program makes the whole namespace; elsewhere links that it does not know may carry it.
 */
export const nextHops: Check = ({ claims }) => {
  const findings: TreeFinding[] = [];
  for (const { leaf, claim } of claims.all("route")) {
    const host = leaf.place.host.name;
    const via = claim.via === undefined ? undefined : parseCidr(claim.via);
    if (claim.via === undefined || via === undefined || isLinkLocal(via)) continue;
    if (!claims.isWhole(host, claim.netns)) continue;
    const onDevice = (dev: string | undefined) => claim.dev === undefined || dev === claim.dev;
    const connected = connectedTo(claims, host, claim.netns, claim.via);
    if (connected.some((held) => onDevice(held.claim.interface))) continue;
    const routes = deviceRoutesTo(claims, host, claim);
    if (routes.some((held) => onDevice(held.claim.dev))) continue;
    const where = describePlace(host, claim.netns);
    const on = claim.dev === undefined ? "" : ` on ${claim.dev}`;
    const subnets = claims
      .in("address", host, claim.netns)
      .map((a) => `${a.claim.address} ${a.claim.interface}`);
    const have = subnets.length === 0 ? "it has no addresses" : `it has ${subnets.join(", ")}`;
    const message = `the next hop ${claim.via}${on} is in no subnet of ${where}: ${have}`;
    findings.push(leafFinding(leaf, beside(claim.path, "via"), message));
  }
  return findings;
};
