import { z } from "zod";
import { interfaceName, ip, mtu, prefix, safeName, u32, whole } from "../../lib/kinds/schemas";
import type { Input, IPlace } from "../../lib/synth";

/** One site: a router with LANs behind it and an address on the WAN. */
export interface GreSite {
  /** Unique among the sites. Tunnel addresses follow from the names of the two sites. */
  readonly name: string;
  /**
   * The host that is the site's router.
   * @default - that of `namespace`
   */
  readonly host?: IPlace;
  /**
   * The namespace that is the site's router.
   * @default - the host's initial one
   */
  readonly namespace?: IPlace;
  /** The interface that leads to the WAN, for `leakProtection`. */
  readonly wanInterface: string;
  /** The site's address on the WAN: one end of its tunnels. IPv6 makes them ip6gre. */
  readonly wanAddress: string;
  /**
   * MTU of the WAN path in bytes.
   * @default - that of the link that has `wanAddress`, where the program makes it; else 1500
   */
  readonly wanMtu?: number;
  /** The site's own networks: `["172.16.100.0/24"]`. No two sites' networks overlap. */
  readonly lans: readonly string[];
  /**
   * Name of the tunnel interface towards a peer, at most 15 bytes. One name is enough for a site with one peer;
   * with more it takes a function.
   * @default - `gre-<peer>`, shortened to 15 bytes with a hash where it is longer
   */
  readonly tunnelInterface?: string | ((peer: string) => string);
}

/** What one particular tunnel has different from the others. */
export interface GreSitePair {
  /** Names of the two sites, in any order. */
  readonly between: readonly [string, string];
  /**
   * Subnet of the tunnel's two addresses, a /30 or /31 (/126 or /127). The site whose name sorts first gets the
   * first address.
   * @default - a subnet of `tunnelPool`, chosen by a hash of the two names
   */
  readonly tunnelSubnet?: string;
  /**
   * Key of this tunnel.
   * @default - that of the construct
   */
  readonly key?: Input<number>;
}

/** Sites joined by GRE tunnels. */
export interface GreSiteToSiteProps {
  /** The sites, in any order: two or more. */
  readonly sites: readonly GreSite[];
  /**
   * `full-mesh`: a tunnel between any two sites. `{ hub }`: one from each site to the hub, which passes on what
   * goes from one spoke to another.
   * @default "full-mesh"
   */
  readonly topology?: "full-mesh" | { readonly hub: string };
  /**
   * Where tunnel addresses come from. Which subnet a pair of sites gets depends on their names alone, so that a
   * new site renumbers nobody; two pairs may hit on the same one, which is an error that tells what to do, and
   * rarer the larger the pool is.
   * @default "10.255.0.0/16"
   */
  readonly tunnelPool?: string;
  /**
   * Prefix length of a tunnel's subnet: 30 or 31 of an IPv4 pool (RFC 3021), 126 or 127 of an IPv6 one (RFC 6164).
   * @default - 30, or 127
   */
  readonly tunnelPrefix?: number;
  /**
   * GRE key of all tunnels, 0 to 4294967295, or a function of the two names (sorted). May be a secret. It tells
   * tunnels apart; it is no protection, as it travels in the clear.
   * @default - none
   */
  readonly key?: Input<number> | ((a: string, b: string) => Input<number> | undefined);
  /**
   * GRE checksums.
   * @default false
   */
  readonly checksum?: boolean;
  /**
   * Hop limit of the outer packets, 1 to 255.
   * @default 64
   */
  readonly ttl?: number;
  /**
   * MTU of every tunnel in bytes.
   * @default - what fits both ends: their smaller WAN MTU minus what GRE adds
   */
  readonly mtu?: number;
  /**
   * Lowers the MSS of TCP connections through the tunnels to what fits, so that they work where path MTU discovery
   * does not.
   * @default true
   */
  readonly clampMss?: boolean;
  /**
   * What becomes of packets from the sites' networks to anywhere but the tunnels. `"drop"`: they never leave by a
   * site's WAN interface. `"masquerade"`: they leave it under the site's WAN address. `false`: nothing is done,
   * and they leave it with their private source.
   * @default "drop"
   */
  readonly leakProtection?: "drop" | "masquerade" | false;
  /** Exceptions for particular tunnels. */
  readonly pairs?: readonly GreSitePair[];
}

/** What can be said of the props one by one; constructs and functions are taken out before. */
export const propsSchema = z.object({
  sites: z
    .array(
      z.object({
        name: safeName,
        wanInterface: interfaceName,
        wanAddress: ip,
        wanMtu: mtu.optional(),
        lans: z.array(prefix),
        tunnelInterface: interfaceName.optional(),
      }),
    )
    .min(2, "must be at least two sites"),
  topology: z
    .union([z.literal("full-mesh"), z.object({ hub: safeName })], {
      error: 'must be "full-mesh" or { hub: "<site>" }',
    })
    .optional(),
  tunnelPool: prefix.optional(),
  tunnelPrefix: whole(0, 128).optional(),
  key: u32.optional(),
  checksum: z.boolean().optional(),
  ttl: whole(1, 255).optional(),
  mtu: mtu.optional(),
  clampMss: z.boolean().optional(),
  leakProtection: z
    .literal(["drop", "masquerade", false], { error: 'must be "drop", "masquerade" or false' })
    .optional(),
  pairs: z
    .array(
      z.object({
        between: z.tuple([safeName, safeName]),
        tunnelSubnet: prefix.optional(),
        key: u32.optional(),
      }),
    )
    .optional(),
});
