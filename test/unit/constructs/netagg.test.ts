import { Construct } from "constructs";
import type { App } from "../../../lib";
import { Host, KernelObject, Link, NetAggPair, Testing } from "../../../lib";

const paths = [
  { interface: "eth1", address: "10.0.1.11/24", gateway: "10.0.1.1", weight: 7500 },
  { interface: "eth2", address: "10.0.2.11/24", gateway: "10.0.2.1", weight: 2500 },
] as const;

/** The plan of a pair with some props changed. */
function plan(change: object = {}) {
  const app: App = Testing.app();
  const [a, b] = [new Host(app, "a"), new Host(app, "b")];
  const pair = new NetAggPair(app, "agg", {
    sender: { host: a },
    receiver: { host: b, paths },
    port: 1234,
    ...change,
  });
  return { pair, resources: Testing.synth(app), app };
}
/** The sources of the module are no concern of these tests. */
const brief = (spec: object) =>
  Object.fromEntries(Object.entries(spec).filter(([name]) => name !== "sources"));

test("it makes the module and its tool on both hosts, the receiver's routing, and the rules of both", () => {
  const { resources } = plan();
  const found = resources.map(
    ({ token, path, host, dependsOn }) => `${host} ${token} ${path} < ${dependsOn.join(" ")}`,
  );
  expect(found.map((line) => line.replace(/ <.*/, "")).sort()).toEqual([
    "a netloom:kernel:Module a/netagg/kernel/module",
    "a netloom:kernel:Sysctls a/forwarding",
    "a netloom:netagg:Rules agg/sender",
    "a netloom:system:Executable a/netagg/tool",
    "b netloom:kernel:Module b/netagg/kernel/module",
    "b netloom:kernel:Sysctls b/forwarding",
    "b netloom:kernel:Sysctls b/netagg-settings",
    "b netloom:net:Routes agg/routes",
    "b netloom:net:Rules agg/rules",
    "b netloom:netagg:Rules agg/receiver",
    "b netloom:system:Executable b/netagg/tool",
  ]);
  const of = (path: string) => resources.find((one) => one.path === path)!;
  expect(of("agg/sender").dependsOn).toEqual(
    expect.arrayContaining(["agg/receiver", "a/netagg/kernel/module"]),
  );
  // What cannot be on the receiver shows before a module is built anywhere.
  expect(of("a/netagg/kernel/module").dependsOn).toEqual(
    expect.arrayContaining(["agg/routes", "b/netagg-settings", "a/netagg/tool"]),
  );
  expect(brief(of("b/netagg-settings").spec)).toMatchObject({
    values: {
      "net/ipv4/conf/all/arp_filter": "1",
      "net/ipv4/conf/all/rp_filter": "2",
      "net/ipv4/conf/eth2/arp_filter": "1",
      "net/ipv4/conf/eth2/rp_filter": "2",
    },
  });
  expect(of("agg/routes").spec).toMatchObject({
    routes: expect.arrayContaining([
      expect.objectContaining({ destination: "10.0.2.0/24", dev: "eth2", source: "10.0.2.11", table: 7482 }),
      expect.objectContaining({ destination: "default", via: "10.0.2.1", dev: "eth2", table: 7482 }),
    ]),
  });
  expect(of("agg/rules").spec).toMatchObject({
    rules: [
      expect.objectContaining({ priority: 7481, from: "10.0.1.11/32", table: 7481 }),
      expect.objectContaining({ priority: 7482, from: "10.0.2.11/32", table: 7482 }),
    ],
  });
  const devs = (path: string) =>
    (of(path).spec as { rules: { paths: { dev?: string }[] }[] }).rules[0]?.paths.map(({ dev }) => dev);
  expect([devs("agg/receiver"), devs("agg/sender")]).toEqual([
    ["eth1", "eth2"],
    [undefined, undefined],
  ]);
  const module = of("a/netagg/kernel/module").spec as {
    sources: object;
    keep: { executable: string };
  };
  expect(Object.keys(module.sources)).toEqual(expect.arrayContaining(["Kbuild", "netagg.h", "src/main.c"]));
  expect(module.keep.executable).toMatch(/^\/var\/lib\/netloom\/executables\/[0-9a-f]{16}\/netagg$/);
});

test("its options are those of the rules", () => {
  const { resources } = plan({
    schedule: "flowlet",
    flowletMs: 0.5,
    maxHoldMs: 100,
    probes: { port: 9999, intervalMs: 10, deadAfterMs: 50 },
    adaptive: true,
    encapsulated: true,
  });
  const rules = resources.filter(({ token }) => token === "netloom:netagg:Rules");
  for (const { spec } of rules) {
    expect((spec as { rules: object[] }).rules).toEqual([
      expect.objectContaining({
        ...{ mode: "flowlet", flowletUs: 500, maxHoldUs: 100_000, probePort: 9999 },
        ...{ probeUs: 10_000, deadUs: 50_000, adapt: true, encap: true },
      }),
    ]);
  }
  const silent = plan({ probes: false }).resources.find(({ path }) => path === "agg/sender");
  expect(silent?.spec).toMatchObject({ rules: [{ probePort: 0 }] });
});

test("the links of the program come before what uses their addresses", () => {
  const app = Testing.app();
  const [a, b] = [new Host(app, "a"), new Host(app, "b")];
  for (const { interface: name, address } of paths)
    new Link(b, name, { name, kind: "physical", adopt: true, addresses: [address] });
  new NetAggPair(app, "agg", { sender: { host: a }, receiver: { host: b, paths }, port: 1234 });
  const resources = Testing.synth(app);
  const of = (path: string) => resources.find((one) => one.path === path);
  expect(of("agg/routes")?.dependsOn).toEqual(expect.arrayContaining(["b/eth1", "b/eth2"]));
  // Its settings name the links, too.
  expect(of("b/netagg-settings")?.dependsOn).toEqual(["agg/routes"]);
});

const backends: [string, object, string][] = [
  ["plain sockets", {}, "module: the applications open plain TCP sockets, which MPTCP does not carry"],
  [
    "MPTCP sockets, unequal weights",
    { mptcpSockets: true },
    "module: only the module does this: unequal weights",
  ],
  ["its name", { backend: "mptcp" }, "mptcp: it is asked for"],
];
test.each(backends)("what carries the connections is chosen by %s, and told", (_, change, told) => {
  const { pair } = plan(change);
  const { backend, reason } = pair.backend;
  expect(`${backend}: ${reason}`).toBe(told);
});

test("MPTCP has endpoints and limits in the place of module and rules", () => {
  const equal = paths.map((path) => ({ ...path, weight: 1 }));
  const app = Testing.app();
  const [a, b] = [new Host(app, "a"), new Host(app, "b")];
  const pair = new NetAggPair(app, "agg", {
    ...{ sender: { host: a }, receiver: { host: b, paths: equal }, port: 1234, mptcpSockets: true },
  });
  expect(pair.backend.backend).toBe("mptcp");
  const resources = Testing.synth(app);
  expect(resources.some(({ token }) => /Module|netagg/.test(token))).toBe(false);
  const sets = resources.filter(({ token }) => token === "netloom:net:Mptcp");
  const limits = { subflows: 1, addAddrAccepted: 1 };
  expect(Object.fromEntries(sets.map(({ path, spec }) => [path, spec]))).toEqual({
    "b/netagg-mptcp": {
      name: "netagg",
      endpoints: { "10.0.2.11": { id: 1, flags: ["signal"], dev: "eth2" } },
      limits,
    },
    "a/netagg-mptcp": { name: "netagg", endpoints: {}, limits },
  });
  for (const { host, dependsOn } of sets)
    expect([...dependsOn].sort()).toEqual([
      ...["agg/routes", "agg/rules", `${host}/netagg-mptcp-enabled`, "b/netagg-settings"].sort(),
    ]);
});

test.each([
  [{ intervalMs: 10 }, { probeUs: 10_000, deadUs: 125_000 }],
  [{ intervalMs: 100 }, { probeUs: 100_000, deadUs: 500_000 }],
  [{ intervalMs: 1000 }, { probeUs: 1_000_000, deadUs: 5_000_000 }],
  [
    { intervalMs: 100, deadAfterMs: 200 },
    { probeUs: 100_000, deadUs: 200_000 },
  ],
  [{ deadAfterMs: 50 }, { deadUs: 50_000 }],
])("the silence after which a path is left follows the interval of probes %j", (probes, wanted) => {
  const rule = plan({ probes }).resources.find(({ path }) => path === "agg/receiver");
  expect(rule?.spec).toMatchObject({ rules: [wanted] });
});

test("a path without a network of its own has its gateway alone", () => {
  const change = (address: string) => ({ ...paths[0], address, gateway: "10.0.9.1" });
  for (const address of ["10.0.1.11", "10.0.1.11/32"]) {
    const app = Testing.app();
    const [a, b] = [new Host(app, "a"), new Host(app, "b")];
    const receiver = { host: b, paths: [change(address), paths[1]] };
    new NetAggPair(app, "agg", { sender: { host: a }, receiver, port: 1234 });
    const routes = Testing.synth(app).find(({ path }) => path === "agg/routes")?.spec["routes"];
    expect((routes as { table: number }[]).filter(({ table }) => table === 7481)).toEqual([
      {
        ...{ destination: "default", via: "10.0.9.1", onLink: true },
        ...{ dev: "eth1", source: "10.0.1.11", table: 7481 },
      },
    ]);
  }
});

test("what it has on hosts is named by its path, with a hash where that is long or not plain", () => {
  const names = (scope: string, id: string) => {
    const app = Testing.app();
    const [a, b] = [new Host(app, "a"), new Host(app, "b")];
    new NetAggPair(new Construct(app, scope), id, {
      ...{ sender: { host: a }, receiver: { host: b, paths }, port: 1234 },
    });
    return Testing.synth(app)
      .filter(({ path }) => path.startsWith(`${scope}/${id}/`))
      .map(({ spec }) => String(spec["name"]));
  };
  expect(names("site1", "agg").sort()).toEqual(
    ["receiver", "routes", "rules", "sender"].map((part) => `site1.agg.${part}`),
  );
  // Another pair's path could read the same with dots in it.
  expect(names("site1.x", "agg")[0]).not.toBe(names("site1", "x.agg")[0]);
  for (const name of [...names("s".repeat(80), "agg"), ...names("ein Ort", "agg"), ...names("-", "agg")])
    expect(name).toMatch(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,54}-[0-9a-f]{8}$/);
  expect(new Set(names("s".repeat(80), "agg")).size).toBe(4);
});

test("adoption, protection and timeouts are those of its routes and rules, the module and the tool", () => {
  const timeouts = { create: "20m" };
  const { app } = plan({ adopt: true, protect: true, timeouts });
  const leaves = app.node.findAll().filter((one) => KernelObject.isKernelObject(one));
  const asked = leaves.filter(({ kernelObject }) => kernelObject.adopt);
  expect(asked.map(({ node }) => node.path).sort()).toEqual([
    ...["a/netagg/kernel/module", "a/netagg/tool", "agg/receiver", "agg/routes", "agg/rules", "agg/sender"],
    ...["b/netagg/kernel/module", "b/netagg/tool"],
  ]);
  for (const { kernelObject } of asked) expect(kernelObject).toMatchObject({ protect: true, timeouts });
});

test("packages and a signature of one end go before those of both", () => {
  const app = Testing.app();
  const [a, b] = [new Host(app, "a"), new Host(app, "b")];
  const sign = { key: "/etc/keys/mok.pem", certificate: "/etc/keys/mok.crt" };
  new NetAggPair(app, "agg", {
    sender: { host: a },
    receiver: { host: b, paths, packages: ["gcc"], sign },
    port: 1234,
    packages: ["gcc", "make"],
  });
  const resources = Testing.synth(app);
  const of = (path: string) => resources.find((one) => one.path === path)?.spec;
  expect(of("a/netagg/kernel/packages")?.["packages"]).toEqual({ gcc: "installed", make: "installed" });
  expect(of("b/netagg/kernel/packages")?.["packages"]).toEqual({ gcc: "installed" });
  expect(of("a/netagg/kernel/module")?.["sign"]).toBeUndefined();
  expect(of("b/netagg/kernel/module")?.["sign"]).toEqual(sign);
});

test("what is wrong with its routes and rules is told of the props that they come from", () => {
  const { pair } = plan();
  const told = (leaf: string, ...path: (string | number)[]) => {
    const { origin, onBehalfOf } = (pair.node.findChild(leaf) as KernelObject).kernelObject;
    expect(onBehalfOf).toBe(pair);
    return origin?.(path);
  };
  // A route onto the link and one by the gateway for each path.
  expect(told("routes", "routes", 1, "via")).toEqual(["receiver", "paths", 0, "gateway"]);
  expect(told("routes", "routes", 2, "dev")).toEqual(["receiver", "paths", 1, "interface"]);
  expect(told("routes", "routes", 2, "source")).toEqual(["receiver", "paths", 1, "address"]);
  expect(told("routes", "routes", 3, "table")).toEqual(["firstTable"]);
  expect(told("rules", "rules", 1, "from")).toEqual(["receiver", "paths", 1, "address"]);
  expect(told("rules", "rules", 1, "priority")).toEqual(["firstTable"]);
  expect(told("receiver", "rules", 0, "probeUs")).toEqual(["probes", "intervalMs"]);
});
