import { contains, formatAddress, parseCidr } from "../../../lib/synth";
import type { TunnelPools } from "../tunnel-addresses";
import type { IspInABoxProps } from "./props";

/** Defaults of the inner ways: IPv4 as the original topology had it, IPv6 from a unique local prefix (RFC 4193). */
export const TRANSIT = {
  shaping: "172.16.1.0/30",
  uplink: "172.16.3.0/30",
  shaping6: "fd15:b000:0:1::/126",
  uplink6: "fd15:b000:0:3::/126",
} as const;

/** What one family needs: the pool of its tunnels, and both ends of each inner way. */
export interface Ways {
  readonly family: 4 | 6;
  /** The pool of the tunnels. */
  readonly pool: string;
  /** Across the shaping point: the end in the subscribers' namespace, the end in the other. */
  readonly shaping: Ends;
  /** From there to the uplink: the end in the namespace, the end in the machine's initial one. */
  readonly uplink: Ends;
}

/** The two ends of a subnet, with its prefix length. */
export interface Ends {
  readonly first: string;
  readonly second: string;
}

/** The pools as they are meant: one that is written as text is of the family that it is written in. */
export function poolsOf({ tunnelPool }: Pick<IspInABoxProps, "tunnelPool">): TunnelPools {
  if (typeof tunnelPool !== "string") return tunnelPool;
  return tunnelPool.includes(":") ? { ipv6: tunnelPool } : { ipv4: tunnelPool };
}

/** The inner ways of the families that the pools have. */
export function waysOf(props: Pick<IspInABoxProps, "tunnelPool" | "transit">): Ways[] {
  const { ipv4, ipv6 } = poolsOf(props);
  const subnets = { ...TRANSIT, ...props.transit };
  const ways = (family: 4 | 6, pool: string | undefined, shaping: string, uplink: string): Ways[] =>
    pool === undefined ? [] : [{ family, pool, shaping: ends(shaping), uplink: ends(uplink) }];
  return [
    ...ways(4, ipv4, subnets.shaping, subnets.uplink),
    ...ways(6, ipv6, subnets.shaping6, subnets.uplink6),
  ];
}

const UNIQUE_LOCAL = parseCidr("fc00::/7");

/** Whether a pool's addresses have to be translated to get anywhere: IPv4, and unique local IPv6. */
export function isTranslated({ family, pool }: Ways): boolean {
  const cidr = parseCidr(pool);
  return family === 4 || (cidr !== undefined && UNIQUE_LOCAL !== undefined && contains(UNIQUE_LOCAL, cidr));
}

/** An address without its prefix length. */
export const bare = (address: string): string => address.replace(/\/.*/, "");

function ends(subnet: string): Ends {
  const cidr = parseCidr(subnet);
  if (cidr === undefined) throw new Error(`${subnet} is no subnet`);
  const end = (offset: bigint) => `${formatAddress(cidr.family, cidr.address + offset)}/${cidr.prefix}`;
  return { first: end(1n), second: end(2n) };
}
