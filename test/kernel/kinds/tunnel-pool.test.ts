import { disagreements } from "../../../lib/kinds/agree";
import type { Step } from "../../../lib/kinds/step";
import { tunnelPool, type TunnelPoolInput } from "../../../lib/kinds/tunnel-pool";
import { converges } from "../../support/converge";
import { run } from "../../support/host";
import { scratchNetns } from "../../support/scratch";
import { tunnelPoolSpecs } from "../../support/specs/tunnel-pool";

// This kernel may have neither gre nor flower: vxlan in metadata mode takes the same nexthops. The lab has both.
const netns = scratchNetns("tunnels");
const device = "vx";
const ip = (...args: string[]): Step => ({ tool: "ip", netns, args });
const context = { owner: "netloom:test" };

beforeAll(async () => {
  await run([
    ip("link", "add", "name", device, "up", "type", "vxlan", "external", "dstport", "4789"),
    // Another's: a nexthop and a route of the same shape that nobody may touch.
    ip("nexthop", "add", "id", "5", "encap", "ip", "id", "5", "dst", "198.51.100.1", "dev", device),
    ip("route", "add", "10.99.0.0/16", "nhid", "5"),
  ]);
});

test("pools converge from any to any other, also after an interruption", async () => {
  const specs = tunnelPoolSpecs({ netns, device, flower: false });
  await converges({ kind: tunnelPool, specs, run, cases: 30 });
  const facts = await run([], [{ tool: "ip", netns, args: ["nexthop", "show"] }]);
  expect(facts.get({ tool: "ip", netns, args: ["nexthop", "show"] })).toMatchObject({
    ok: true,
    value: [{ id: 5, encap_id: 5 }],
  });
});

const many = (count: number, change: (number: number) => object = () => ({})): TunnelPoolInput => ({
  netns,
  name: "pool",
  device,
  checkSource: false,
  tunnels: Object.fromEntries(
    Array.from({ length: count }, (_, index) => {
      const number = index + 1;
      const [high, low] = [number >> 8, number & 255];
      return [
        String(number),
        { remote: `198.18.${high}.${low}`, prefixes: [`10.${high}.${low}.2`], ...change(number) },
      ];
    }),
  ),
});
const observe = async (spec: ReturnType<typeof tunnelPool.schema.parse>) =>
  tunnelPool.observe(await run([], tunnelPool.queries(spec)), [spec]);

describe("tunnels changed behind our back", () => {
  const wanted = tunnelPool.schema.parse({
    ...many(3),
    tunnels: {
      ...many(3).tunnels,
      "2": { remote: "198.18.0.2", addresses: ["10.0.2.1"], prefixes: ["10.0.2.2"] },
    },
  });
  const id = 0x100000 + 4;
  const rows: readonly [string, Step[], object, number][] = [
    [
      "a nexthop that is gone took its route along",
      [ip("nexthop", "del", "id", String(id))],
      { remote: "" },
      3,
    ],
    [
      "one that leads to another end",
      [
        ip(
          "nexthop",
          "replace",
          "id",
          String(id),
          "encap",
          "ip",
          "id",
          "2",
          "dst",
          "198.18.9.9",
          "key",
          "dev",
          device,
        ),
      ],
      { remote: "198.18.9.9", prefixes: ["10.0.2.2/32"] },
      3,
    ],
    ["a route that is gone", [ip("route", "del", "10.0.2.2")], { remote: "198.18.0.2", prefixes: [] }, 3],
    [
      "a route that leads elsewhere",
      [ip("route", "replace", "10.0.2.2", "dev", "v0")],
      { remote: "198.18.0.2", prefixes: [] },
      3,
    ],
    [
      "an own address that is gone",
      [ip("route", "del", "local", "10.0.2.1", "dev", device, "table", "254")],
      { remote: "198.18.0.2" },
      3,
    ],
  ];

  beforeAll(async () => {
    await run(tunnelPool.plan(await observe(wanted), wanted, context));
  });
  afterAll(async () => {
    await run(tunnelPool.plan(await observe(wanted), undefined, context));
    expect(await observe(wanted)).toBeUndefined();
  });

  test.each(rows)("%s: told, and made good in a few steps", async (_, steps, tunnel, most) => {
    expect(await observe(wanted)).toEqual(wanted);
    await run(steps);
    const found = await observe(wanted);
    expect(found?.tunnels["2"]).toMatchObject(tunnel);
    expect(disagreements(wanted, found ?? {})).toEqual(["tunnels"]);
    const repair = tunnelPool.plan(found, wanted, context);
    expect(repair.length).toBeLessThanOrEqual(most);
    await run(repair);
    expect(await observe(wanted)).toEqual(wanted);
  });
});

test("a new pool takes nobody's route away", async () => {
  await run([ip("route", "add", "10.0.1.2", "dev", "v0")]);
  const wanted = tunnelPool.schema.parse(many(2));
  const failure = await run(tunnelPool.plan(undefined, wanted, context)).then(
    () => "nothing failed",
    (error: unknown) => (error as Error).message,
  );
  expect(tunnelPool.explain?.(failure, wanted)).toContain("is there already and is not ours");
  await run([...tunnelPool.plan(await observe(wanted), undefined, context), ip("route", "del", "10.0.1.2")]);
  expect(await observe(wanted)).toBeUndefined();
});

test("one of 10,000 is added, changed and taken away in steps that do not grow with their number", async () => {
  const few = 10;
  const lots = 10_000;
  const stepsFor = (count: number, of: (from: TunnelPoolInput) => TunnelPoolInput) => {
    const from = tunnelPool.schema.parse(many(count));
    return tunnelPool.plan(from, tunnelPool.schema.parse(of(many(count))), context);
  };
  const added = (from: TunnelPoolInput) => ({
    ...from,
    tunnels: { ...from.tunnels, "20000": { remote: "192.0.2.1", prefixes: ["10.200.0.2"] } },
  });
  const changed = (from: TunnelPoolInput) => ({
    ...from,
    tunnels: { ...from.tunnels, "5": { remote: "192.0.2.5", prefixes: ["10.0.5.2"] } },
  });
  const removed = ({ tunnels, ...from }: TunnelPoolInput) => {
    const { "5": gone, ...rest } = tunnels;
    expect(gone).toBeDefined();
    return { ...from, tunnels: rest };
  };
  for (const [change, steps] of [
    [added, 2],
    [changed, 1],
    [removed, 2],
  ] as const) {
    expect(stepsFor(few, change)).toHaveLength(steps);
    expect(stepsFor(lots, change)).toHaveLength(steps);
  }

  const wanted = tunnelPool.schema.parse(many(lots));
  const began = performance.now();
  await run(tunnelPool.plan(undefined, wanted, context));
  // Half of this is usual; a device for each takes a minute.
  expect(performance.now() - began).toBeLessThan(15_000);
  expect(await observe(wanted)).toEqual(wanted);
  const next = tunnelPool.schema.parse(changed(many(lots)));
  await run(tunnelPool.plan(await observe(next), next, context));
  expect(await observe(next)).toEqual(next);
  await run(tunnelPool.plan(next, undefined, context));
  expect(await observe(next)).toBeUndefined();
});
