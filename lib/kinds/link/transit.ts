import type { Place } from "./end";
import type { PartialLink } from "./schema";

/**
 * A link whose outer packets travel in another namespace is made there, under a name that nobody else has, and then
 * sent to its own namespace under its own name. The kernel keeps for a tunnel the namespace that it was made in
 * (`tunnel->net` in net/ipv4/ip_tunnel.c, `t->net` in net/ipv6/ip6_gre.c).
 */

/** The namespace that a link is made in, when it is another than its own; undefined when it is not. */
export function bornIn({ netns, linkNetns }: PartialLink): { readonly netns?: string } | undefined {
  if (linkNetns === undefined || linkNetns === (netns ?? "")) return undefined;
  return linkNetns === "" ? {} : { netns: linkNetns };
}

/** Where a link is between being made and being sent; undefined for one that is made where it stays. */
export function transit(link: PartialLink): Place | undefined {
  const born = bornIn(link);
  return born && { ...born, name: `nl${hash(`${link.netns ?? ""}/${link.name ?? ""}`)}` };
}

/** 13 letters and digits of a text: 64-bit FNV-1a. Two links of one host are not to meet on their way. */
function hash(text: string): string {
  let value = 0xcbf29ce484222325n;
  for (const byte of Buffer.from(text)) {
    value = BigInt.asUintN(64, (value ^ BigInt(byte)) * 0x100000001b3n);
  }
  return value.toString(36).padStart(13, "0");
}
