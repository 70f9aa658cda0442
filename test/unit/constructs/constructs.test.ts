import {
  Bridge,
  Firewall,
  GreTunnel,
  Host,
  Link,
  Namespace,
  Router,
  StaticRoutes,
  Sysctls,
  Testing,
  VethPair,
  type PlannedResource,
} from "../../../lib";
import type * as netloom from "../../../lib";
import { refusals } from "../synth/support";
import { program } from "./samples";

const at = (plan: readonly PlannedResource[], path: string) =>
  plan.find((resource) => resource.path === path);

describe("Host", () => {
  test("is where what is inside it lives, by its name rather than its id", () => {
    const app = Testing.app();
    new Sysctls(new Host(app, "one", { name: "edge" }), "s", { values: { "net/ipv4/ip_forward": "1" } });
    expect(Testing.synth(app)).toMatchObject([{ path: "one/s", host: "edge" }]);
  });

  test("may be the same machine as another under another name, and not have another's name", () => {
    const app = Testing.app();
    new Host(app, "a", { address: "192.0.2.1" });
    new Host(app, "b", { address: "192.0.2.1" });
    expect(refusals(app)).toEqual([]);
    const twins = Testing.app();
    new Host(twins, "a", { name: "edge" });
    new Host(twins, "b", { name: "edge" });
    expect(refusals(twins)).toEqual([
      "[b] name: the host name edge is that of a too; give one of them another name",
    ]);
  });

  test.each([
    ["port", { port: 0 }, "must be at least 1"],
    ["port", { port: 22.5 }, "must be a whole number"],
    ["hostKey", { hostKey: "AAAAC3NzaC1lZDI1NTE5AAAAIJ0" }, "must be one public key without the host's name"],
    ["hostKey", { hostKey: "edge ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0" }, "must be one public key"],
    ["jumpHost", { jumpHost: "-oProxyCommand=reboot" }, "must be 'user@address:port'"],
    ["address", { address: "-oProxyCommand=reboot" }, "must be a host name or an IP address"],
    ["user", { user: "-l" }, "must be a login name"],
  ])("with a wrong %s is refused: %j", (property, props, message) => {
    const app = Testing.app();
    new Host(app, "edge", props);
    expect(refusals(app)).toEqual([expect.stringContaining(`[edge] ${property}: ${message}`)]);
  });

  test("forwards once, after whatever says what is forwarded", () => {
    const { app, edge } = program();
    const firewall = new Firewall(edge, "policy", { forward: { policy: "drop" } });
    edge.enableForwarding();
    edge.enableForwarding(firewall);
    const forwarding = Testing.synth(app).filter(({ token }) => token === "netloom:kernel:Sysctls");
    expect(forwarding.map(({ dependsOn }) => dependsOn)).toEqual([["edge/policy"]]);
  });

  test("forwards IPv6 only when asked, since its kernel then forgets routes that routers told it", () => {
    const { app, edge } = program();
    edge.enableForwarding();
    expect(at(Testing.synth(app), "edge/forwarding")?.spec["values"]).toEqual({ "net/ipv4/ip_forward": "1" });
    const second = program();
    second.edge.enableIpv6Forwarding();
    expect(at(Testing.synth(second.app), "edge/forwarding-ipv6")?.spec["values"]).toEqual({
      "net/ipv6/conf/all/forwarding": "1",
    });
  });
});

describe("Namespace", () => {
  test("keeps the program's own settings beside forwarding, and before it", () => {
    const { app, edge } = program();
    const sysctls = { "net/ipv6/conf/all/forwarding": "0", "net/ipv4/tcp_mtu_probing": "1" };
    new Namespace(edge, "r", { forwarding: true, sysctls });
    expect(at(Testing.synth(app), "edge/r")?.spec["sysctls"]).toEqual({
      "net/ipv4/ip_forward": "1",
      "net/ipv6/conf/all/forwarding": "0",
      "net/ipv4/tcp_mtu_probing": "1",
    });
  });

  test("that exists already takes links and routes, is not made, and forwards by settings of its own", () => {
    const { app, edge } = program();
    const tenant = Namespace.existing(edge, "tenant", { name: "t1" });
    new Link(tenant, "br0", { kind: "bridge" });
    new StaticRoutes(tenant, "r", { routes: [{ destination: "default", via: "10.0.0.1" }] });
    tenant.enableForwarding();
    const plan = Testing.synth(app).filter(({ path }) => path.startsWith("edge/tenant"));
    expect(plan.map(({ path, spec }) => [path, spec["netns"]])).toEqual([
      ["edge/tenant/br0", "t1"],
      ["edge/tenant/r", "t1"],
      ["edge/tenant/forwarding", "t1"],
    ]);
    for (const { deletedWith } of plan) expect(deletedWith).toBeUndefined();
  });

  test("outside any host is refused, also one that exists already", () => {
    const app = Testing.app();
    new Namespace(app, "lost");
    Namespace.existing(app, "found");
    expect(refusals(app)).toEqual([
      "[lost] is on no host: create it inside a Host or a Namespace, or give it one",
      "[found] is on no host: create it inside a Host",
    ]);
  });
});

describe("VethPair", () => {
  test("has each end in its own namespace and goes with the first one's", () => {
    const { app, edge, ns } = program();
    new VethPair(edge, "v", { a: { namespace: ns, name: "x" }, b: { name: "y" }, queues: 8 });
    expect(at(Testing.synth(app), "edge/v")).toMatchObject({
      spec: { netns: "ns", name: "x", peer: { name: "y" }, rxQueues: 8, txQueues: 8 },
      dependsOn: ["edge/ns"],
      deletedWith: "edge/ns",
    });
  });

  test("with ends on two hosts is refused", () => {
    const { app, edge } = program();
    new VethPair(edge, "v", { a: { name: "x" }, b: { namespace: new Host(app, "far"), name: "y" } });
    expect(refusals(app)).toEqual([
      "[edge/v] b.namespace: is on far, the other end on edge; a veth pair is on one host",
    ]);
  });

  test("names the end and the property that is wrong", () => {
    const { app, edge, ns } = program();
    new VethPair(edge, "v", {
      a: { namespace: ns, name: "a-name-that-is-too-long" },
      b: { name: "y", addresses: ["10.0.0.1/24", "10.0.0.1/33"] },
      queues: 5000,
    });
    expect(refusals(app)).toEqual([
      expect.stringMatching(/^\[edge\/v\] a\.name: .*23 bytes/),
      expect.stringMatching(/^\[edge\/v\] b\.addresses\[1\]: /),
      expect.stringMatching(/^\[edge\/v\] queues: /),
    ]);
  });
});

describe("Bridge", () => {
  test("makes links its ports, which are made after it", () => {
    const { app, edge, ns } = program();
    const pair = new VethPair(edge, "v", { a: { namespace: ns, name: "x" }, b: { name: "y" } });
    const nic = new Link(ns, "eth5", { kind: "physical" });
    const bridge = new Bridge(ns, "br0", { ports: [pair.a] });
    bridge.addPort(nic.link);
    const plan = Testing.synth(app);
    expect(at(plan, "edge/v")).toMatchObject({
      spec: { master: "br0" },
      dependsOn: ["edge/ns", "edge/ns/br0"],
    });
    expect(at(plan, "edge/ns/eth5")?.spec["master"]).toBe("br0");
  });

  test("refuses a port of another namespace, and one that another bridge has", () => {
    const { app, edge, ns } = program();
    const pair = new VethPair(edge, "v", { a: { namespace: ns, name: "x" }, b: { name: "y" } });
    new Bridge(ns, "br0", { ports: [pair.a] });
    new Bridge(ns, "br1", { ports: [pair.a, pair.b] });
    expect(refusals(app)).toEqual([
      "[edge/ns/br1] ports[0]: x of edge/v is a port of br0 already",
      "[edge/ns/br1] ports[1]: y of edge/v is in another namespace than the bridge",
    ]);
  });
});

describe("GreTunnel", () => {
  test.each([
    [{ local: "192.0.2.1", remote: "192.0.2.2" }, "gre", 1476],
    [{ local: "192.0.2.1", remote: "192.0.2.2", ethernet: true }, "gretap", 1462],
    [{ local: "2001:db8::1", remote: "2001:db8::2" }, "ip6gre", 1456],
    [{ local: "2001:db8::1", remote: "2001:db8::2", ethernet: true }, "ip6gretap", 1442],
    [{ local: "192.0.2.1", remote: "192.0.2.2", key: 1, sequence: true, checksum: true }, "gre", 1464],
    [{ local: "192.0.2.1", remote: "192.0.2.2", underlayMtu: 9000 }, "gre", 8976],
    [{ local: "192.0.2.1", remote: "192.0.2.2", mtu: 1400 }, "gre", 1400],
  ])("%j is a %s of %d bytes", (props, kind, mtu) => {
    const { app, edge } = program();
    new GreTunnel(edge, "t", props);
    expect(at(Testing.synth(app), "edge/t")?.spec).toMatchObject({ kind, mtu });
  });

  test("names its own prop where the resource has another name for it", () => {
    const { app, edge } = program();
    new GreTunnel(edge, "t", { local: "192.0.2.1", remote: "192.0.2.2", dev: "; reboot" });
    expect(refusals(app)).toEqual([expect.stringMatching(/^\[edge\/t\] dev: /)]);
  });
});

describe("StaticRoutes", () => {
  test("names the route that is wrong by its place in the program, though the list is sorted on the way", () => {
    const { app, ns } = program();
    new Link(ns, "br0", { kind: "bridge", addresses: ["10.0.0.1/24"] });
    new StaticRoutes(ns, "r", {
      routes: [
        { destination: "192.168.0.0/16", via: "10.0.0.9" },
        { destination: "172.16.0.0/12", via: "10.0.1.9" },
        { destination: "default", via: "10.0.2.9" },
        { destination: "10.9.0.0/16", dev: "br9" },
      ],
    });
    expect(refusals(app).sort()).toEqual([
      "[edge/ns/r] routes[1].via: the next hop 10.0.1.9 is in no subnet of namespace ns of edge: it has 10.0.0.1/24 br0",
      "[edge/ns/r] routes[2].via: the next hop 10.0.2.9 is in no subnet of namespace ns of edge: it has 10.0.0.1/24 br0",
      "[edge/ns/r] routes[3].dev: there is no link br9 in namespace ns of edge: it has lo, br0",
    ]);
  });

  test("takes a next hop for a neighbour where it is told to", () => {
    const { app, ns } = program();
    new Link(ns, "br0", { kind: "bridge" });
    new StaticRoutes(ns, "r", {
      routes: [{ destination: "default", via: "10.0.1.9", dev: "br0", onLink: true }],
    });
    expect(refusals(app)).toEqual([]);
  });
});

describe("addresses", () => {
  test("are named by their place in the program, though the list is sorted on the way", () => {
    const { app, ns } = program();
    new Link(ns, "a", { kind: "bridge", addresses: ["10.9.0.1/24"] });
    new Link(ns, "b", { kind: "bridge", addresses: ["2001:DB8::1/64", "192.168.7.1/24", "10.9.0.1/24"] });
    expect(refusals(app)).toEqual([
      "[edge/ns/b] addresses[2]: 10.9.0.1/24 is on a of namespace ns of edge already (edge/ns/a)",
    ]);
  });
});

describe("Router", () => {
  test("forwards, and without a policy has no table", () => {
    const { app, ns, edge } = program();
    new Router(ns, "router");
    const plan = Testing.synth(app);
    expect(plan.map(({ path }) => path)).toEqual(["edge/ns"]);
    expect(plan[0]?.spec["sysctls"]).toMatchObject({ "net/ipv4/ip_forward": "1" });
    expect(edge.node.tryFindChild("forwarding")).toBeUndefined();
  });

  test("of a host forwards only once its policy is there", () => {
    const { app, edge } = program();
    new Router(edge, "router", { masquerade: ["eth0", "ppp0"], clampMss: true });
    const plan = Testing.synth(app);
    expect(at(plan, "edge/router/policy")?.spec).toMatchObject({
      table: "router",
      masquerade: [{ outInterface: "eth0" }, { outInterface: "ppp0" }],
      clampMss: [{ mss: "pmtu" }],
    });
    expect(at(plan, "edge/forwarding")?.dependsOn).toEqual(["edge/router/policy"]);
  });

  test("outside any host is refused", () => {
    const app = Testing.app();
    new Router(app, "router");
    expect(refusals(app)).toEqual([
      "[router] namespace: is on no host: create it inside a Host or Namespace",
    ]);
  });
});

test("constructs of two copies of the package make one program", () => {
  const { app, edge } = program();
  jest.isolateModules(() => {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- a second copy is what is wanted
    const copy = require("../../../lib") as typeof netloom;
    expect(copy.Namespace).not.toBe(Namespace);
    const other = new copy.Namespace(edge, "other");
    new copy.Link(other, "br0", { kind: "bridge" });
  });
  expect(at(Testing.synth(app), "edge/other/br0")).toMatchObject({
    host: "edge",
    dependsOn: ["edge/other"],
    deletedWith: "edge/other",
  });
});
