import type { TreeFinding } from "../finding";
import type { Check, DefinedPlace } from "../program";

/**
 * Host names are unique: they are the first part of every id. Two names for one machine are allowed; each has its
 * own objects.
 */
export const hosts: Check = ({ places }) => {
  const seen = new Map<string, DefinedPlace>();
  const findings: TreeFinding[] = [];
  for (const { construct, place } of places) {
    if (place.netns !== undefined) continue;
    const other = seen.get(place.host.name);
    if (other === undefined) {
      seen.set(place.host.name, { construct, place });
      continue;
    }
    // A scope that only says that what is inside it lives there.
    if (other.place.host === place.host) continue;
    findings.push({
      construct: construct.node.path,
      path: ["name"],
      message: `the host name ${place.host.name} is that of ${other.construct.node.path} too; give one of them another name`,
    });
  }
  return findings;
};
