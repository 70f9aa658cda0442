import * as fc from "fast-check";
import { openSession, type OpenSession } from "../../lib/host";
import { link, type LinkInput } from "../../lib/kinds/link";
import type { Facts, Query, Step } from "../../lib/kinds/step";
import { tunnelPool, type TunnelPoolInput } from "../../lib/kinds/tunnel-pool";
import { converges } from "../support/converge";
import { withLab } from "../support/lab";
import { tunnelPoolSpecs } from "../support/specs/tunnel-pool";

const machines = withLab(["edge"]);
const context = { owner: "netloom:test/lab" };
const ip = (netns: string | undefined, ...args: string[]): Step => ({
  tool: "ip",
  ...(netns !== undefined && { netns }),
  args,
});

let session: OpenSession;
let nth = 0;

async function run(steps: readonly Step[], queries: readonly Query[] = []): Promise<Facts> {
  const decide = () => ({ steps });
  return (await session.run({ label: `tunnels/${++nth}`, stack: "test/lab", queries, decide })).facts;
}

const on = (netns: string, ...argv: string[]) =>
  machines.lab.run("edge", ["ip", "netns", "exec", netns, ...argv]);

async function make(spec: LinkInput): Promise<void> {
  await run(link.plan(undefined, link.schema.parse(spec), context));
}

beforeAll(async () => {
  const { name, address, port, user, hostKey, privateKey } = machines.lab.host("edge");
  session = openSession({ name, address, port, user, hostKey }, { privateKey }, { gatherMs: 1 });
  await run(["isp", "other", "a", "b"].map((netns) => ip(undefined, "netns", "add", netns)));
});

afterAll(() => session?.close());

test("tunnels whose outer packets travel in another namespace converge, also when stopped on the way", async () => {
  const specs: fc.Arbitrary<LinkInput> = fc.record({
    netns: fc.constant("isp"),
    name: fc.constant("t0"),
    kind: fc.constantFrom("gre", "gre", "gretap"),
    linkNetns: fc.constantFrom("", "other", undefined),
    local: fc.constant("10.8.0.1"),
    remote: fc.constantFrom("10.8.0.2", "10.8.0.3"),
    key: fc.constantFrom(1, 2),
    mtu: fc.constantFrom(1400, 1450),
    addresses: fc.constantFrom(["10.9.0.1/30"], ["10.9.0.5/30", "2001:db8:9::1/64"]),
  });
  await converges({ kind: link, specs, run, cases: 6 });
  const names = await machines.lab.ssh("edge", ["ip", "-br", "link"]);
  expect(names).not.toMatch(/^nl[0-9a-z]{13}/m);
});

test("pools converge on GRE over IPv4 and IPv6, with their source checks", async () => {
  await make({ netns: "other", name: "g4", kind: "gre", external: true });
  await make({ netns: "other", name: "g6", kind: "ip6gre", external: true });
  const specs = tunnelPoolSpecs({ netns: "other", device: "g4", device6: "g6", flower: true });
  await converges({ kind: tunnelPool, specs, run, cases: Number(process.env.NETLOOM_CASES ?? 4) });
});

describe("two subscribers behind one device", () => {
  const pool = (of: TunnelPoolInput["tunnels"]) =>
    tunnelPool.schema.parse({
      netns: "isp",
      name: "subscribers",
      device: "gre-isp",
      local: "10.70.0.1",
      tunnels: of,
    });
  const tunnels = {
    "1": { remote: "10.70.0.2", addresses: ["192.168.11.1"], prefixes: ["192.168.11.2"] },
    "2": { remote: "10.71.0.2", addresses: ["192.168.11.5"], prefixes: ["192.168.11.6"] },
  };
  let before = pool(tunnels);
  const change = async (of: TunnelPoolInput["tunnels"]) => {
    const wanted = pool(of);
    const current = tunnelPool.observe(await run([], tunnelPool.queries(wanted)), [wanted, before]);
    const steps = tunnelPool.plan(current, wanted, context);
    await run(steps);
    before = wanted;
    return steps.length;
  };

  /** Packets that the last filter of the device has dropped. */
  const dropped = async () => {
    const argv = [
      "tc",
      "-n",
      "isp",
      "-s",
      "-j",
      "filter",
      "show",
      "dev",
      "gre-isp",
      "ingress",
      "pref",
      "100",
    ];
    const rows = JSON.parse(await machines.lab.ssh("edge", argv)) as {
      options?: { actions: { stats: { drops: number } }[] };
    }[];
    return rows.find(({ options }) => options !== undefined)?.options?.actions[0]?.stats.drops ?? -1;
  };

  const ping = async (from: string, ...argv: string[]) =>
    (await on(from, "ping", "-c2", "-i0.2", "-W1", ...argv)).exitCode === 0;

  beforeAll(async () => {
    for (const [index, client] of ["a", "b"].entries()) {
      const [subnet, inner] = [`10.7${index}.0`, 4 * index];
      await make({
        name: `under-${client}`,
        kind: "veth",
        addresses: [`${subnet}.1/24`],
        peer: { netns: client, name: "eth0", addresses: [`${subnet}.2/24`, `${subnet}.3/24`] },
      });
      await run([
        ip(client, "link", "set", "dev", "lo", "up"),
        ip(client, "route", "add", "default", "via", `${subnet}.1`),
      ]);
      await make({
        netns: client,
        name: "gre1",
        kind: "gre",
        local: `${subnet}.2`,
        remote: "10.70.0.1",
        key: index + 1,
        ttl: 64,
        addresses: [`192.168.11.${inner + 2}/30`],
      });
    }
    await make({ netns: "isp", name: "gre-isp", kind: "gre", linkNetns: "", external: true, mtu: 1472 });
    await run([ip("isp", "link", "set", "dev", "lo", "up")]);
    await change(tunnels);
  });

  test("each reaches the server's end of its own tunnel", async () => {
    expect(await ping("a", "192.168.11.1")).toBe(true);
    expect(await ping("b", "192.168.11.5")).toBe(true);
  });

  test("a packet with another subscriber's address, or by another's key, is dropped and counted", async () => {
    await run([
      ip("a", "address", "add", "192.168.11.6/32", "dev", "gre1"),
      ip("a", "route", "add", "192.168.11.5/32", "dev", "gre1"),
    ]);
    const first = await dropped();
    expect(await ping("a", "-I", "192.168.11.6", "192.168.11.5")).toBe(false);
    expect(await dropped()).toBeGreaterThanOrEqual(first + 2);
    await run([ip("a", "address", "del", "192.168.11.6/32", "dev", "gre1")]);

    // The key and the inside of b's tunnel, from an address that is not b's.
    await make({
      netns: "a",
      name: "gre2",
      kind: "gre",
      local: "10.70.0.3",
      remote: "10.70.0.1",
      key: 2,
      ttl: 64,
    });
    await run([ip("a", "address", "add", "192.168.11.6/32", "dev", "gre2")]);
    const between = await dropped();
    expect(await ping("a", "-I", "gre2", "192.168.11.5")).toBe(false);
    expect(await dropped()).toBeGreaterThanOrEqual(between + 2);
    await run([ip("a", "link", "del", "dev", "gre2")]);
  });

  test("one moves to another address, comes and goes in a few steps, and the other loses no packet", async () => {
    const moved = { ...tunnels, "1": { ...tunnels["1"], remote: "10.70.0.3" } };
    const three = { ...tunnels, "3": { remote: "10.70.0.9", prefixes: ["192.168.11.10"] } };
    const watch = on("b", "ping", "-i0.02", "-w8", "-q", "192.168.11.5");
    const steps: number[] = [];
    for (const next of [moved, tunnels, three, tunnels, { "2": tunnels["2"] }, tunnels])
      steps.push(await change(next));
    const { stdout } = await watch;
    expect(steps).toEqual([2, 2, 3, 3, 4, 4]);
    expect(stdout).toMatch(/, 0% packet loss/);
    expect(await ping("a", "192.168.11.1")).toBe(true);
  });
});
