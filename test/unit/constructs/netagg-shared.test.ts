import { Host, KernelObject, NetAggPair, Testing, type App, type NetAggPairProps } from "../../../lib";
import { refusals } from "../synth/support";

/** Paths to two addresses that end in a number. */
const pathsTo = (last: number, ...links: string[]) =>
  (links.length === 0 ? ["eth1", "eth2"] : links).map((link, index) => ({
    interface: link,
    address: `10.0.${index + 1}.${last}/24`,
    gateway: `10.0.${index + 1}.1`,
    weight: 1,
  }));

interface Hosts {
  readonly app: App;
  readonly a: Host;
  readonly b: Host;
  readonly c: Host;
}

/** Pairs from `a` to `b`, each with the props that are given for it. */
function program(...pairs: readonly ((hosts: Hosts) => Partial<NetAggPairProps>)[]): Hosts {
  const app = Testing.app();
  const hosts = { app, a: new Host(app, "a"), b: new Host(app, "b"), c: new Host(app, "c") };
  pairs.forEach((props, index) => {
    new NetAggPair(app, `agg${index + 1}`, {
      sender: { host: hosts.a },
      receiver: { host: hosts.b, paths: pathsTo(11) },
      port: 1233 + index,
      ...props(hosts),
    });
  });
  return hosts;
}

/** The specs of a plan by path, of those with a token. */
function specs({ app }: Hosts, token: string) {
  const all = Testing.synth(app).filter((one) => one.token === token);
  return Object.fromEntries(all.map(({ path, spec }) => [path, spec]));
}

const tablesOf = (hosts: Hosts) =>
  Object.fromEntries(
    Object.entries(specs(hosts, "netloom:net:Rules")).map(([path, { rules }]) => [
      path.replace("/rules", ""),
      (rules as { table: number; priority: number }[]).map(({ table, priority }) =>
        table === priority ? table : undefined,
      ),
    ]),
  );

const mptcp = { backend: "mptcp" } as const;
const both =
  (other: object) =>
  ({ a, b }: Hosts) => ({
    ...other,
    sender: { host: b },
    receiver: { host: a, paths: pathsTo(21) },
  });

describe.each([
  ["two of the module", {}, {}],
  ["two of MPTCP", mptcp, mptcp],
  ["one of each", {}, mptcp],
])("of two pairs, %s,", (_, first, second) => {
  test("the receiver's settings have one owner, with the links of both", () => {
    const hosts = program(
      () => first,
      ({ b }) => ({ ...second, receiver: { host: b, paths: pathsTo(12, "eth2", "eth3") } }),
    );
    const settings = specs(hosts, "netloom:kernel:Sysctls");
    const owners = Object.entries(settings).flatMap(([path, { values }]) =>
      Object.keys(values as object).map((key) => [`${path.split("/")[0]} ${key}`, path] as const),
    );
    expect(new Set(owners.map(([key]) => key)).size).toBe(owners.length);
    expect(settings["b/netagg-settings"]).toEqual({
      name: "netagg",
      values: Object.fromEntries(
        ["all", "eth1", "eth2", "eth3"].flatMap((link) => [
          [`net/ipv4/conf/${link}/arp_filter`, "1"],
          [`net/ipv4/conf/${link}/rp_filter`, "2"],
        ]),
      ),
    });
    const after = Testing.synth(hosts.app).find(({ path }) => path === "b/netagg-settings")?.dependsOn;
    expect([...(after ?? [])].sort()).toEqual(["agg1/routes", "agg2/routes"]);
  });

  test("to the same addresses, neither waits for the other in a circle", () => {
    const hosts = program(
      () => first,
      () => second,
    );
    expect(refusals(hosts.app)).toEqual([]);
  });

  test("one back to where the other comes from, neither waits for the other in a circle", () => {
    const hosts = program(() => first, both(second));
    expect(refusals(hosts.app)).toEqual([]);
  });
});

test("two pairs of the module have one module and one tool on each host, after the routing of both", () => {
  const hosts = program(
    () => ({}),
    () => ({}),
  );
  expect(Object.keys(specs(hosts, "netloom:kernel:Module")).sort()).toEqual([
    "a/netagg/kernel/module",
    "b/netagg/kernel/module",
  ]);
  const plan = Testing.synth(hosts.app);
  for (const host of ["a", "b"])
    expect(plan.find(({ path }) => path === `${host}/netagg/tool`)?.dependsOn).toEqual(
      expect.arrayContaining(["agg1/routes", "agg2/routes", "agg1/rules", "agg2/rules", "b/netagg-settings"]),
    );
});

test("two pairs of MPTCP have one set of endpoints, numbered on their host, and room for all of them", () => {
  const hosts = program(
    ({ b }) => ({ ...mptcp, receiver: { host: b, paths: pathsTo(11, "eth1", "eth2", "eth3") } }),
    ({ b, c }) => ({ ...mptcp, sender: { host: c }, receiver: { host: b, paths: pathsTo(12) } }),
    // A path that has been told of.
    () => mptcp,
  );
  const told = (id: number, dev: string) => ({ id, flags: ["signal"], dev });
  const limits = { subflows: 3, addAddrAccepted: 3 };
  expect(specs(hosts, "netloom:net:Mptcp")).toEqual({
    "a/netagg-mptcp": { name: "netagg", endpoints: {}, limits },
    "b/netagg-mptcp": {
      name: "netagg",
      endpoints: {
        "10.0.2.11": told(1, "eth2"),
        "10.0.3.11": told(2, "eth3"),
        "10.0.2.12": told(3, "eth2"),
      },
      limits,
    },
    "c/netagg-mptcp": { name: "netagg", endpoints: {}, limits },
  });
});

test("a host that receives for one pair of MPTCP and sends for another has one set for both", () => {
  const hosts = program(() => mptcp, both(mptcp));
  expect(Object.keys(specs(hosts, "netloom:net:Mptcp")).sort()).toEqual(["a/netagg-mptcp", "b/netagg-mptcp"]);
  expect(specs(hosts, "netloom:net:Mptcp")["a/netagg-mptcp"]).toEqual({
    name: "netagg",
    endpoints: { "10.0.2.21": { id: 1, flags: ["signal"], dev: "eth2" } },
    limits: { subflows: 1, addAddrAccepted: 1 },
  });
});

test("more endpoints than Linux takes are an error of the pair that has them", () => {
  const { app } = program(
    ({ b }) => ({ ...mptcp, receiver: { host: b, paths: pathsTo(11, "e1", "e2", "e3", "e4", "e5", "e6") } }),
    ({ b }) => ({ ...mptcp, receiver: { host: b, paths: pathsTo(12, "e1", "e2", "e3", "e4", "e5") } }),
  );
  expect(refusals(app)).toEqual([
    "[agg2] receiver.paths: b would have 9 MPTCP endpoints with those of earlier pairs, and Linux takes 8",
  ]);
});

describe("tables of two pairs on one receiver", () => {
  test("follow each other in the order of the program", () => {
    const pairs = [() => ({}), () => mptcp, () => ({})];
    const wanted = { agg1: [7481, 7482], agg2: [7489, 7490], agg3: [7497, 7498] };
    expect(tablesOf(program(...pairs))).toEqual(wanted);
    expect(tablesOf(program(...pairs, () => ({})))).toMatchObject(wanted);
  });

  test("stay as they are when the one before has a path more", () => {
    const hosts = program(
      ({ b }) => ({ receiver: { host: b, paths: pathsTo(11, "e1", "e2", "e3") } }),
      ({ b }) => ({ receiver: { host: b, paths: pathsTo(12) } }),
    );
    expect(tablesOf(hosts)).toEqual({ agg1: [7481, 7482, 7483], agg2: [7489, 7490] });
  });

  test("leave out those that an earlier one has named", () => {
    const hosts = program(
      () => ({ firstTable: 7485 }),
      () => ({}),
    );
    expect(tablesOf(hosts)).toEqual({ agg1: [7485, 7486], agg2: [7489, 7490] });
  });

  test("are no matter of another receiver's", () => {
    const hosts = program(
      () => ({}),
      ({ c }) => ({ receiver: { host: c, paths: pathsTo(13) } }),
    );
    expect(tablesOf(hosts)).toEqual({ agg1: [7481, 7482], agg2: [7481, 7482] });
  });

  const clashing: [number | undefined, number, string][] = [
    [undefined, 7481, "7481 to 7482 are agg1's on b; set firstTable to 7483"],
    [undefined, 7482, "7481 to 7482 are agg1's on b; set firstTable to 7483"],
    [undefined, 7480, "7481 to 7482 are agg1's on b; set firstTable to 7483"],
    [251, 250, "251 to 252 are agg1's on b; set firstTable to 256"],
    [32764, 32764, "32764 to 32765 are agg1's on b; lower it"],
  ];
  test.each(clashing)("that begin at %p and at %p are one error", (first, second, message) => {
    const { app } = program(
      () => (first === undefined ? {} : { firstTable: first }),
      () => ({ firstTable: second }),
    );
    expect(refusals(app)).toEqual([`[agg2] firstTable: ${message}, or leave it out`]);
  });
});

describe.each([
  ["module", {}, {}],
  ["MPTCP", mptcp, mptcp],
  ["either", {}, mptcp],
])("by %s", (_, first, second) => {
  test("one port of the same addresses for two pairs is one error", () => {
    const hosts = program(
      () => first,
      () => ({ ...second, port: 1233 }),
    );
    expect(refusals(hosts.app)).toEqual([
      "[agg2] port: 10.0.1.11 port 1233 is agg1's: take another port or address",
    ]);
    expect(hosts.app.node.findChild("agg2").node.children).toEqual([]);
  });

  test("the same address and port on two receivers is an error for one sender", () => {
    const other = ({ c }: Hosts) => ({ ...second, port: 1233, receiver: { host: c, paths: pathsTo(11) } });
    expect(refusals(program(() => first, other).app)).toEqual([
      "[agg2] port: 10.0.1.11 port 1233 is agg1's, too, and both send from a: take another port or address",
    ]);
    const from = (hosts: Hosts) => ({ ...other(hosts), sender: { host: hosts.b } });
    expect(refusals(program(() => first, from).app)).toEqual([]);
  });

  test("an address that is on two links is an error", () => {
    const { app } = program(
      () => first,
      ({ b }) => ({ ...second, receiver: { host: b, paths: pathsTo(11, "eth1", "eth3") } }),
    );
    expect(refusals(app)).toEqual([
      '[agg2] receiver.paths[1].interface: 10.0.2.11 is on eth2, says agg1; found "eth3"',
    ]);
  });
});

test("a path's own port that is another pair's is an error under it", () => {
  const { app } = program(
    () => ({}),
    ({ b }) => {
      const [first, second] = pathsTo(11);
      return { port: 9000, receiver: { host: b, paths: [first!, { ...second!, port: 1233 }] } };
    },
  );
  expect(refusals(app)).toEqual([
    "[agg2] receiver.paths[1].port: 10.0.2.11 port 1233 is agg1's: take another port or address",
  ]);
});

describe("of the module that two pairs share on a host", () => {
  const sign = (name: string) => ({ key: `/etc/keys/${name}.pem`, certificate: `/etc/keys/${name}.crt` });
  const built = (hosts: Hosts) => {
    const plan = Testing.synth(hosts.app);
    const of = (path: string) => plan.find((one) => one.path === path)?.spec;
    return ["a", "b"].map((host) => ({
      packages: of(`${host}/netagg/kernel/packages`)?.["packages"],
      sign: of(`${host}/netagg/kernel/module`)?.["sign"],
      versions: new Set(
        plan
          .filter(({ token, host: at }) => token === "netloom:netagg:Rules" && at === host)
          .map(({ spec }) => spec["module"]),
      ).size,
    }));
  };

  test.each([0, 1])("packages and signature are those of the one that says them (%p)", (who) => {
    const said = { packages: ["gcc", "make"], sign: sign("mok") };
    const hosts = program(...[0, 1].map((nth) => () => (nth === who ? said : {})));
    const one = { packages: { gcc: "installed", make: "installed" }, sign: said.sign, versions: 1 };
    expect(built(hosts)).toEqual([one, one]);
  });

  test("the same packages in another order are the same", () => {
    const hosts = program(
      () => ({ packages: ["gcc", "make"], timeouts: { create: "20m" } }),
      () => ({ packages: ["make", "gcc"], timeouts: { create: "20m" } }),
    );
    expect(refusals(hosts.app)).toEqual([]);
  });

  const differing: [string, object, object, string][] = [
    [
      "packages",
      { packages: ["gcc"] },
      { packages: ["make"] },
      'packages: ["make"] is not what agg1 has, ["gcc"], and one module on b serves both',
    ],
    ["signatures", { sign: sign("x") }, { sign: sign("y") }, "sign: {"],
    [
      "timeouts",
      { timeouts: { create: "20m" } },
      { timeouts: { create: "5m" } },
      'timeouts: {"create":"5m"} is not what agg1 has, {"create":"20m"}',
    ],
  ];
  test.each(differing)("two different %s are one error", (_, first, second, line) => {
    const { app } = program(
      () => first,
      () => second,
    );
    expect(refusals(app)).toEqual([expect.stringContaining(`[agg2] ${line}`)]);
  });

  test("different packages of one end are an error under that end", () => {
    const { app } = program(
      () => ({ packages: ["gcc"] }),
      ({ a }) => ({ sender: { host: a, packages: ["clang"] } }),
    );
    expect(refusals(app)).toEqual([
      '[agg2] sender.packages: ["clang"] is not what agg1 has, ["gcc"], and one module on a serves both: give the same, or leave it out',
    ]);
  });

  test("what a pair by MPTCP says of it is no matter", () => {
    const { app } = program(
      () => ({ packages: ["gcc"] }),
      () => ({ ...mptcp, packages: ["make"] }),
    );
    expect(refusals(app)).toEqual([]);
  });

  test("it is adopted and protected where one of them asks for it", () => {
    const { app } = program(
      () => ({}),
      () => ({ adopt: true, protect: true }),
    );
    const leaves = app.node.findAll().filter((one) => KernelObject.isKernelObject(one));
    const of = (what: "adopt" | "protect") =>
      leaves.filter(({ kernelObject }) => kernelObject[what]).map(({ node }) => node.path);
    const wanted = [
      ...["a/netagg/tool", "a/netagg/kernel/module", "b/netagg/tool", "b/netagg/kernel/module"],
      ...["routes", "rules", "receiver", "sender"].map((part) => `agg2/${part}`),
    ];
    expect(of("adopt").sort()).toEqual(wanted.sort());
    expect(of("protect").sort()).toEqual(wanted.sort());
  });
});
