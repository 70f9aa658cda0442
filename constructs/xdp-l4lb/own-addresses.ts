import type { IConstruct } from "constructs";
import type { z } from "zod";
import type { Claim } from "../../lib/kinds/kind";
import { canonicalAddress } from "../../lib/kinds/schemas";
import { KernelObject, placeOf, type Place } from "../../lib/synth";

/** By address, which of a program's own links in a place has it; and the address that its host is reached by. */
export function ownAddresses(root: IConstruct, place: Place): Map<string, string> {
  const own = new Map<string, string>();
  const { address } = place.host;
  if (typeof address === "string" && place.netns === undefined)
    own.set(canonicalAddress(address), `the address that ${place.host.name} is reached by`);
  for (const construct of root.node.findAll()) {
    if (!KernelObject.isKernelObject(construct)) continue;
    const where = construct.kernelObject.place ?? (construct.node.scope && placeOf(construct.node.scope));
    if (where === undefined || where.host.name !== place.host.name) continue;
    for (const claim of claimsOf(construct, where)) {
      if (claim.claim !== "address" || claim.netns !== place.netns) continue;
      const [plain = ""] = claim.address.split("/");
      own.set(canonicalAddress(plain), `an address of ${claim.interface} (${construct.node.path})`);
    }
  }
  return own;
}

/** What a leaf says that it takes up; nothing while it is not right or not known as a whole. */
function claimsOf({ kernelObject: { kind, intent } }: KernelObject, { netns }: Place): readonly Claim[] {
  if (kind.claims === undefined) return [];
  const wanted = typeof intent === "function" ? intent() : intent;
  const schema = kind.schema as z.ZodObject;
  const known = Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== undefined));
  const placed = "netns" in schema.shape && netns !== undefined ? { netns, ...known } : known;
  const parsed = schema.safeParse(placed);
  return parsed.success ? kind.claims(parsed.data) : [];
}
