import { contains, isHostPrefix, parseCidr } from "./cidr";
import type { Claims, ClaimOf, Held } from "./program";

/** MTU of a link that nobody set one for: ETH_DATA_LEN of `linux/if_ether.h`. */
export const DEFAULT_MTU = 1500;

const isMain = (table: number | string | undefined) =>
  table === undefined || table === 254 || table === "254" || table === "main";

/** The link that a tunnel's outer packets leave by, as far as the program tells. */
export function underlayOf(
  claims: Claims,
  host: string,
  tunnel: ClaimOf<"tunnel">,
): Held<"interface"> | undefined {
  if (tunnel.link !== undefined) return claims.interface(host, tunnel.netns, tunnel.link);
  const name =
    (tunnel.remote === undefined
      ? undefined
      : egress(claims, host, tunnel.netns, tunnel.remote, tunnel.name)) ??
    (tunnel.local === undefined
      ? undefined
      : holderOf(claims, host, tunnel.netns, tunnel.local)?.claim.interface);
  if (name === undefined || name === tunnel.name) return undefined;
  return claims.interface(host, tunnel.netns, name);
}

/** The other end of a tunnel, where the program makes it and no other answers to the same description. */
export function otherEnds(claims: Claims, tunnel: ClaimOf<"tunnel">): readonly Held<"tunnel">[] {
  if (tunnel.local === undefined || tunnel.remote === undefined) return [];
  const ends = claims
    .tunnelsBetween(tunnel.protocol, tunnel.remote, tunnel.local)
    .filter(({ claim }) => claim.key === tunnel.key);
  return ends.length === 1 ? ends : [];
}

/** The interface that has an address. */
export function holderOf(
  claims: Claims,
  host: string,
  netns: string | undefined,
  address: string,
): Held<"address"> | undefined {
  const wanted = parseCidr(address);
  if (wanted === undefined) return undefined;
  return claims.in("address", host, netns).find(({ claim }) => {
    const held = parseCidr(claim.address);
    return held?.family === wanted.family && held.address === wanted.address;
  });
}

/** The links whose subnet an address is in, narrowest first. */
export function connectedTo(
  claims: Claims,
  host: string,
  netns: string | undefined,
  address: string,
): readonly Held<"address">[] {
  const wanted = parseCidr(address);
  if (wanted === undefined) return [];
  const prefix = (held: Held<"address">) => parseCidr(held.claim.address)?.prefix ?? 0;
  return claims
    .in("address", host, netns)
    .filter(({ claim }) => {
      const subnet = parseCidr(claim.address);
      return subnet !== undefined && !isHostPrefix(subnet) && contains(subnet, wanted);
    })
    .sort((a, b) => prefix(b) - prefix(a));
}

/**
 * The routes that go straight onto a link and may carry another's next hop: the kernel looks for the way to it in that
 * route's own table, then as for any packet, which is the main table (fib_check_nh_v4_gw in net/ipv4/fib_semantics.c).
 */
export function deviceRoutesTo(
  claims: Claims,
  host: string,
  { netns, via, table }: Pick<ClaimOf<"route">, "netns" | "via" | "table">,
): readonly Held<"route">[] {
  const wanted = via === undefined ? undefined : parseCidr(via);
  if (wanted === undefined) return [];
  return claims.in("route", host, netns).filter(({ claim }) => {
    const destination = routeDestination(claim.destination, wanted.family);
    return (
      claim.via === undefined &&
      claim.dev !== undefined &&
      (isMain(claim.table) || claim.table === table) &&
      destination !== undefined &&
      contains(destination, wanted)
    );
  });
}

/** A route's destination as a subnet; `default` takes the family it is asked about. */
export function routeDestination(destination: string, family: 4 | 6) {
  const text = destination === "default" ? (family === 4 ? "0.0.0.0/0" : "::/0") : destination;
  return parseCidr(text);
}

/**
 * MTU of an interface as far as the program tells: its own, else what its kind gets by itself. Undefined for an
 * interface that is not ours or that was there before (a physical one may be set to anything).
 */
export function mtuOf(
  claims: Claims,
  host: string,
  netns: string | undefined,
  name: string,
  seen: ReadonlySet<string> = new Set(),
): number | undefined {
  const held = claims.interface(host, netns, name);
  const key = `${netns ?? ""}/${name}`;
  if (held === undefined || seen.has(key)) return undefined;
  if (held.claim.mtu !== undefined) return held.claim.mtu;
  if (held.claim.kind === "physical") return undefined;
  const next = new Set([...seen, key]);
  const tunnel = held.leaf.claims.find(
    (c): c is ClaimOf<"tunnel"> => c.claim === "tunnel" && c.name === name,
  );
  if (tunnel !== undefined) {
    const below = underlayOf(claims, host, tunnel);
    if (below === undefined) return undefined;
    const mtu = mtuOf(claims, host, below.claim.netns, below.claim.name, next);
    return mtu === undefined ? undefined : mtu - tunnel.overhead;
  }
  // A bridge without an MTU of its own takes the smallest of its ports'.
  const ports = claims.in("port", host, netns).filter(({ claim }) => claim.master === name);
  const mtus = ports.map(({ claim }) => mtuOf(claims, host, netns, claim.name, next));
  return mtus.reduce<number | undefined>(
    (least, mtu) => (least === undefined || mtu === undefined ? undefined : Math.min(least, mtu)),
    DEFAULT_MTU,
  );
}

/** The interface that a packet leaves by: the narrowest connected subnet or route of the main table. */
function egress(
  claims: Claims,
  host: string,
  netns: string | undefined,
  remote: string,
  except: string,
): string | undefined {
  const target = parseCidr(remote);
  if (target === undefined) return undefined;
  let best: { prefix: number; dev: string } | undefined;
  const offer = (prefix: number | undefined, dev: string | undefined) => {
    if (prefix === undefined || dev === undefined || dev === except) return;
    if (best === undefined || prefix > best.prefix) best = { prefix, dev };
  };
  for (const { claim } of connectedTo(claims, host, netns, remote)) {
    offer(parseCidr(claim.address)?.prefix, claim.interface);
  }
  for (const { claim } of claims.in("route", host, netns)) {
    const destination = routeDestination(claim.destination, target.family);
    if (destination === undefined || !contains(destination, target)) continue;
    if (!isMain(claim.table)) continue;
    const gateway = claim.via === undefined ? undefined : connectedTo(claims, host, netns, claim.via)[0];
    offer(destination.prefix, claim.dev ?? gateway?.claim.interface);
  }
  return best?.dev;
}
