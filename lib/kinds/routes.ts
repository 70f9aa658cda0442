import { found } from "./found";
import { defineKind, inPlace, replace, type Claim } from "./kind";
import { linksQuery } from "./link/iproute";
import { explainRoute } from "./routes/explain";
import { observeRoutes, type RouteRow } from "./routes/observe";
import { planRoutes } from "./routes/plan";
import { schema, type Route } from "./routes/schema";
import { checkSources } from "./routes/sources";
import type { Query } from "./step";

export { OUR_PROTOCOL } from "./routes/schema";

const SEGMENT = "routes";

/** Every table of both families, by number: names are the host's (rt_tables, rt_protos). */
const query = (netns: string | undefined): Query => ({
  tool: "ip",
  ...(netns !== undefined && { netns }),
  args: ["-N", "-d", "route", "show", "table", "all"],
});

/**
 * One claim for a route; of several next hops, one for each. An index is that of the canonical, sorted list. A next
 * hop that is taken for a neighbour (`onLink`) needs no subnet, so it is not claimed.
 */
function claimsOf(route: Route, index: number, netns: string | undefined): Claim[] {
  const { destination, table, nexthops } = route;
  const ways = nexthops?.map((way, hop) => ({ ...way, at: ["nexthops", hop] })) ?? [{ ...route, at: [] }];
  return ways.map(({ via, dev, onLink, at }) => ({
    claim: "route",
    ...(netns !== undefined && { netns }),
    destination,
    ...(via !== undefined && onLink !== true && { via }),
    ...(dev !== undefined && { dev }),
    table,
    path: ["routes", index, ...at, via === undefined ? "dev" : "via"],
  }));
}

/** A named set of routes of one namespace. Routes that it does not name are none of its business. */
export const routes = defineKind({
  token: "netloom:net:Routes",
  description: "A named set of routes in one network namespace (ip-route(8)), IPv4 and IPv6, in any tables.",
  schema,
  policy: {
    netns: replace("a route cannot move to another namespace"),
    name: replace("the set is known by its name"),
    routes: inPlace(),
    sourcesOnDev: inPlace({ unset: false }),
  },
  ownership: "object",
  identity: ({ netns, name }) => [...(netns === undefined ? [] : [netns]), SEGMENT, name],
  locate(identity) {
    const [name = "", segment, netns] = [...identity].reverse();
    if (segment !== SEGMENT || identity.length > 3) return undefined;
    return { ...(netns !== undefined && { netns }), name };
  },
  queries: ({ netns, sourcesOnDev }) => [query(netns), ...(sourcesOnDev === true ? [linksQuery(netns)] : [])],
  observe(facts, specs) {
    const { netns, name = "", sourcesOnDev } = specs[0];
    const rows = found(facts, query(netns)) as readonly RouteRow[] | undefined;
    const there = observeRoutes(
      rows ?? [],
      specs.map((spec) => spec.routes),
    );
    if (there.length === 0) return undefined;
    return {
      ...(netns !== undefined && { netns }),
      name,
      routes: there,
      ...(sourcesOnDev !== undefined && { sourcesOnDev }),
    };
  },
  plan(current, desired, { facts }) {
    if (desired?.sourcesOnDev === true && facts !== undefined) checkSources(desired, facts);
    return planRoutes(current?.routes ?? [], desired?.routes ?? [], desired?.netns ?? current?.netns);
  },
  claims: ({ netns, routes: members }) => members.flatMap((route, index) => claimsOf(route, index, netns)),
  explain: explainRoute,
});
