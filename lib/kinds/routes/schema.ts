import { z } from "zod";
import { defined } from "../found";
import {
  canonicalCidr,
  familyOf,
  interfaceName,
  ip,
  netnsName,
  prefix,
  safeName,
  text,
  whole,
} from "../schemas";

/**
 * Who made a route or a rule, for whoever looks at the host (`proto 76`, as in the alias of our links): a number
 * of 1 to 255 that rtnetlink.h, iproute2's rt_protos and the routing daemons we know of leave alone.
 */
export const OUR_PROTOCOL = 76;

/** The kernel's own tables (rtnetlink.h). Names of /etc/iproute2/rt_tables are the host's and mean nothing here. */
export const TABLES = { default: 253, main: 254, local: 255 } as const;

/** Types of a route that mean something in a table of ours (ip-route(8)). */
export const ROUTE_TYPES = ["unicast", "local", "blackhole", "unreachable", "prohibit", "throw"] as const;

/** Scopes of an IPv4 route by name (rtnetlink.h); IPv6 has none. */
export const SCOPES = { global: 0, site: 200, link: 253, host: 254, nowhere: 255 } as const;

/** What the kernel gives an IPv6 route without a metric: IP6_RT_PRIO_USER. */
const IPV6_METRIC = 1024;

const tableText = "must be a table number from 1 to 4294967295, or main, local or default";

/** A routing table: a number, or one of the kernel's own names on the way in. */
export const table = z
  .union([whole(1, 0xffff_ffff), z.enum(["main", "local", "default"])], { error: tableText })
  .overwrite((value) => (typeof value === "string" ? TABLES[value] : value)) as unknown as z.ZodType<
  number,
  number | keyof typeof TABLES
>;

const destination = text(
  (value) => (value === "default" ? undefined : prefix.safeParse(value).error?.issues[0]?.message),
  (value) => (value === "default" ? value : canonicalCidr(value)),
);

const nexthop = z
  .strictObject({
    via: ip.optional().describe("Address of the next router. Default: straight onto `dev`."),
    dev: interfaceName.optional().describe("Link to leave by. Default: the one whose subnet `via` is in."),
    weight: whole(1, 256).default(1).describe("Its share of the flows among the next hops, 1 to 256."),
    onLink: z
      .boolean()
      .optional()
      .describe("Takes `via` for a neighbour on `dev` though no subnet of it holds the address."),
  })
  .superRefine((hop, context) => {
    for (const message of hopProblems(hop)) context.addIssue({ code: "custom", message });
  })
  .overwrite((hop) => defined({ ...hop, onLink: hop.onLink === true ? true : undefined }));

/** One of several ways of a route. */
export type Nexthop = z.output<typeof nexthop>;

const route = z
  .strictObject({
    destination: destination.describe(
      "Network that is reached by it, such as 172.16.200.0/24 or 2001:db8::/32, or `default`, which is 0.0.0.0/0, " +
        "or ::/0 where `via`, `source` or a next hop is IPv6.",
    ),
    type: z
      .enum(ROUTE_TYPES, { error: `must be one of ${ROUTE_TYPES.join(", ")}` })
      .default("unicast")
      .describe(
        "What becomes of a packet: unicast sends it on, local takes it in, blackhole drops it without a word, " +
          "unreachable and prohibit answer with ICMP, throw goes on with the next rule.",
      ),
    via: ip
      .optional()
      .describe("Address of the next router; an IPv6 one may carry an IPv4 route (RFC 5549)."),
    dev: interfaceName
      .optional()
      .describe(
        "Link to leave by. Default: the one whose subnet `via` is in; it is then not looked at. Name it in a table " +
          "other than main: the kernel asks the route's own table first for the way to `via`.",
      ),
    nexthops: z
      .array(nexthop, { error: "must be a list of next hops" })
      .min(2, "must hold at least two next hops: one alone is `via` and `dev`")
      .optional()
      .describe("Several ways, used side by side by flow (multipath), instead of `via` and `dev`."),
    source: ip
      .optional()
      .describe("Source address that the host's own packets prefer (`src`). Default: the kernel chooses."),
    metric: whole(0, 0xffff_ffff)
      .optional()
      .describe("The lowest of several routes to one destination wins. Default: 0 for IPv4, 1024 for IPv6."),
    table: table
      .default(TABLES.main)
      .describe("Routing table: a number, or main (254), local (255), default (253)."),
    scope: z
      .enum(["global", "site", "link", "host"], { error: "must be one of global, site, link, host" })
      .optional()
      .describe("IPv4 only. Default: link without a next router, host for type local, else global."),
    mtu: whole(68, 65535)
      .optional()
      .describe("Largest packet in bytes that is sent on it, 68 to 65535. Default: the link's MTU."),
    advmss: whole(1, 65535)
      .optional()
      .describe("TCP segment size in bytes that is offered to the other end. Default: from the MTU."),
    onLink: z
      .boolean()
      .optional()
      .describe("Takes `via` for a neighbour on `dev` though no subnet of it holds the address."),
    protocol: whole(0, 255)
      .optional()
      .describe(`Number of who made it (rt_protos). Default: ours, ${OUR_PROTOCOL}; leave it so.`),
  })
  .superRefine((value, context) => {
    for (const { path, message } of routeProblems(value)) {
      context.addIssue({ code: "custom", path: [...path], message });
    }
  })
  .overwrite(canonicalRoute);

/** One route, in its canonical form: the family's metric filled in, what goes without saying left out. */
export type Route = z.output<typeof route>;

/** What sets one route of a table apart from another: routes that are equal in it replace each other. */
export function routeKey(route: Route): string {
  return `${route.table} ${route.destination} ${route.metric ?? 0}`;
}

/** 4 or 6: of the destination, or for a `default` of whatever address it has. */
export function routeFamily({
  destination,
  via,
  source,
  nexthops,
}: Pick<Route, "destination" | "via" | "source" | "nexthops">): 4 | 6 {
  if (destination !== "default") return familyOf(destination) ?? 4;
  const telling = [via, source, ...(nexthops ?? []).map((hop) => hop.via)].filter(
    (address) => address !== undefined,
  );
  return telling.some((address) => familyOf(address) === 6) ? 6 : 4;
}

/** The scope that iproute2 gives a route that names none (iproute_modify in ip/iproute.c). */
export function usualScope(
  route: Pick<Route, "destination" | "type" | "via" | "nexthops">,
): keyof typeof SCOPES {
  if (familyOf(route.destination) === 6) return "global";
  if (route.type === "local") return "host";
  return route.type === "unicast" && route.via === undefined && route.nexthops === undefined
    ? "link"
    : "global";
}

/** Next hops in an order of their own: theirs has no meaning. */
const byText = <T>(items: readonly T[]): T[] =>
  items
    .map((item) => [JSON.stringify(item), item] as const)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([, item]) => item);

/** The route as `observe` gives it. Idempotent, and harmless for a route that has been found wrong. */
export function canonicalRoute(given: Route): Route {
  const family = routeFamily(given);
  const named = {
    ...given,
    destination: given.destination === "default" ? (family === 6 ? "::/0" : "0.0.0.0/0") : given.destination,
  };
  const hops = given.nexthops?.map(({ via, dev, weight, onLink }) => defined({ via, dev, weight, onLink }));
  const metric = family === 6 && !given.metric ? IPV6_METRIC : (given.metric ?? 0);
  return defined({
    destination: named.destination,
    type: given.type,
    via: given.via,
    dev: given.dev,
    nexthops: hops && byText(hops),
    source: given.source,
    metric,
    table: given.table,
    scope: given.scope === usualScope(named) ? undefined : given.scope,
    mtu: given.mtu,
    advmss: given.advmss,
    onLink: given.onLink === true ? true : undefined,
    protocol: given.protocol === OUR_PROTOCOL ? undefined : given.protocol,
  });
}

/** Routes sorted by table, destination and metric: their order has no meaning. */
export function sortRoutes<T extends Route>(routes: readonly T[]): T[] {
  return [...routes].sort(
    (a, b) =>
      a.table - b.table ||
      (a.destination < b.destination ? -1 : a.destination > b.destination ? 1 : 0) ||
      (a.metric ?? 0) - (b.metric ?? 0),
  );
}

interface Problem {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

function* hopProblems({ via, dev, onLink }: Nexthop): Generator<string> {
  if (via === undefined && dev === undefined) yield "needs `via` or `dev`";
  if (onLink === true && (via === undefined || dev === undefined)) yield "onLink needs both `via` and `dev`";
}

function* routeProblems(route: Route): Generator<Problem> {
  const { type, via, dev, nexthops, source, scope, onLink } = route;
  const ways = [via, dev, nexthops].filter((way) => way !== undefined).length;
  if (type === "unicast" && ways === 0) {
    yield {
      path: [],
      message: "leads nowhere: give it `via`, `dev` or `nexthops`, or a type such as blackhole",
    };
  }
  if (type === "local" && dev === undefined)
    yield { path: ["dev"], message: "a local route needs a link: `lo`, mostly" };
  if (
    type !== "unicast" &&
    (via !== undefined || nexthops !== undefined || (dev !== undefined && type !== "local"))
  ) {
    yield {
      path: ["type"],
      message: `a route of type ${type} leads to no router and no link: leave via, dev and nexthops out`,
    };
  }
  if (nexthops !== undefined && (via !== undefined || dev !== undefined)) {
    yield { path: ["nexthops"], message: "stands for `via` and `dev`: give either" };
  }
  if (onLink === true && nexthops === undefined)
    yield* problemsAt([], hopProblems({ via, dev, weight: 1, onLink }));
  if (onLink === true && nexthops !== undefined) {
    yield { path: ["onLink"], message: "belongs to each of the next hops" };
  }
  const family = routeFamily(route);
  for (const [path, address] of gateways(route)) {
    if (family === 6 && familyOf(address) === 4) {
      yield { path, message: `${address} is IPv4, and the route to ${route.destination} is IPv6` };
    }
  }
  if (source !== undefined && familyOf(source) !== family) {
    yield {
      path: ["source"],
      message: `${source} is not of the family of the route to ${route.destination}`,
    };
  }
  if (family === 6 && scope !== undefined && scope !== "global") {
    yield { path: ["scope"], message: "only IPv4 routes have a scope" };
  }
}

function* problemsAt(path: Problem["path"], messages: Iterable<string>): Generator<Problem> {
  for (const message of messages) yield { path, message };
}

/** The addresses of routers of a route, each with the property that holds it. */
export function gateways({
  via,
  nexthops,
}: Pick<Route, "via" | "nexthops">): readonly (readonly [Problem["path"], string])[] {
  const hops = (nexthops ?? []).flatMap((hop, index) =>
    hop.via === undefined ? [] : [[["nexthops", index, "via"], hop.via] as const],
  );
  return via === undefined ? hops : [[["via"], via], ...hops];
}

/** The spec of a set of routes. */
export const schema = z.strictObject({
  netns: netnsName
    .optional()
    .describe("Network namespace that they are in. Default: the host's initial one."),
  name: safeName.describe("Names the set in its id; it does not show up on the host."),
  routes: z
    .array(route, { error: "must be a list of routes" })
    .min(1, "holds no route: leave the whole set out")
    .superRefine((routes, context) => {
      const seen = new Map<string, number>();
      routes.forEach((one, index) => {
        const first = seen.get(routeKey(one));
        if (first === undefined) return void seen.set(routeKey(one), index);
        const message =
          `routes[${first}] goes to ${one.destination} with metric ${one.metric ?? 0} in table ${one.table} too: ` +
          "give one of them another metric, or make one route of them with nexthops";
        context.addIssue({ code: "custom", path: [index], message });
      });
    })
    .overwrite((routes) => sortRoutes(routes))
    .describe("The routes, in any order. Routes of others stay as they are."),
  sourcesOnDev: z
    .boolean({ error: "must be true or false" })
    .optional()
    .describe(
      "Whether each `source` must be an address of the route's `dev`, before any route is changed. Default: any address " +
        "of the host will do, as for the kernel.",
    ),
});

/** The spec of a set of routes in its canonical form. */
export type RoutesSpec = z.output<typeof schema>;
