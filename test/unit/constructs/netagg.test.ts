import type { App } from "../../../lib";
import { Host, Link, NetAggPair, Testing } from "../../../lib";

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
const withPaths = (...changes: object[]) => {
  const app: App = Testing.app();
  const [a, b] = [new Host(app, "a"), new Host(app, "b")];
  const receiver = { host: b, paths: paths.map((path, index) => ({ ...path, ...changes[index] })) };
  new NetAggPair(app, "agg", { sender: { host: a }, receiver, port: 1234 });
  return Testing.synth(app);
};

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
    "b netloom:kernel:Sysctls agg/settings",
    "b netloom:kernel:Sysctls b/forwarding",
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
    expect.arrayContaining(["agg/routes", "a/netagg/tool"]),
  );
  expect(brief(of("agg/settings").spec)).toMatchObject({
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

test("two pairs share the module of a host", () => {
  const app = Testing.app();
  const [a, b] = [new Host(app, "a"), new Host(app, "b")];
  for (const [index, port] of [1234, 1235].entries()) {
    new NetAggPair(app, `agg${index}`, {
      sender: { host: a },
      receiver: {
        host: b,
        paths: paths.map((path, nth) => ({
          ...path,
          address: `10.${index}.${nth}.11/24`,
          gateway: `10.${index}.${nth}.1`,
          interface: `eth${index}${nth}`,
        })),
      },
      port,
      firstTable: 100 + 10 * index,
    });
  }
  const modules = Testing.synth(app).filter(({ token }) => token === "netloom:kernel:Module");
  expect(modules.map(({ path }) => path).sort()).toEqual([
    "a/netagg/kernel/module",
    "b/netagg/kernel/module",
  ]);
});

test("the links of the program come before what uses their addresses", () => {
  const app = Testing.app();
  const [a, b] = [new Host(app, "a"), new Host(app, "b")];
  for (const { interface: name, address } of paths)
    new Link(b, name, { name, kind: "physical", adopt: true, addresses: [address] });
  new NetAggPair(app, "agg", { sender: { host: a }, receiver: { host: b, paths }, port: 1234 });
  const routes = Testing.synth(app).find(({ path }) => path === "agg/routes");
  expect(routes?.dependsOn).toEqual(expect.arrayContaining(["b/eth1", "b/eth2"]));
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
  expect(sets.map(({ host, spec }) => [host, spec])).toEqual([
    [
      "b",
      {
        name: "agg-receiver",
        endpoints: { "10.0.2.11": { id: 1, flags: ["signal"], dev: "eth2" } },
        limits: { subflows: 1, addAddrAccepted: 1 },
      },
    ],
    ["a", { name: "agg-sender", endpoints: {}, limits: { subflows: 1, addAddrAccepted: 1 } }],
  ]);
});

const wrong: [string, () => unknown, RegExp][] = [
  [
    "a weight of 0",
    () => withPaths({}, { weight: 0 }),
    /\[agg\] receiver\.paths\[1\]\.weight: must be a whole number from 1/,
  ],
  ["no weight", () => withPaths({ weight: undefined }), /\[agg\] receiver\.paths\[0\]\.weight: is required/],
  [
    "one address twice",
    () => withPaths({}, { address: "10.0.1.11/24" }),
    /\[agg\] receiver\.paths\[1\]\.address: 10\.0\.1\.11 port 1234 is another path/,
  ],
  ["port 0", () => plan({ port: 0 }), /\[agg\] port: must be a whole number from 1 to 65535/],
  ["port 65536", () => plan({ port: 65536 }), /\[agg\] port: must be a whole number from 1 to 65535/],
  [
    "a path's port 0",
    () => withPaths({ port: 0 }),
    /\[agg\] receiver\.paths\[0\]\.port: must be a whole number/,
  ],
  [
    "no way back",
    () => withPaths({ address: "10.0.1.11", gateway: undefined }),
    /\[agg\] receiver\.paths\[0\]\.address: has neither prefix length nor gateway/,
  ],
  [
    "MPTCP inside UDP",
    () => plan({ backend: "mptcp", encapsulated: true }),
    /\[agg\] backend: MPTCP has none of this: encapsulated/,
  ],
  [
    "probes too far apart",
    () => plan({ probes: { deadAfterMs: 40 } }),
    /\[agg\] probes\.deadAfterMs: must be at least twice/,
  ],
];
test.each(wrong)("%s is one clear error, before any host is touched", (_, make, message) => {
  expect(make).toThrow(message);
  const error = (() => {
    try {
      make();
    } catch (thrown) {
      return String(thrown);
    }
    return "";
  })();
  expect(error).toMatch(/^ValidationError: 1 thing is wrong with this program; nothing was changed\./);
});
