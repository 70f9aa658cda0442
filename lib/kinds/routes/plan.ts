import { isDeepStrictEqual } from "node:util";
import { canonicalAddress, addressBytes, familyOf } from "../schemas";
import type { Step } from "../step";
import type { ObservedRoute } from "./observe";
import { gateways, OUR_PROTOCOL, routeKey, type Nexthop, type Route } from "./schema";

/** A router's address; of the other family it must be named (`via inet6`, RFC 5549). */
function viaWords(destination: string, via: string | undefined): string[] {
  if (via === undefined) return [];
  return familyOf(via) === familyOf(destination) ? ["via", via] : ["via", "inet6", via];
}

function hopWords(destination: string, hop: Nexthop): string[] {
  return [
    "nexthop",
    ...viaWords(destination, hop.via),
    ...(hop.dev === undefined ? [] : ["dev", hop.dev]),
    "weight",
    String(hop.weight),
    ...(hop.onLink === true ? ["onlink"] : []),
  ];
}

const word = (name: string, value: string | number | undefined) =>
  value === undefined ? [] : [name, String(value)];

/** What names a route to the kernel, and who made it. */
function keyWords(route: Route): string[] {
  return [
    ...(route.type === "unicast" ? [] : [route.type]),
    route.destination,
    ...word("table", route.table),
    ...(route.metric ? ["metric", String(route.metric)] : []),
    ...word("proto", route.protocol ?? OUR_PROTOCOL),
  ];
}

/** A route as ip-route(8) takes it. */
export function routeWords(route: Route): string[] {
  return [
    ...keyWords(route),
    ...viaWords(route.destination, route.via),
    ...word("dev", route.dev),
    ...(route.onLink === true ? ["onlink"] : []),
    ...word("src", route.source),
    ...word("scope", route.scope),
    ...word("mtu", route.mtu),
    ...word("advmss", route.advmss),
    ...(route.nexthops ?? []).flatMap((hop) => hopWords(route.destination, hop)),
  ];
}

/** Enough of a route to tell it from others of its key. */
const deletionWords = (route: Route) => [
  ...keyWords(route),
  ...viaWords(route.destination, route.via),
  ...word("dev", route.dev),
];

const leadsToRouter = (route: Route) => gateways(route).length > 0;

/** Whether an address is in the destination of a route: the way to it may go over that route. */
function covers({ destination }: Route, address: string): boolean {
  const [network = "", length = "0"] = destination.split("/");
  const [net, bytes] = [addressBytes(network), addressBytes(canonicalAddress(address))];
  if (net?.length !== bytes?.length || net === undefined || bytes === undefined) return false;
  const bits = Number(length);
  return net.every((byte, index) => {
    const mask = 0xff & (0xff << (8 - Math.min(8, Math.max(0, bits - 8 * index))));
    return (byte & mask) === ((bytes[index] ?? 0) & mask);
  });
}

/**
 * The steps from the routes that are there to those that are wanted. `ip route replace` changes a route of the
 * same key without a moment in which there is none; what is wanted no longer goes when the new is in place.
 * Routes onto a link come before those over a router that may be reached by them.
 */
export function planRoutes(
  current: readonly ObservedRoute[],
  desired: readonly Route[],
  netns?: string,
): readonly Step[] {
  const step = (...args: readonly string[]): Step => ({
    tool: "ip",
    ...(netns !== undefined && { netns }),
    args: ["route", ...args],
  });
  const there = new Map<string, ObservedRoute>();
  const extra: ObservedRoute[] = [];
  for (const route of current) {
    if (there.has(routeKey(route))) extra.push(route);
    else there.set(routeKey(route), route);
  }
  const wanted = new Set(desired.map(routeKey));
  const changed = desired.filter((route) => !isDeepStrictEqual(there.get(routeKey(route)), route));
  const obsolete = [...there.values()].filter((route) => !wanted.has(routeKey(route)));

  const routers = changed.filter(leadsToRouter);
  const links = changed.filter((route) => !leadsToRouter(route));
  const hops = routers.flatMap((route) => gateways(route).map(([, address]) => address));
  // A route makes the kernel refuse a new next hop that it leads to over a router, or takes in, or drops. One that
  // goes must go before, one that is replaced must be replaced before.
  const blocks = (route: ObservedRoute) =>
    (leadsToRouter(route) || route.type !== "unicast") && hops.some((address) => covers(route, address));
  const blocked = (route: Route) => {
    const now = there.get(routeKey(route));
    return now !== undefined && blocks(now);
  };
  const inTheWay = obsolete.filter(blocks);
  const later = obsolete.filter((route) => !inTheWay.includes(route));

  const remove = (routes: readonly ObservedRoute[]) =>
    routes.map((route) => step("del", ...deletionWords(route)));
  const replace = (routes: readonly Route[]) => routes.map((route) => step("replace", ...routeWords(route)));
  return [
    ...remove(extra),
    ...replace(links),
    ...remove(inTheWay),
    ...replace(routers.filter(blocked)),
    ...replace(routers.filter((route) => !blocked(route))),
    ...remove(later.filter(leadsToRouter)),
    ...remove(later.filter((route) => !leadsToRouter(route))),
  ];
}
