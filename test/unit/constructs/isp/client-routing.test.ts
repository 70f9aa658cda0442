import {
  type App,
  ClientRouting,
  type ClientRoutingProps,
  GreSubscriberTunnel,
  GreTunnel,
  Host,
  Link,
  Namespace,
  type PlannedResource,
  PolicyRules,
  StaticRoutes,
  Testing,
} from "../../../../lib";
import { cgroupOf, sliceRules } from "../../../../constructs/isp/client-routing/slice";
import { refusals } from "../../synth/support";

type Props<T> = T extends unknown ? Omit<T, "tunnel"> : never;
type Use = Props<ClientRoutingProps>;

/** A client with a tunnel and one use of it; wrong props are part of some tests. */
function client(use: Use | object, id = "use", address = "198.51.100.7") {
  const app = Testing.app();
  const pi = new Host(app, "pi", { address });
  const tunnel = new GreTunnel(pi, "gre1", {
    local: "10.0.0.2",
    remote: "192.0.2.1",
    addresses: ["192.168.11.2/30"],
  });
  const routing = new ClientRouting(pi, id, { tunnel, ...use } as unknown as ClientRoutingProps);
  return { app, pi, tunnel, routing };
}

const specs = (app: App, kind: string) =>
  Testing.synth(app)
    .filter(({ token }) => token.endsWith(`:${kind}`))
    .map(({ spec }: PlannedResource) => spec as { readonly rules?: object[]; readonly routes?: object[] });

describe("The rules of a client's tunnel", () => {
  test("as default route: the host's own answers and the tunnel's outer packets first, then main but its default", () => {
    const { app } = client({ mode: "default", priority: 100, table: 7, ownAddresses: ["10.0.0.9"] });
    const [policy, underlay] = specs(app, "Rules").sort((a) =>
      JSON.stringify(a).includes("underlay") ? 1 : -1,
    );
    expect(underlay?.rules).toEqual([
      { priority: 100, from: "10.0.0.9/32", table: "main" },
      { priority: 101, from: "198.51.100.7/32", table: "main" },
      { priority: 102, from: "10.0.0.2/32", table: "main" },
      { priority: 103, to: "192.0.2.1/32", table: "main" },
    ]);
    expect(policy?.rules).toEqual([
      { priority: 104, family: "inet", table: "main", suppressPrefixLength: 0 },
      { priority: 105, family: "inet", table: 7 },
    ]);
    expect(specs(app, "Routes")[0]?.routes).toEqual([
      { destination: "0.0.0.0/0", dev: "gre1", table: 7 },
      { destination: "0.0.0.0/0", type: "unreachable", metric: 4294967295, table: 7 },
    ]);
  });

  test("know the ends of a subscriber's tunnel, inside UDP, too, without being told", () => {
    const app = Testing.app();
    const pi = new Host(app, "pi", { address: "pi.example" });
    const tunnel = GreSubscriberTunnel.client(pi, "gre1", {
      local: "10.0.0.2",
      remote: "192.0.2.1",
      addresses: ["192.168.11.2/30"],
      fou: {},
    });
    new ClientRouting(pi, "use", { tunnel, mode: "default", priority: 100 });
    const underlay = specs(app, "Rules").find((one) => JSON.stringify(one).includes("underlay"));
    expect(underlay?.rules).toEqual([
      { priority: 100, from: "10.0.0.2/32", table: "main" },
      { priority: 101, to: "192.0.2.1/32", table: "main" },
    ]);
  });

  test("pinned to a gateway: the tunnel's other end has a route of its own in the table", () => {
    const { app } = client({
      mode: "default",
      table: 7,
      gateway: "10.0.0.1",
      uplink: "eth0",
      whenDown: "main",
    });
    expect(specs(app, "Routes")[0]?.routes).toEqual([
      { destination: "192.0.2.1/32", via: "10.0.0.1", dev: "eth0", table: 7 },
      { destination: "0.0.0.0/0", dev: "gre1", table: 7 },
    ]);
  });

  test("stand in their order of creation: what keeps the way in is there first", () => {
    const { app } = client({ mode: "default" });
    const rules = Testing.synth(app).find(({ path }) => path === "pi/use/rules");
    expect(rules?.dependsOn).toEqual(
      expect.arrayContaining(["pi/use/underlay", "pi/use/table", "pi/gre1/loose-reverse-path"]),
    );
  });

  test("for a thousand networks are one, and a route for each network", () => {
    const destinations = Array.from({ length: 1000 }, (_, n) => `10.${n >> 8}.${n & 255}.0/24`);
    const { app } = client({ mode: "networks", destinations, table: 9 });
    const rules = specs(app, "Rules").flatMap((set) => set.rules ?? []);
    expect(rules).toHaveLength(2);
    expect(specs(app, "Routes")[0]?.routes).toHaveLength(2000);
  });

  test("of IPv6 come with it where it is asked for", () => {
    const { app } = client({
      mode: "application",
      ipVersions: [4, 6],
      users: [1001],
      table: 9,
      priority: 50,
    });
    expect(specs(app, "Rules")[0]?.rules).toEqual([
      { priority: 50, family: "inet", oif: "gre1", table: 9 },
      { priority: 51, family: "inet", uidRange: { from: 1001, to: 1001 }, table: 9 },
      { priority: 52, family: "inet6", oif: "gre1", table: 9 },
      { priority: 53, family: "inet6", uidRange: { from: 1001, to: 1001 }, table: 9 },
    ]);
  });

  test("loosen the tunnel's reverse path filter once, however many use it", () => {
    const { app, pi, tunnel } = client({ mode: "networks", destinations: ["203.0.113.0/24"] });
    new ClientRouting(pi, "other", { tunnel, mode: "application", users: 1001 });
    expect(specs(app, "Sysctls")).toEqual([
      { name: "gre1-rp-filter", values: { "net/ipv4/conf/gre1/rp_filter": "2" } },
    ]);
  });
});

describe("The numbers of a client's tunnel", () => {
  test("follow from the host and the path, and from nothing else", () => {
    const [one, again, other] = [
      client({ mode: "application" }),
      client({ mode: "networks", destinations: ["203.0.113.0/24"] }),
      client({ mode: "application" }, "another"),
    ].map(({ routing }) => [routing.table, routing.priority]);
    expect(one).toEqual(again);
    expect(one).not.toEqual(other);
    expect(one![0]).toBeGreaterThanOrEqual(10_000);
    expect(one![0]).toBeLessThan(60_000);
  });

  test("let what is more particular be asked before a default route", () => {
    for (const id of ["a", "b", "c", "d", "e"]) {
      expect(client({ mode: "application" }, id).routing.priority! + 32).toBeLessThanOrEqual(26_000);
      const last = client({ mode: "default" }, id).routing.priority!;
      expect(last).toBeGreaterThanOrEqual(26_000);
      expect(last + 32).toBeLessThan(32_766);
    }
  });

  test("that somebody else has already are refused: tables and priorities", () => {
    const { app, pi, tunnel } = client({ mode: "application", table: 100, priority: 200 });
    new StaticRoutes(pi, "mine", { routes: [{ destination: "10.8.0.0/16", dev: "gre1", table: 100 }] });
    new PolicyRules(pi, "rules", { rules: [{ priority: 200, from: "10.8.0.0/16", table: 100 }] });
    new ClientRouting(pi, "twin", { tunnel, mode: "application", table: 100, priority: 300 });
    const lines = refusals(app);
    expect(lines).toContainEqual(
      "[pi/use] table: routing table 100 is that of pi/mine, too: give one of them another table",
    );
    expect(lines).toContainEqual(
      "[pi/use] priority: rules 200 are in the way of pi/rules, which has 200: give one of them another priority",
    );
    expect(lines).toContainEqual(
      expect.stringMatching(/^\[pi\/twin\] table: routing table 100 is that of pi\//),
    );
  });
});

describe("A client's tunnel is refused", () => {
  test.each<[string, object, string]>([
    [
      "a mode that is none",
      { mode: "vpn" },
      'mode: is "vpn"; it is one of default, networks, application, docker, namespace',
    ],
    [
      "no networks",
      { mode: "networks" },
      "destinations: is required, or sources: which networks use the tunnel?",
    ],
    ["a network with host bits", { mode: "networks", destinations: ["10.0.0.1/8"] }, "destinations[0]: "],
    [
      "IPv6 that is not led into the tunnel",
      { mode: "networks", destinations: ["2001:db8::/32"] },
      "destinations[0]: 2001:db8::/32 is IPv6, and only IPv4 uses the tunnel: see ipVersions",
    ],
    ["a table of the kernel's", { mode: "application", table: 254 }, "table: must be a number of its own"],
    [
      "a user range that ends before it begins",
      { mode: "application", users: { from: 9, to: 8 } },
      "users: ends before it begins",
    ],
    ["a mark without a slice", { mode: "application", mark: 7 }, "mark: belongs to slice: leave it out"],
    [
      "a slice that is none",
      { mode: "application", slice: 'x"; reboot' },
      "slice: must be the name of a slice",
    ],
    [
      "a subnet too small",
      { mode: "docker", subnet: "172.30.0.0/30" },
      "subnet: 172.30.0.0/30 is smaller than a /29",
    ],
    [
      "IPv6 containers without a subnet",
      { mode: "docker", subnet: "172.30.0.0/16", ipVersions: [4, 6] },
      "subnet6: is required",
    ],
    [
      "a cable without addresses",
      { mode: "namespace" },
      "subnet: is required for a tunnel that is not inside a namespace",
    ],
    [
      "another mode's prop",
      { mode: "application", endpoint: "192.0.2.1" },
      "endpoint: there is no such property",
    ],
    [
      "the tunnel as its own uplink",
      { mode: "default", gateway: "10.0.0.1", uplink: "gre1" },
      "uplink: is the tunnel itself",
    ],
  ])("with %s", (_, use, message) => {
    const lines = refusals(client(use).app);
    expect(lines).toContainEqual(expect.stringContaining(`[pi/use] ${message}`));
  });

  test("whose other end nobody knows", () => {
    const app = Testing.app();
    const pi = new Host(app, "pi", { address: "pi.example" });
    const tunnel = new Link(pi, "br0", { kind: "bridge" });
    new ClientRouting(pi, "use", { tunnel, mode: "default" });
    expect(refusals(app)).toEqual([
      "[pi/use] endpoint: is required: the tunnel's other end, which must not be looked for inside the tunnel",
      "[pi/use] ownAddresses: is required: the host's own address as it knows it, so that whoever comes in from outside is answered",
    ]);
  });

  test("on another host, or in another namespace than its use", () => {
    const { app, tunnel } = client({ mode: "application" });
    new ClientRouting(new Host(app, "other"), "use", { tunnel, mode: "application" });
    const ns = new Namespace(app.node.findChild("pi"), "ns");
    new ClientRouting(ns, "use", { tunnel, mode: "application" });
    expect(refusals(app)).toEqual([
      "[pi/ns/use] tunnel: gre1 is in the initial namespace: create this construct there, too",
      "[other/use] tunnel: gre1 is not on other",
    ]);
  });
});

describe("What is made for whoever uses the tunnel", () => {
  test("is a Docker network by its bridge", () => {
    const { routing } = client(
      { mode: "docker", subnet: "172.30.0.0/16", bridge: "br-lab", mtu: 1476 },
      "lab",
    );
    expect(["docker", ...(routing.dockerNetwork ?? [])].join(" ")).toBe(
      "docker network create --driver bridge --subnet 172.30.0.0/16 --gateway 172.30.0.1 " +
        "--opt com.docker.network.bridge.name=br-lab --opt com.docker.network.bridge.enable_ip_masquerade=false " +
        "--opt com.docker.network.driver.mtu=1476 lab",
    );
  });

  test("is a policy without which nothing is forwarded", () => {
    const { app } = client({ mode: "docker", subnet: "172.30.0.0/16" });
    expect(Testing.synth(app).find(({ path }) => path === "pi/forwarding")?.dependsOn).toContain(
      "pi/use/policy",
    );
  });

  test("is a slice with a service that comes and goes with it", () => {
    const { app, routing } = client({ mode: "application", slice: "lab-probes.slice", table: 77 });
    expect(routing.command).toEqual(["systemd-run", "--scope", "--slice=lab-probes.slice"]);
    const units = specs(app, "Unit") as unknown as { name: string; content: string; enabled?: boolean }[];
    expect(units.map(({ name }) => name)).toEqual(["lab-probes.slice", "lab-probes-tunnel.service"]);
    expect(units[1]?.content).toContain("BindsTo=lab-probes.slice\nAfter=lab-probes.slice");
    expect(units[1]?.enabled).toBe(true);
    expect(cgroupOf("lab-probes.slice")).toEqual({ level: 2, path: "lab.slice/lab-probes.slice" });
    expect(sliceRules({ name: "n", slice: "lab-probes.slice", mark: 77, dev: "gre1" })).toContain(
      'socket cgroupv2 level 2 "lab.slice/lab-probes.slice" meta mark set 77',
    );
  });
});
