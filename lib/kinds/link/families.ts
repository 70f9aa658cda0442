import type { Family, SpecificProperty } from "./family";
import { geneve } from "./geneve";
import { gre, ip6gre } from "./gre";
import { iptunnel } from "./iptunnel";
import { bridge, physical, plain, veth, vlan } from "./plain";
import { linkKinds, type LinkKind } from "./schema";
import { vxlan } from "./vxlan";

/** Every family of links. */
export const families: readonly Family[] = [
  veth,
  bridge,
  plain,
  gre,
  ip6gre,
  iptunnel,
  geneve,
  vxlan,
  vlan,
  physical,
];

const byKind = new Map<string, Family>(
  families.flatMap((family) => family.kinds.map((kind) => [kind, family])),
);

/** The family of a kind. */
export function familyOfKind(kind: LinkKind): Family {
  const family = byKind.get(kind);
  if (family === undefined) throw new Error(`no family for links of kind ${kind}`);
  return family;
}

/** The kind that the kernel's `info_kind` says; `physical` for what has none, or one that we never make. */
export function kindOfInfo(info: string | undefined): LinkKind {
  return linkKinds.find((kind) => kind === info && kind !== "physical") ?? "physical";
}

/** The properties that a kind has beside those of every link. */
export function propertiesOf(kind: LinkKind): ReadonlySet<SpecificProperty> {
  return new Set(familyOfKind(kind).options.flatMap((option) => option.of));
}

const layer3: readonly LinkKind[] = ["gre", "ip6gre", "ipip", "sit"];

/** Whether a kind carries Ethernet frames: it has a MAC address and can be a port of a bridge. */
export function carriesFrames(kind: LinkKind): boolean {
  return !layer3.includes(kind);
}
