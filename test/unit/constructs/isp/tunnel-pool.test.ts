import { type App, Host, Link, Namespace, Testing } from "../../../../lib";
import { GreSubscriberTunnel } from "../../../../constructs/isp/gre-subscriber-tunnel";
import type { SubscriberProps } from "../../../../constructs/isp/model";
import { Subscribers } from "../../../../constructs/isp/subscribers";
import { TunnelAllocation } from "../../../../constructs/isp/tunnel-addresses";
import { TunnelPool, type TunnelPoolProps } from "../../../../constructs/isp/tunnel-pool";

const home = (number: number, more: Partial<SubscriberProps> = {}): SubscriberProps => ({
  id: `home-${number}`,
  plan: { downloadMax: 50, uploadMax: 10 },
  client: { address: `198.51.${100 + (number >> 8)}.${number & 255}` },
  ...more,
});
const homes = (count: number) => Array.from({ length: count }, (_, index) => home(index + 1));

function program(list: readonly SubscriberProps[], more: Partial<TunnelPoolProps> = {}) {
  const app: App = Testing.app();
  const edge = new Host(app, "edge");
  new Link(edge, "wan", { name: "eth1", kind: "veth", addresses: ["192.0.2.1/24"], peer: { name: "eth2" } });
  const served = new Namespace(edge, "served", { forwarding: true });
  const subscribers = Subscribers.of(list);
  const allocation = TunnelAllocation.of(subscribers.all, { ipv4: "10.64.0.0/16" });
  const pool = new TunnelPool(served, "tunnels", {
    underlay: edge,
    local: "192.0.2.1",
    subscribers,
    allocation,
    ...more,
  });
  return { app, edge, served, pool };
}

const plan = (list: readonly SubscriberProps[], more: Partial<TunnelPoolProps> = {}) => {
  const { app, pool } = program(list, more);
  return { pool, resources: Testing.synth(app).filter(({ path }) => path.includes("/tunnels/")) };
};

const specOf = ({ resources }: ReturnType<typeof plan>, name: string) =>
  resources.find(({ path }) => path === `edge/served/tunnels/${name}`)?.spec;

describe("few tunnels", () => {
  const few = plan([home(1), home(2, { addresses: ["10.64.0.6", "203.0.113.0/29"] })]);

  test("each is a link of its own, made where the outer packets travel", () => {
    expect(few.pool.mode).toBe("device");
    expect(few.pool.reason).toBe("2 tunnels are not more than the threshold of 64");
    expect(specOf(few, "tunnel-home-1/link")).toMatchObject({
      netns: "served",
      linkNetns: "",
      name: "sub-1",
      kind: "gre",
      local: "192.0.2.1",
      remote: "198.51.100.1",
      key: 1,
      ttl: 64,
      mtu: 1472,
      addresses: ["10.64.0.1/30"],
    });
  });

  test("what is behind a subscriber's end is reached through it, and the rest of the pool goes nowhere", () => {
    expect(specOf(few, "routes")).toMatchObject({
      routes: [
        { destination: "10.64.0.0/16", type: "unreachable" },
        { destination: "203.0.113.0/29", dev: "sub-2" },
      ],
    });
  });

  test("only own addresses come in, and no way leads from one subscriber to another", () => {
    expect(specOf(few, "policy")).toMatchObject({
      clampMss: [{ mss: "pmtu", outInterface: "sub-*" }],
      input: {
        rules: [
          {
            action: "drop",
            inInterface: "sub-1",
            notSource: ["10.64.0.2"],
            counter: true,
            comment: "source: home-1",
          },
          { action: "drop", inInterface: "sub-1", notSource: ["fe80::/10"], counter: true },
          {
            action: "drop",
            inInterface: "sub-2",
            notSource: ["10.64.0.6", "203.0.113.0/29"],
            counter: true,
          },
          { action: "drop", inInterface: "sub-2", notSource: ["fe80::/10"], counter: true },
        ],
      },
    });
    const { forward } = specOf(few, "policy") as { forward: { rules: object[] } };
    expect(forward.rules.at(-1)).toMatchObject({
      action: "drop",
      inInterface: "sub-*",
      outInterface: "sub-*",
      counter: true,
    });
  });

  test("nothing comes in before the policy is there", () => {
    const tunnel = few.resources.find(({ path }) => path.endsWith("tunnel-home-1/link"));
    expect(tunnel?.dependsOn).toContain("edge/served/tunnels/policy");
  });

  test("two that may reach each other do so by their interfaces", () => {
    const { forward } = specOf(plan(homes(3), { reachEachOther: [["home-1", "home-3"]] }), "policy") as {
      forward: { rules: object[] };
    };
    expect(forward.rules.slice(-3)).toMatchObject([
      { action: "accept", inInterface: "sub-1", outInterface: "sub-3" },
      { action: "accept", inInterface: "sub-3", outInterface: "sub-1" },
      { action: "drop", inInterface: "sub-*", outInterface: "sub-*" },
    ]);
  });
});

describe("many tunnels", () => {
  const many = plan(homes(70), { reachEachOther: [["home-1", "home-3"]] });

  test("one link carries them, and says why", () => {
    expect(many.pool.mode).toBe("metadata");
    expect(many.pool.reason).toBe("70 tunnels are more than the threshold of 64");
    expect(specOf(many, "gre")).toMatchObject({
      netns: "served",
      linkNetns: "",
      name: "sub-gre",
      kind: "gre",
      external: true,
      mtu: 1472,
    });
    expect(many.resources.map(({ path }) => path.replace("edge/served/tunnels/", ""))).toEqual(
      expect.arrayContaining(["policy", "gre", "shard-0", "routes"]),
    );
    expect(many.resources).toHaveLength(4);
  });

  test("each tunnel is a few words, by its line number", () => {
    const { tunnels, ...spec } = specOf(many, "shard-0") as { tunnels: Record<string, object> };
    expect(spec).toMatchObject({
      name: "tunnels-0",
      device: "sub-gre",
      local: "192.0.2.1",
      checkSource: true,
    });
    expect(Object.keys(tunnels)).toHaveLength(70);
    expect(tunnels["17"]).toEqual({
      remote: "198.51.100.17",
      addresses: ["10.64.0.65"],
      prefixes: ["10.64.0.66"],
    });
  });

  test("two that may reach each other do so by their addresses", () => {
    const { forward } = specOf(many, "policy") as { forward: { rules: object[] } };
    expect(forward.rules).toMatchObject([
      { action: "accept", source: ["10.64.0.2"], destination: ["10.64.0.10"] },
      { action: "accept", source: ["10.64.0.10"], destination: ["10.64.0.2"] },
      { action: "drop", inInterface: "sub-*", outInterface: "sub-*" },
    ]);
  });

  test("a subscriber who comes is in a shard of the line number's, and moves nobody", () => {
    const shards = (list: readonly SubscriberProps[]) =>
      plan(list, { mode: "metadata" }).resources.filter(({ path }) => path.includes("shard-"));
    const before = shards([...homes(3), home(5000)]);
    const after = shards([...homes(3), home(4), home(5000)]);
    expect(before.map(({ path }) => path)).toEqual(after.map(({ path }) => path));
    expect(
      before.filter((shard, index) => JSON.stringify(shard.spec) !== JSON.stringify(after[index]?.spec)),
    ).toHaveLength(1);
  });

  test("10,000 are ten resources, and less than 1 MB", () => {
    const { resources } = plan(homes(10_000));
    const shards = resources.filter(({ path }) => path.includes("shard-"));
    expect(shards).toHaveLength(10);
    expect(Buffer.byteLength(JSON.stringify(shards.map(({ spec }) => spec)))).toBeLessThan(1_000_000);
  });

  test("clients over IPv6 have a link of their own kind", () => {
    const v6 = plan([home(1), home(2, { client: { address: "2001:db8::2" } })], {
      mode: "metadata",
      local6: "2001:db8::1",
    });
    expect(specOf(v6, "gre6")).toMatchObject({ name: "sub-gre6", kind: "ip6gre", external: true, mtu: 1452 });
    expect(specOf(v6, "shard-0")).toMatchObject({
      device: "sub-gre",
      device6: "sub-gre6",
      local6: "2001:db8::1",
    });
  });

  test("a client behind a NAT has a link of its own among them", () => {
    const nat = plan([home(1), home(2, { client: { address: "198.51.100.2", fou: true } })], {
      mode: "metadata",
    });
    expect(specOf(nat, "tunnel-home-2/link")).toMatchObject({
      name: "sub-2",
      mtu: 1464,
      encap: { type: "fou", sourcePort: 5555, destinationPort: 5555 },
    });
    expect(specOf(nat, "fou-5555")).toEqual({ port: 5555, family: 4, protocol: 47 });
    expect(specOf(nat, "policy")).toMatchObject({
      input: { rules: [{ inInterface: "sub-2" }, { inInterface: "sub-2" }] },
    });
  });
});

describe("a client's end", () => {
  test("is made from what the pool knows, and agrees with the server's", () => {
    const { app, pool } = program(homes(2));
    const client = new Host(app, "client");
    const props = pool.clientOf("home-2");
    expect(props).toEqual({
      local: "198.51.100.2",
      remote: "192.0.2.1",
      key: 2,
      checksum: false,
      addresses: ["10.64.0.6/30"],
    });
    GreSubscriberTunnel.client(client, "gre1", { remote: "192.0.2.1", addresses: [], ...props });
    const planned = Testing.synth(app).find(({ path }) => path === "client/gre1/link");
    expect(planned?.spec).toMatchObject({ name: "gre1", kind: "gre", key: 2, mtu: 1472 });
    expect(pool.clientOf("nobody")).toBeUndefined();
  });

  test("a server's end by itself checks sources and keeps apart", () => {
    const app = Testing.app();
    const edge = new Host(app, "edge");
    const served = new Namespace(edge, "served", { forwarding: true });
    GreSubscriberTunnel.server(served, "sub-9", {
      underlay: edge,
      local: "192.0.2.1",
      remote: "198.51.100.9",
      key: 9,
      addresses: ["10.64.0.33/30"],
      sources: ["10.64.0.34"],
    });
    const policy = Testing.synth(app).find(({ path }) => path === "edge/served/sub-9/policy");
    expect(policy?.spec).toMatchObject({
      table: "sub-9-subscriber",
      forward: {
        rules: [{ notSource: ["10.64.0.34"] }, { notSource: ["fe80::/10"] }, { outInterface: "sub-*" }],
      },
    });
  });
});

describe("pools that cannot be", () => {
  const failure = (list: readonly SubscriberProps[], more: Partial<TunnelPoolProps> = {}) => {
    const { app } = program(list, more);
    return () => Testing.synth(app);
  };

  test("a client of which no address is known", () => {
    expect(failure([home(1, { client: { fou: true } })])).toThrow(
      '[edge/served/tunnels] subscribers: subscriber "home-1" has no client.address',
    );
  });

  test("a pair that names nobody", () => {
    expect(failure(homes(2), { reachEachOther: [["home-1", "home-9"]] })).toThrow(
      '[edge/served/tunnels] reachEachOther[0][1]: names "home-9", and no subscriber with a tunnel has that id',
    );
  });

  test("more networks than one tunnel can have", () => {
    const addresses = Array.from({ length: 20 }, (_, index) => `203.0.113.${index + 1}`);
    expect(failure([home(1, { addresses })], { mode: "metadata" })).toThrow("holds more than 16 networks");
  });
});
