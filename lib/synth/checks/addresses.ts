import type { Cidr } from "../cidr";
import { isHostPrefix, isLinkLocal, overlaps, parseCidr } from "../cidr";
import type { TreeFinding } from "../finding";
import { describePlace } from "../place";
import type { Check, Held } from "../program";
import { leafFinding } from "../program";

type Address = Held<"address"> & { readonly cidr: Cidr };

/**
 * In one namespace an address is given once, and no two links have overlapping subnets: the kernel would send to
 * whichever came first. A single address (/32, /128) may lie in another link's subnet.
 */
export const addresses: Check = ({ claims }) => {
  const findings: TreeFinding[] = [];
  const byPlace = new Map<string, Address[]>();
  for (const held of claims.all("address")) {
    const cidr = parseCidr(held.claim.address);
    if (cidr === undefined || isLinkLocal(cidr)) continue;
    const key = JSON.stringify([held.leaf.place.host.name, held.claim.netns ?? null]);
    const earlier = byPlace.get(key) ?? [];
    const message = clash(held, cidr, earlier);
    if (message !== undefined) findings.push(leafFinding(held.leaf, held.claim.path, message));
    byPlace.set(key, [...earlier, { ...held, cidr }]);
  }
  return findings;
};

function clash(
  { leaf, claim }: Held<"address">,
  cidr: Cidr,
  earlier: readonly Address[],
): string | undefined {
  const where = describePlace(leaf.place.host.name, claim.netns);
  const same = earlier.find((a) => a.cidr.family === cidr.family && a.cidr.address === cidr.address);
  if (same !== undefined) {
    return `${claim.address} is on ${same.claim.interface} of ${where} already (${same.leaf.path})`;
  }
  const subnet = earlier.find(
    (a) =>
      a.claim.interface !== claim.interface &&
      !isHostPrefix(a.cidr) &&
      !isHostPrefix(cidr) &&
      overlaps(a.cidr, cidr),
  );
  if (subnet === undefined) return undefined;
  const other = `${subnet.claim.address} on ${subnet.claim.interface} (${subnet.leaf.path})`;
  return `the subnet of ${claim.address} on ${claim.interface} overlaps that of ${other} in ${where}`;
}
