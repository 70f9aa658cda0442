import * as fc from "fast-check";
import type { z } from "zod";
import type { routes } from "../../../lib/kinds/routes";

type Input = z.input<typeof routes.schema>;
type RouteInput = Input["routes"][number];

/** Few destinations, so that two sets often have the same. */
const tables = fc.constantFrom(undefined, 100, 4_000_000_000, "main" as const);
const small = fc.constantFrom(undefined, 1, 50, 4_294_967_295);

function routeSpecs(family: 4 | 6): fc.Arbitrary<RouteInput> {
  const host = (cable: number) =>
    fc
      .integer({ min: 2, max: 5 })
      .map((n) => (family === 4 ? `10.0.${cable}.${n}` : `2001:db8:${cable}::${n}`));
  const destination =
    family === 4
      ? fc.constantFrom("0.0.0.0/0", "10.9.0.0/16", "10.9.1.0/24", "10.9.1.1/32", "192.168.0.0/16")
      : fc.constantFrom("::/0", "2001:db8:9::/48", "2001:db8:9:1::/64", "2001:db8:9:1::1/128", "fd00::/8");
  const common = {
    destination,
    table: tables,
    metric: small,
    mtu: fc.option(fc.integer({ min: 1280, max: 9000 }), { nil: undefined }),
    advmss: fc.option(fc.integer({ min: 536, max: 8000 }), { nil: undefined }),
    source: fc.option(fc.constant(family === 4 ? "10.0.0.1" : "2001:db8::1"), { nil: undefined, freq: 3 }),
  };
  const cable = fc.nat({ max: 1 });
  const dev = (n: number) => (n === 0 ? "v0" : "w0");
  // The kernel looks for a router in the route's own table first: only in main are there the links' subnets.
  const inMain = fc.constantFrom(undefined, "main" as const);
  const over = cable.chain((n) =>
    fc.oneof(
      fc.record({ ...common, via: host(n), dev: fc.constant(dev(n)) }),
      fc.record({ ...common, via: host(n), table: inMain }),
    ),
  );
  const onLink = cable.chain((n) =>
    fc.record({
      ...common,
      via: fc.constant(family === 4 ? "10.77.0.1" : "2001:db8:77::1"),
      dev: fc.constant(dev(n)),
      onLink: fc.constant(true),
    }),
  );
  const straight = fc.record({
    ...common,
    dev: fc.constantFrom("v0", "w0", "lo"),
    scope:
      family === 4 ? fc.constantFrom(undefined, "global" as const, "link" as const) : fc.constant(undefined),
  });
  const nowhere = fc.record({
    ...common,
    source: fc.constant(undefined),
    type: fc.constantFrom("blackhole", "unreachable", "prohibit", "throw"),
  });
  const hop = (named: boolean) =>
    cable.chain((n) =>
      fc.record({
        via: host(n),
        dev: named ? fc.constant(dev(n)) : fc.constantFrom(undefined, dev(n)),
        weight: fc.integer({ min: 1, max: 256 }),
      }),
    );
  const hops = (named: boolean) =>
    fc.uniqueArray(hop(named), { minLength: 2, maxLength: 4, selector: ({ via }) => via });
  const several = fc.oneof(
    fc.record({ ...common, nexthops: hops(true) }),
    fc.record({ ...common, nexthops: hops(false), table: inMain }),
  );
  // In main it would take in the routers' addresses, too.
  const local = fc.record({
    ...common,
    table: fc.constantFrom(100, 4_000_000_000),
    source: fc.constant(undefined),
    type: fc.constant("local"),
    dev: fc.constant("lo"),
  });
  return fc.oneof(over, over, onLink, straight, nowhere, several, local);
}

/** IPv4 over IPv6 routers, too. */
const mixed: fc.Arbitrary<RouteInput> = fc.record({
  destination: fc.constantFrom("10.9.0.0/16", "0.0.0.0/0"),
  via: fc.constant("2001:db8::9"),
  dev: fc.constant("v0"),
});

/** Random sets of routes in a namespace as `scratchNetns` makes it. */
export const routesSpecs = (netns: string): fc.Arbitrary<Input> =>
  fc.array(fc.oneof(routeSpecs(4), routeSpecs(6), mixed), { minLength: 1, maxLength: 6 }).map((list) => {
    // One route for each key: a set that has two is refused.
    const unique = new Map(
      list.map((one) => [JSON.stringify([one.destination, one.table ?? "main", one.metric]), one]),
    );
    return { netns, name: "set", routes: [...unique.values()] };
  });
