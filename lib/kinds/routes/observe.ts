import { defined } from "../found";
import { canonicalAddress, canonicalCidr } from "../schemas";
import {
  canonicalRoute,
  OUR_PROTOCOL,
  ROUTE_TYPES,
  routeKey,
  SCOPES,
  sortRoutes,
  TABLES,
  usualScope,
  type Route,
} from "./schema";

/** A route as it is found; what has no word of ours is told of, and differs from anything wanted. */
export interface ObservedRoute extends Route {
  readonly unrecognised?: readonly string[];
}

interface HopRow {
  readonly gateway?: string;
  readonly via?: { readonly host?: string };
  readonly dev?: string;
  readonly weight?: number;
  readonly flags?: readonly string[];
}

/** One member of what `ip -j -N -d route show table all` prints (print_route in ip/iproute.c). */
export interface RouteRow extends HopRow {
  readonly type?: string;
  readonly dst?: string;
  readonly tos?: string;
  readonly table?: string;
  readonly protocol?: string;
  readonly scope?: string;
  readonly prefsrc?: string;
  readonly metric?: number;
  readonly metrics?: readonly Readonly<Record<string, unknown>>[];
  readonly nexthops?: readonly HopRow[];
  readonly pref?: string;
}

/** Numbers of rtnetlink.h and their names, whichever the host prints. */
const TYPES = [
  "unspec",
  "unicast",
  "local",
  "broadcast",
  "anycast",
  "multicast",
  "blackhole",
  "unreachable",
  "prohibit",
  "throw",
  "nat",
];
const PROTOCOLS: Readonly<Record<string, number>> = {
  unspec: 0,
  redirect: 1,
  kernel: 2,
  boot: 3,
  static: 4,
  ra: 9,
  dhcp: 16,
};

const numberOf = (names: Readonly<Record<string, number>>, printed: string | undefined) =>
  printed === undefined ? undefined : /^\d+$/.test(printed) ? Number(printed) : names[printed];

/** Keys of a row that say what we say, or what is no part of a route's configuration. */
const KNOWN = new Set(
  "type dst gateway via dev table protocol scope prefsrc metric flags metrics nexthops pref weight age cache expires nh_info".split(
    " ",
  ),
);
/** Flags that tell of a link's state or of hardware, not of what was asked for. */
const STATE_FLAGS = new Set(
  "dead linkdown pervasive offload offload_failed trap unresolved rt_offload rt_trap rt_offload_failed".split(
    " ",
  ),
);

const gatewayOf = (hop: HopRow) => {
  const address = hop.gateway ?? hop.via?.host;
  return address === undefined ? undefined : canonicalAddress(address);
};
const onLinkOf = (hop: HopRow) => (hop.flags?.includes("onlink") === true ? true : undefined);

function destinationOf(row: RouteRow): string {
  const ipv6 =
    row.pref !== undefined ||
    [row.dst, row.gateway, row.prefsrc].some((address) => address?.includes(":") === true);
  const dst = row.dst ?? "default";
  if (dst === "default") return ipv6 ? "::/0" : "0.0.0.0/0";
  return canonicalCidr(dst.includes("/") ? dst : `${dst}/${dst.includes(":") ? 128 : 32}`);
}

function strangeIn(row: RouteRow, metrics: Readonly<Record<string, unknown>>): string[] {
  const keys = Object.entries(row).filter(([key]) => !KNOWN.has(key));
  const others = Object.entries(metrics).filter(([key]) => key !== "mtu" && key !== "advmss");
  const flags = [row, ...(row.nexthops ?? [])]
    .flatMap((hop) => hop.flags ?? [])
    .filter((flag) => flag !== "onlink" && !STATE_FLAGS.has(flag));
  return [
    ...[...keys, ...others].map(([key, value]) => (value === null ? key : `${key} ${JSON.stringify(value)}`)),
    ...flags,
    ...(row.pref !== undefined && row.pref !== "medium" ? [`pref ${row.pref}`] : []),
  ];
}

/** A row in our words; undefined for one that belongs to a type of service, which has no word of ours. */
export function parseRow(row: RouteRow): ObservedRoute | undefined {
  if (row.tos !== undefined) return undefined;
  const type = (/^\d+$/.test(row.type ?? "") ? TYPES[Number(row.type)] : row.type) ?? "unicast";
  const metrics = Object.assign({}, ...(row.metrics ?? [])) as Readonly<Record<string, unknown>>;
  const leads = type === "unicast" || type === "local";
  const scope = numberOf(SCOPES, row.scope);
  const base = {
    destination: destinationOf(row),
    // A type that no spec can hold is shown all the same.
    type: type as Route["type"],
    via: leads ? gatewayOf(row) : undefined,
    // The kernel shows `lo` for an IPv6 route that leads nowhere.
    dev: leads ? row.dev : undefined,
    nexthops: row.nexthops?.map((hop) => ({
      via: gatewayOf(hop),
      dev: hop.dev,
      weight: hop.weight ?? 1,
      onLink: onLinkOf(hop),
    })),
    source: row.prefsrc === undefined ? undefined : canonicalAddress(row.prefsrc),
    metric: row.metric,
    table: numberOf(TABLES, row.table) ?? TABLES.main,
    mtu: metrics.mtu as number | undefined,
    advmss: metrics.advmss as number | undefined,
    onLink: onLinkOf(row),
  };
  const named = Object.entries(SCOPES).find(([, value]) => value === scope)?.[0] ?? row.scope;
  const strange = strangeIn(row, metrics);
  return {
    ...canonicalRoute({
      ...base,
      scope: (named === usualScope(base) ? undefined : named) as Route["scope"],
      // Without a number it is 0 (unspec), which is not ours either.
      protocol: numberOf(PROTOCOLS, row.protocol) ?? 0,
    }),
    ...(strange.length > 0 && { unrecognised: strange }),
  };
}

/** Leaves out of what was found the links that the program leaves to the kernel. */
function asAskedFor(route: ObservedRoute, asked: Route): ObservedRoute {
  const freeHops = new Set(
    (asked.nexthops ?? []).filter((hop) => hop.dev === undefined).map((hop) => hop.via),
  );
  const kernelChose = asked.via !== undefined && asked.dev === undefined && route.via !== undefined;
  const nexthops = route.nexthops?.map((hop) => (freeHops.has(hop.via) ? { ...hop, dev: undefined } : hop));
  const { unrecognised, ...rest } = route;
  return {
    ...canonicalRoute({ ...rest, ...(kernelChose && { dev: undefined }), nexthops }),
    ...(unrecognised && { unrecognised }),
  };
}

/** Protocols of routes that a person makes: `ip route add` (boot), static, and ours. */
const BY_HAND = new Set<number>([3, 4, OUR_PROTOCOL]);

/**
 * The routes of the sets that are there; several of one key where others added more (`ip route append`). Without
 * a set (an import) all that were made by hand.
 */
export function observeRoutes(
  rows: readonly RouteRow[],
  sets: readonly (readonly Route[] | undefined)[],
): ObservedRoute[] {
  const there = rows.map(parseRow).filter((route) => route !== undefined);
  const [first] = sets;
  if (first === undefined) {
    return sortRoutes(
      there.filter(
        ({ protocol = OUR_PROTOCOL, type }) =>
          BY_HAND.has(protocol) && (ROUTE_TYPES as readonly string[]).includes(type),
      ),
    );
  }
  const asked = new Map<string, Route>();
  for (const one of sets.flatMap((set) => set ?? [])) {
    if (!asked.has(routeKey(one))) asked.set(routeKey(one), one);
  }
  return sortRoutes(
    there.flatMap((route) => {
      const wanted = asked.get(routeKey(route));
      return wanted === undefined ? [] : [defined(asAskedFor(route, wanted))];
    }),
  );
}
