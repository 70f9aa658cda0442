import { found } from "../found";
import { canonicalAddress } from "../schemas";
import type { Facts } from "../step";
import { linksQuery, type IpLink } from "./iproute";

/** The addresses of a namespace's links. */
export interface Addresses {
  /** The link that has an address: the one that is asked about, if it does. */
  linkOf(address: string, asked?: string): string | undefined;
  /** A link's addresses with their prefix lengths; undefined where there is no such link. */
  of(link: string): readonly string[] | undefined;
}

/** Reads them of what {@link linksQuery} found. */
export function addressesIn(facts: Facts, netns: string | undefined): Addresses {
  const rows = (found(facts, linksQuery(netns)) ?? []) as readonly Partial<IpLink>[];
  const links = new Map<string, { readonly bare: string; readonly cidr: string }[]>();
  for (const { ifname, addr_info: infos = [] } of rows) {
    if (ifname === undefined) continue;
    const own = infos.flatMap(({ local, prefixlen }) =>
      local === undefined ? [] : [{ bare: canonicalAddress(local), cidr: `${local}/${prefixlen}` }],
    );
    links.set(ifname, own);
  }
  const has = (link: string, address: string) => links.get(link)?.some(({ bare }) => bare === address);
  return {
    linkOf: (address, asked) =>
      asked !== undefined && has(asked, address) === true
        ? asked
        : [...links.keys()].find((link) => has(link, address)),
    of: (link) => links.get(link)?.map(({ cidr }) => cidr),
  };
}

/** What a link has, in words: to be said after that it lacks an address. */
export function addressesOf(link: string, addresses: Addresses): string {
  const own = addresses.of(link);
  if (own === undefined) return `there is no link ${link}`;
  return `${link} has ${own.length === 0 ? "none" : own.join(", ")}`;
}
