import { parseCidr } from "../cidr";
import type { TreeFinding } from "../finding";
import type { Check, Held } from "../program";
import { beside, leafFinding } from "../program";
import { mtuOf, underlayOf } from "../underlay";

/** Smallest MTU that IPv6 works on: RFC 8200 section 5. */
const IPV6_MIN_MTU = 1280;

/**
 * A packet of a tunnel's MTU still fits the link below it once it is encapsulated, all the way down, and a link
 * with IPv6 addresses carries 1280 bytes.
 */
export const mtuBudget: Check = ({ claims }) => {
  const findings: TreeFinding[] = [];
  const report = (held: Held<"interface">, message: string) =>
    findings.push(leafFinding(held.leaf, beside(held.claim.path, "mtu"), message));

  for (const { leaf, claim } of claims.all("tunnel")) {
    const host = leaf.place.host.name;
    const self = leaf.claims.find((c) => c.claim === "interface" && c.name === claim.name);
    const below = underlayOf(claims, host, claim)?.claim;
    const room = below === undefined ? undefined : mtuOf(claims, host, below.netns, below.name);
    const mtu = claim.mtu;
    if (self?.claim !== "interface" || below === undefined || room === undefined || mtu === undefined)
      continue;
    const most = room - claim.overhead;
    if (mtu <= most) continue;
    const message =
      `${mtu} bytes do not fit through ${claim.name}: ${claim.protocol} adds ${claim.overhead} ` +
      `and ${below.name} below it carries ${room}; at most ${most}`;
    report({ leaf, claim: self }, message);
  }

  for (const held of claims.all("interface")) {
    const host = held.leaf.place.host.name;
    const v6 = claims
      .in("address", host, held.claim.netns)
      .find(({ claim }) => claim.interface === held.claim.name && parseCidr(claim.address)?.family === 6);
    if (v6 === undefined) continue;
    const mtu = mtuOf(claims, host, held.claim.netns, held.claim.name);
    if (mtu === undefined || mtu >= IPV6_MIN_MTU) continue;
    const message =
      `IPv6 needs ${IPV6_MIN_MTU} bytes, and ${held.claim.name} with ${v6.claim.address} carries ${mtu}; ` +
      `raise the MTU of what is below it or take the address away`;
    report(held, message);
  }
  return findings;
};
