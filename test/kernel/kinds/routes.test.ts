import { disagreements } from "../../../lib/kinds/agree";
import { routes } from "../../../lib/kinds/routes";
import type { Step } from "../../../lib/kinds/step";
import { converges } from "../../support/converge";
import { run } from "../../support/host";
import { scratchNetns } from "../../support/scratch";
import { routesSpecs } from "../../support/specs/routes";

const netns = scratchNetns("routes");

test("sets of routes converge from any to any other, also after an interruption", async () => {
  await converges({ kind: routes, specs: routesSpecs(netns), run, cases: 30 });
});

const wanted = routes.schema.parse({
  netns,
  name: "set",
  routes: [
    { destination: "10.20.0.0/16", via: "10.0.0.2" },
    { destination: "10.30.0.0/16", dev: "v0", metric: 7 },
    { destination: "default", via: "2001:db8::2", table: 100 },
  ],
});
const observe = async () => routes.observe(await run([], routes.queries(wanted)), [wanted]);
const repair = async () =>
  run(routes.plan(await observe(), wanted, { owner: "netloom:test" }), routes.queries(wanted));
const ip = (...args: string[]): Step => ({ tool: "ip", netns, args });

describe("routes changed behind our back", () => {
  beforeEach(async () => {
    await repair();
    expect(await observe()).toEqual(wanted);
  });
  afterEach(async () => {
    await repair();
    expect(await observe()).toEqual(wanted);
  });

  test("one that was deleted is missing, and no other", async () => {
    await run([ip("route", "del", "10.20.0.0/16")]);
    const found = await observe();
    expect(found?.routes).toEqual(wanted.routes.filter((route) => route.destination !== "10.20.0.0/16"));
    expect(disagreements(wanted, found ?? {})).toEqual(["routes"]);
    expect(routes.plan(found, wanted, { owner: "" })).toHaveLength(1);
  });

  test("one whose metric was changed is missing: it is another route", async () => {
    await run([
      ip("route", "del", "10.30.0.0/16", "metric", "7"),
      ip("route", "add", "10.30.0.0/16", "dev", "v0", "metric", "8"),
    ]);
    expect((await observe())?.routes).toEqual(wanted.routes.filter((route) => route.metric !== 7));
    await run([ip("route", "del", "10.30.0.0/16", "metric", "8")]);
  });

  test("one that somebody else put in its place shows whose it is, and its router", async () => {
    await run([ip("route", "replace", "10.20.0.0/16", "via", "10.0.0.3", "proto", "static")]);
    const found = await observe();
    expect(found?.routes.find((route) => route.destination === "10.20.0.0/16")).toEqual({
      ...wanted.routes.find((route) => route.destination === "10.20.0.0/16"),
      via: "10.0.0.3",
      protocol: 4,
    });
    expect(routes.plan(found, wanted, { owner: "" })).toHaveLength(1);
  });

  test("a second one of the same key is seen and taken away", async () => {
    await run([ip("route", "append", "10.20.0.0/16", "via", "10.0.0.4", "proto", "static")]);
    const found = await observe();
    expect(
      found?.routes.filter((route) => route.destination === "10.20.0.0/16").map((route) => route.via),
    ).toEqual(["10.0.0.2", "10.0.0.4"]);
  });

  test("those of a link that went down are missing", async () => {
    await run([ip("link", "set", "dev", "v0", "down")]);
    expect(await observe()).toBeUndefined();
    await run([
      ip("link", "set", "dev", "v0", "up"),
      ip("address", "replace", "2001:db8::1/64", "dev", "v0", "nodad"),
    ]);
  });

  test("all of them flushed is a set that is not there", async () => {
    await run([ip("route", "flush", "table", "all", "proto", "76")]);
    expect(await observe()).toBeUndefined();
  });

  test("routes of others are not seen", async () => {
    await run([ip("route", "add", "10.40.0.0/16", "dev", "v0")]);
    expect(await observe()).toEqual(wanted);
    await run([ip("route", "del", "10.40.0.0/16")]);
  });
});

test("an import finds what was made by hand, and what the kernel made is left out", async () => {
  await run(routes.plan(await observe(), undefined, { owner: "" }));
  await run([
    ip("route", "add", "10.50.0.0/16", "via", "10.0.0.9"),
    ip("route", "add", "10.60.0.0/16", "dev", "v0", "proto", "static"),
  ]);
  const located = routes.locate([netns, "routes", "mine"]);
  if (located === undefined) throw new Error("the id is not understood");
  expect(located).toEqual({ netns, name: "mine" });
  expect(routes.observe(await run([], routes.queries(located)), [located])).toEqual({
    netns,
    name: "mine",
    routes: [
      {
        destination: "10.50.0.0/16",
        type: "unicast",
        via: "10.0.0.9",
        dev: "v0",
        metric: 0,
        table: 254,
        protocol: 3,
      },
      { destination: "10.60.0.0/16", type: "unicast", dev: "v0", metric: 0, table: 254, protocol: 4 },
    ],
  });
});

test("what the kernel says of a router that no link leads to is told in the user's words", async () => {
  const bad = routes.schema.parse({
    netns,
    name: "set",
    routes: [{ destination: "10.70.0.0/16", via: "172.31.0.1" }],
  });
  const error: unknown = await run(routes.plan(undefined, bad, { owner: "" })).catch(
    (thrown: unknown) => thrown,
  );
  expect(routes.explain?.(String(error), bad)).toMatch(/router .*subnet.*set of routes set/s);
});

test("a source on another link is the kernel's to take, and refused where it must be on its own", async () => {
  const source = { destination: "10.99.0.0/16", dev: "w0", source: "10.0.0.1" };
  const free = routes.schema.parse({ netns, name: "sources", routes: [source] });
  const strict = { ...free, sourcesOnDev: true };
  const look = async () => run([], routes.queries(strict));
  const facts = await look();
  expect(routes.observe(facts, [strict])).toBeUndefined();
  expect(() => routes.plan(undefined, strict, { owner: "netloom:test", facts })).toThrow(
    /10\.0\.0\.1 is on v0, not on w0; w0 has 10\.0\.1\.1/,
  );
  await run(routes.plan(undefined, free, { owner: "netloom:test", facts }));
  const there = routes.observe(await look(), [free]);
  expect(there).toEqual(free);
  await run(routes.plan(there, undefined, { owner: "netloom:test" }));
});
