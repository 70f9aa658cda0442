import type { RoutesSpec } from "./schema";

/** How the kernel refuses a source address that is not the host's, in IPv4 and IPv6. */
const FOREIGN_SOURCE = /Invalid prefsrc address|Invalid source address/;

/** The sources that a set names, with their links: one of them is meant. */
function sourcesOf({ routes }: RoutesSpec): string {
  const told = routes.flatMap(({ source, dev }) =>
    source === undefined ? [] : [dev === undefined ? source : `${source} over ${dev}`],
  );
  const all = [...new Set(told)];
  return all.length > 1 ? `, and one of these is not: ${all.join(", ")}` : `: ${all.join("")} is not`;
}

/** What the kernel or iproute2 says of a route, and what it means for who wrote it. */
const MEANINGS: readonly (readonly [RegExp, string])[] = [
  [
    /Nexthop has invalid gateway|No route to host/,
    "A router (`via`) must be in a subnet of a link that is up, over `dev` if that is given: give the link an address, or set onLink with dev",
  ],
  [
    /Network is unreachable|Gateway can not be a local address/,
    "No link that is up has a subnet with the router (`via`) in it, or the address is the host's own",
  ],
  [
    /Egress device can not be loopback/,
    "Another route of the same table leads the router (`via`) to lo: name the link with `dev`",
  ],
  [
    /Cannot find device|Device for nexthop not|No such device/,
    "The link named by `dev` is not there: make it first, and let the routes depend on it",
  ],
  [
    /Device for nexthop is not up|Network is down|Nexthop device is not up/,
    "The link named by `dev` is down: a route needs it up",
  ],
  [FOREIGN_SOURCE, "`source` must be an address of the host itself, in this namespace"],
  [
    /Nexthop has invalid scope|Invalid scope/,
    "`scope` must be wider than that of the way to the router: leave it out",
  ],
  [
    /IPv6 is disabled|Operation not supported/,
    "This kernel or namespace has no such routes: IPv6 may be switched off (net/ipv6/conf/all/disable_ipv6)",
  ],
];

/** Turns what the kernel said of a route into what the user can do. */
export function explainRoute(error: string, spec: RoutesSpec): string | undefined {
  const meaning = MEANINGS.find(([words]) => words.test(error))?.[1];
  if (meaning === undefined) return undefined;
  const sources = FOREIGN_SOURCE.test(error) ? sourcesOf(spec) : "";
  return `${error.replace(/\.$/, "")}. ${meaning}${sources} (set of routes ${spec.name}).`;
}
