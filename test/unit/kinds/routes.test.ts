import type { z } from "zod";
import { routes } from "../../../lib/kinds/routes";
import type { Step } from "../../../lib/kinds/step";
import { factsThatFail } from "../../support/recorded";

type Input = z.input<typeof routes.schema>;
type RouteInput = Input["routes"][number];

const spec = (...members: RouteInput[]) => routes.schema.parse({ netns: "n", name: "set", routes: members });
const words = (steps: readonly Step[]) =>
  steps.map((step) => (step.tool === "ip" ? step.args.join(" ") : step.tool));
const plan = (current: RouteInput[] | undefined, desired: RouteInput[] | undefined) =>
  words(routes.plan(current && spec(...current), desired && spec(...desired), { owner: "netloom:test" }));
const problems = (...members: unknown[]) => {
  const parsed = routes.schema.safeParse({ name: "set", routes: members });
  return (parsed.error?.issues ?? []).map(({ path, message }) => `${path.join(".")}: ${message}`);
};

describe("routes in their canonical form", () => {
  test.each<[string, RouteInput, object]>([
    [
      "a default over IPv4",
      { destination: "default", via: "10.0.0.1" },
      { destination: "0.0.0.0/0", metric: 0 },
    ],
    [
      "a default over IPv6",
      { destination: "default", via: "fe80::1", dev: "v0" },
      { destination: "::/0", metric: 1024 },
    ],
    [
      "a default with an IPv6 source",
      { destination: "default", dev: "v0", source: "2001:DB8::1" },
      { destination: "::/0", source: "2001:db8::1" },
    ],
    [
      "a default over IPv6 next hops",
      {
        destination: "default",
        nexthops: [
          { via: "fe80::1", dev: "a" },
          { via: "fe80::2", dev: "b" },
        ],
      },
      { destination: "::/0" },
    ],
    ["a default onto a link", { destination: "default", dev: "v0" }, { destination: "0.0.0.0/0" }],
    ["IPv6 without a metric", { destination: "2001:db8::/32", dev: "v0", metric: 0 }, { metric: 1024 }],
    ["a table by name", { destination: "10.0.0.0/8", dev: "v0", table: "local" }, { table: 255 }],
    [
      "a scope that goes without saying",
      { destination: "10.0.0.0/8", dev: "v0", scope: "link" },
      { scope: undefined },
    ],
    ["a scope that does not", { destination: "10.0.0.0/8", dev: "v0", scope: "global" }, { scope: "global" }],
    ["our own protocol", { destination: "10.0.0.0/8", dev: "v0", protocol: 76 }, { protocol: undefined }],
    [
      "onLink that is off",
      { destination: "10.0.0.0/8", via: "10.0.0.1", onLink: false },
      { onLink: undefined },
    ],
  ])("%s", (_, given, form) => {
    const [route] = spec(given).routes;
    for (const [property, value] of Object.entries(form))
      expect(route?.[property as keyof typeof route]).toEqual(value);
    expect(spec(...spec(given).routes)).toEqual(spec(given));
  });

  test("have an order of their own, and their next hops too", () => {
    const a: RouteInput = {
      destination: "10.0.0.0/8",
      nexthops: [{ via: "10.9.0.2" }, { via: "10.9.0.1", weight: 5 }],
    };
    const b: RouteInput = {
      destination: "10.0.0.0/8",
      nexthops: [{ via: "10.9.0.1", weight: 5 }, { via: "10.9.0.2" }],
      table: "main",
    };
    const c: RouteInput = { destination: "2001:db8::/32", dev: "v0", table: 7 };
    expect(spec(c, a)).toEqual(spec(b, c));
  });
});

describe("routes that are refused", () => {
  test.each<[unknown, RegExp]>([
    [{ destination: "10.0.0.1/8", dev: "v0" }, /^routes\.0\.destination: .*host bits.*10\.0\.0\.0\/8/],
    [{ destination: "10.0.0.0", dev: "v0" }, /^routes\.0\.destination: .*no prefix length/],
    [{ destination: "default; rm -rf /", dev: "v0" }, /^routes\.0\.destination: /],
    [{ destination: "10.0.0.0/8", dev: "a b" }, /^routes\.0\.dev: /],
    [{ destination: "10.0.0.0/8", dev: "$(id)" }, /^routes\.0\.dev: /],
    [{ destination: "10.0.0.0/8", via: "10.0.0.1\nroute del default" }, /^routes\.0\.via: /],
    [{ destination: "10.0.0.0/8" }, /^routes\.0: leads nowhere/],
    [
      { destination: "10.0.0.0/8", type: "blackhole", dev: "v0" },
      /^routes\.0\.type: .*leave via, dev and nexthops out/,
    ],
    [{ destination: "10.0.0.0/8", type: "local" }, /^routes\.0\.dev: a local route needs a link/],
    [
      { destination: "10.0.0.0/8", via: "10.0.0.1", nexthops: [{ dev: "a" }, { dev: "b" }] },
      /^routes\.0\.nexthops: stands for/,
    ],
    [{ destination: "10.0.0.0/8", nexthops: [{ dev: "a" }] }, /^routes\.0\.nexthops: .*at least two/],
    [
      { destination: "10.0.0.0/8", nexthops: [{ dev: "a" }, {}] },
      /^routes\.0\.nexthops\.1: needs `via` or `dev`/,
    ],
    [{ destination: "2001:db8::/32", via: "10.0.0.1" }, /^routes\.0\.via: 10\.0\.0\.1 is IPv4/],
    [{ destination: "10.0.0.0/8", dev: "a", source: "::1" }, /^routes\.0\.source: .*family/],
    [{ destination: "2001:db8::/32", dev: "a", scope: "link" }, /^routes\.0\.scope: only IPv4/],
    [{ destination: "10.0.0.0/8", via: "10.0.0.1", onLink: true }, /^routes\.0: onLink needs both/],
    [{ destination: "10.0.0.0/8", dev: "a", table: 0 }, /^routes\.0\.table: /],
    [{ destination: "10.0.0.0/8", dev: "a", table: "vpn" }, /^routes\.0\.table: .*main, local or default/],
    [{ destination: "10.0.0.0/8", dev: "a", metric: -1 }, /^routes\.0\.metric: /],
    [{ destination: "10.0.0.0/8", dev: "a", mtu: 12 }, /^routes\.0\.mtu: /],
    [{ destination: "10.0.0.0/8", dev: "a", tos: 4 }, /^routes\.0: .*tos/],
  ])("%j", (route, message) => {
    expect(problems(route).join("\n")).toMatch(message);
  });

  test("two of one destination and metric are told apart from the first by place", () => {
    const route = { destination: "10.0.0.0/8", dev: "v0" };
    expect(problems(route, { ...route, metric: 1 }, { ...route, dev: "v1" })).toEqual([
      expect.stringMatching(/^routes\.2: routes\[0\] goes to 10\.0\.0\.0\/8 with metric 0 in table 254 too/),
    ]);
  });

  test("a set without a route", () => {
    expect(problems()).toEqual([expect.stringMatching(/holds no route/)]);
  });
});

const router: RouteInput = { destination: "10.1.0.0/16", via: "10.0.0.2", dev: "v0" };

describe("plans", () => {
  test.each<[string, RouteInput[] | undefined, RouteInput[] | undefined, string[]]>([
    ["nothing for what is there", [router], [router], []],
    [
      "a route over a router",
      undefined,
      [router],
      ["route replace 10.1.0.0/16 table 254 proto 76 via 10.0.0.2 dev v0"],
    ],
    [
      "everything that a route can say",
      undefined,
      [
        {
          ...router,
          source: "10.0.0.1",
          metric: 5,
          table: 100,
          mtu: 1400,
          advmss: 1360,
          onLink: true,
          scope: "site",
        },
      ],
      [
        "route replace 10.1.0.0/16 table 100 metric 5 proto 76 via 10.0.0.2 dev v0 onlink src 10.0.0.1 scope site mtu 1400 advmss 1360",
      ],
    ],
    [
      "next hops, with their shares",
      undefined,
      [
        {
          destination: "2001:db8::/32",
          nexthops: [
            { via: "fe80::1", dev: "v0", weight: 3 },
            { dev: "v1", weight: 256 },
          ],
          mtu: 1280,
        },
      ],
      [
        "route replace 2001:db8::/32 table 254 metric 1024 proto 76 mtu 1280 nexthop dev v1 weight 256 nexthop via fe80::1 dev v0 weight 3",
      ],
    ],
    [
      "IPv4 over an IPv6 router",
      undefined,
      [{ ...router, via: "2001:db8::2" }],
      ["route replace 10.1.0.0/16 table 254 proto 76 via inet6 2001:db8::2 dev v0"],
    ],
    [
      "one that leads nowhere",
      undefined,
      [{ destination: "default", type: "prohibit", table: 9 }],
      ["route replace prohibit 0.0.0.0/0 table 9 proto 76"],
    ],
    [
      "another router, in place",
      [router],
      [{ ...router, via: "10.0.0.3" }],
      ["route replace 10.1.0.0/16 table 254 proto 76 via 10.0.0.3 dev v0"],
    ],
    [
      "another metric: the new one first",
      [router],
      [{ ...router, metric: 9 }],
      [
        "route replace 10.1.0.0/16 table 254 metric 9 proto 76 via 10.0.0.2 dev v0",
        "route del 10.1.0.0/16 table 254 proto 76 via 10.0.0.2 dev v0",
      ],
    ],
    [
      "a route of somebody else is made ours",
      [{ ...router, protocol: 4 }],
      [router],
      ["route replace 10.1.0.0/16 table 254 proto 76 via 10.0.0.2 dev v0"],
    ],
    [
      "and given back as it was",
      [router],
      [{ ...router, protocol: 4 }],
      ["route replace 10.1.0.0/16 table 254 proto 4 via 10.0.0.2 dev v0"],
    ],
    [
      "all of them, at the end",
      [router, { destination: "10.9.0.0/16", dev: "v0" }],
      undefined,
      [
        "route del 10.1.0.0/16 table 254 proto 76 via 10.0.0.2 dev v0",
        "route del 10.9.0.0/16 table 254 proto 76 dev v0",
      ],
    ],
    [
      "the way to a router before what goes over it, and after it at the end",
      [
        { destination: "10.8.0.0/16", via: "10.7.0.1" },
        { destination: "10.7.0.0/16", dev: "v0" },
      ],
      [
        { destination: "10.6.0.0/16", via: "10.5.0.1" },
        { destination: "10.5.0.0/16", dev: "v0" },
      ],
      [
        "route replace 10.5.0.0/16 table 254 proto 76 dev v0",
        "route replace 10.6.0.0/16 table 254 proto 76 via 10.5.0.1",
        "route del 10.8.0.0/16 table 254 proto 76 via 10.7.0.1",
        "route del 10.7.0.0/16 table 254 proto 76 dev v0",
      ],
    ],
    [
      "a route that hides the way to a new router goes before it",
      [{ destination: "10.5.0.1/32", via: "10.0.0.2" }],
      [
        { destination: "10.6.0.0/16", via: "10.5.0.1" },
        { destination: "10.5.0.0/16", dev: "v0" },
      ],
      [
        "route replace 10.5.0.0/16 table 254 proto 76 dev v0",
        "route del 10.5.0.1/32 table 254 proto 76 via 10.0.0.2",
        "route replace 10.6.0.0/16 table 254 proto 76 via 10.5.0.1",
      ],
    ],
  ])("%s", (_, current, desired, steps) => {
    expect(plan(current, desired)).toEqual(steps);
  });

  test("every step is in the namespace of the set", () => {
    expect(routes.plan(undefined, spec(router), { owner: "" })).toEqual([
      expect.objectContaining({ tool: "ip", netns: "n" }),
    ]);
    const outside = routes.schema.parse({ name: "set", routes: [router] });
    expect(routes.plan(undefined, outside, { owner: "" })[0]).not.toHaveProperty("netns");
  });
});

describe("ids", () => {
  test.each([[["n", "routes", "set"]], [["routes", "set"]], [["routes", "routes", "set"]]])(
    "%j is found again",
    (identity) => {
      const located = routes.locate(identity);
      expect(located && routes.identity({ ...spec(router), netns: undefined, ...located })).toEqual(identity);
    },
  );

  test.each([[["set"]], [["n", "rules", "set"]], [["a", "b", "routes", "set"]]])(
    "%j is no set of routes",
    (identity) => {
      expect(routes.locate(identity)).toBeUndefined();
    },
  );
});

describe("what others may want to know", () => {
  test("each way of a route is claimed", () => {
    const members: RouteInput[] = [
      router,
      { destination: "default", nexthops: [{ via: "10.0.0.3" }, { dev: "v1" }], table: 7 },
    ];
    const base = { claim: "route", netns: "n" };
    expect(routes.claims?.(spec(...members))).toEqual([
      { ...base, destination: "0.0.0.0/0", dev: "v1", table: 7, path: ["routes", 0, "nexthops", 0, "dev"] },
      {
        ...base,
        destination: "0.0.0.0/0",
        via: "10.0.0.3",
        table: 7,
        path: ["routes", 0, "nexthops", 1, "via"],
      },
      {
        ...base,
        destination: "10.1.0.0/16",
        via: "10.0.0.2",
        dev: "v0",
        table: 254,
        path: ["routes", 1, "via"],
      },
    ]);
  });

  test("a router that is taken for a neighbour needs no subnet", () => {
    const [claim] = routes.claims?.(spec({ ...router, onLink: true })) ?? [];
    expect(claim).not.toHaveProperty("via");
  });

  test.each([
    ["Error: Nexthop has invalid gateway.", /subnet of a link that is up/],
    ["RTNETLINK answers: Network is unreachable", /subnet with the router/],
    ['Cannot find device "nope"', /make it first/],
    ["Error: Device for nexthop is not up.", /is down/],
    ["Error: Invalid prefsrc address.", /address of the host itself/],
  ])("%s is explained", (said, meaning) => {
    const told = routes.explain?.(said, spec(router));
    expect(told).toContain(said);
    expect(told).toMatch(meaning);
  });

  test("a source that is not the host's is named, with its link", () => {
    const told = (...sources: string[]) =>
      routes.explain?.(
        "Error: Invalid prefsrc address.",
        spec(...sources.map((source, nth) => ({ ...router, destination: `10.${nth}.0.0/16`, source }))),
      );
    expect(told("10.0.0.9")).toMatch(/prefsrc address\. .*namespace: 10\.0\.0\.9 over v0 is not \(set of/);
    expect(told("10.0.0.9", "10.0.0.8", "10.0.0.9")).toMatch(
      /one of these is not: 10\.0\.0\.9 over v0, 10\.0\.0\.8 over v0 \(set of routes/,
    );
  });

  test("an error without a meaning is left as it is", () => {
    expect(routes.explain?.("RTNETLINK answers: Out of memory", spec(router))).toBeUndefined();
  });
});

test("a look that failed is no absence", () => {
  expect(() => routes.observe(factsThatFail("ip: Permission denied"), [spec(router)])).toThrow(
    /ip route show table all in netns n failed: ip: Permission denied/,
  );
  expect(
    routes.observe(factsThatFail('Cannot open network namespace "n": No such file or directory'), [
      spec(router),
    ]),
  ).toBeUndefined();
});

describe("routes whose sources must be on their links", () => {
  const links = {
    v0: ["10.0.0.1"],
    w0: [],
    lo: ["127.0.0.1", "2001:DB8:0::1"],
  };
  const facts = {
    get: () => ({
      ok: true as const,
      value: Object.entries(links).map(([ifname, addresses]) => ({
        ifname,
        addr_info: addresses.map((local) => ({ local, prefixlen: local.includes(":") ? 64 : 24 })),
      })),
    }),
  };
  const strict = (...members: RouteInput[]) => ({ ...spec(...members), sourcesOnDev: true });
  const steps = (desired: ReturnType<typeof spec>) => routes.plan(undefined, desired, { owner: "x", facts });
  const over = (dev: string, source: string): RouteInput => ({ destination: "10.9.0.0/16", dev, source });

  test("are put in where each is, in any spelling, and links are looked at for that alone", () => {
    expect(steps(strict(over("v0", "10.0.0.1")))).toHaveLength(1);
    const ipv6 = { destination: "2001:db8:9::/48", dev: "lo", source: "2001:db8::1" };
    expect(steps(strict(ipv6, { destination: "10.8.0.0/16", dev: "w0" }))).toHaveLength(2);
    expect(routes.queries(strict(router))).toHaveLength(2);
    expect(routes.queries(spec(router))).toHaveLength(1);
  });

  test("are refused with what the link has where one is elsewhere, and only where that is asked for", () => {
    expect(() => steps(strict(over("w0", "10.0.0.1"), { destination: "10.7.0.0/16", dev: "v0" }))).toThrow(
      /10\.0\.0\.1 is on v0, not on w0; w0 has none\. Give the link the address/,
    );
    expect(() => steps(strict(over("v0", "10.0.0.9")))).toThrow(
      /10\.0\.0\.9 is no address of this host; v0 has 10\.0\.0\.1\/24\. .* \(set of routes set\)/,
    );
    expect(() => steps(strict(over("v9", "10.0.0.1")))).toThrow(/is on v0, not on v9; there is no link v9/);
    expect(steps(spec(over("w0", "10.0.0.1")))).toHaveLength(1);
    expect(routes.plan(strict(over("w0", "10.0.0.1")), undefined, { owner: "x", facts })).toHaveLength(1);
  });
});
