import type { TreeFinding } from "../finding";
import { MAX_INTERFACE_NAME } from "../names";
import { describePlace } from "../place";
import type { Check, Held } from "../program";
import { leafFinding } from "../program";

/** An interface name is at most 15 bytes and made once in its namespace. */
export const interfaceNames: Check = ({ claims }) => {
  const findings: TreeFinding[] = [];
  for (const { leaf, claim } of claims.all("interface")) {
    const bytes = Buffer.byteLength(claim.name);
    if (bytes > MAX_INTERFACE_NAME) {
      const message = `the interface name ${claim.name} has ${bytes} bytes; Linux takes ${MAX_INTERFACE_NAME}`;
      findings.push(leafFinding(leaf, claim.path, message));
    }
    const inPlace = claims.in("interface", leaf.place.host.name, claim.netns);
    const first = inPlace.find((held) => held.claim.name === claim.name) as Held<"interface">;
    if (first.claim === claim) continue;
    const where = describePlace(leaf.place.host.name, claim.netns);
    const message = `${first.leaf.path} makes an interface ${claim.name} in ${where} already`;
    findings.push(leafFinding(leaf, claim.path, message));
  }
  return findings;
};
