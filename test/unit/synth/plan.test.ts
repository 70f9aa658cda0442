import * as pulumi from "@pulumi/pulumi";
import { Construct, Dependable } from "constructs";
import { Composite, KernelObject, Testing } from "../../../lib/synth";
import { Machine, Space, space, wire, wireIn, waysIn } from "./kinds";
import { refusals } from "./support";

function onEdge() {
  const app = Testing.app();
  const edge = new Machine(app, "edge");
  return { app, edge, box: new Space(edge, "box", "edge") };
}

const at = (app: ReturnType<typeof Testing.app>, path: string) =>
  Testing.synth(app).find((resource) => resource.path === path);

describe("the order of a plan", () => {
  test("everything comes after what it depends on, in whatever order the program made it", () => {
    const { app, box } = onEdge();
    waysIn(box, "routes", [{ destination: "default", via: "10.0.0.254" }]);
    wireIn(box, "t1", { tunnel: { protocol: "gre", local: "10.0.0.1", remote: "10.9.0.1", overhead: 24 } });
    wireIn(box, "eth0", { addresses: ["10.0.0.1/24"], master: "br0" });
    wireIn(box, "br0", { kind: "bridge" });
    const plan = Testing.synth(app);
    expect(plan.map(({ path }) => path)).toEqual([
      "edge/box",
      "edge/box/br0",
      "edge/box/eth0",
      "edge/box/routes",
      "edge/box/t1",
    ]);
    for (const [index, { dependsOn }] of plan.entries()) {
      const before = plan.slice(0, index).map(({ path }) => path);
      expect(before).toEqual(expect.arrayContaining([...dependsOn]));
    }
  });

  test("it is the order of the tree where nothing depends on anything", () => {
    const { app, edge } = onEdge();
    for (const id of ["c", "a", "b"]) wireIn(edge, id);
    expect(Testing.synth(app).map(({ path }) => path)).toEqual(["edge/box", "edge/c", "edge/a", "edge/b"]);
  });

  test("a thousand links in a chain neither overflow the stack nor take long", () => {
    const { app, edge } = onEdge();
    let before: KernelObject | undefined;
    for (let index = 0; index < 1000; index += 1) {
      const link = wireIn(edge, `l${index}`);
      if (before !== undefined) before.node.addDependency(link);
      before = link;
    }
    expect(Testing.synth(app)[0]?.path).toBe("edge/box");
    expect(Testing.synth(app)[1]?.path).toBe("edge/l999");
  });
});

describe("what a resource depends on", () => {
  test("the namespace that it is in, which also takes it along when it goes", () => {
    const { app, box } = onEdge();
    wireIn(box, "eth0");
    expect(at(app, "edge/box/eth0")).toMatchObject({ dependsOn: ["edge/box"], deletedWith: "edge/box" });
  });

  test("a namespace of the same name on another host is another one", () => {
    const { app, edge } = onEdge();
    const far = new Machine(app, "far");
    new Space(far, "box", "far");
    wireIn(edge, "eth0", { netns: "box" });
    wireIn(far, "eth0", { netns: "box" });
    expect(at(app, "far/eth0")?.dependsOn).toEqual(["far/box"]);
    expect(at(app, "edge/eth0")?.deletedWith).toBe("edge/box");
  });

  test("a host is no reason to be deleted with it: nothing that is deleted stands for it", () => {
    const { app, edge } = onEdge();
    wireIn(edge, "eth0");
    expect(at(app, "edge/eth0")).toEqual({
      path: "edge/eth0",
      token: "netloom:test:Wire",
      name: "edge/eth0",
      host: "edge",
      spec: { name: "eth0" },
      dependsOn: [],
    });
  });

  test("a port's bridge, a tunnel's lower link and the link with its local address", () => {
    const { app, edge } = onEdge();
    wireIn(edge, "br0", { kind: "bridge" });
    wireIn(edge, "port", { master: "br0" });
    wireIn(edge, "low");
    wireIn(edge, "up", { tunnel: { protocol: "vlan", key: 5, link: "low", overhead: 4 } });
    wireIn(edge, "wan", { addresses: ["192.0.2.1/24"] });
    wireIn(edge, "gre", { tunnel: { protocol: "gre", local: "192.0.2.1", overhead: 24 } });
    expect(at(app, "edge/port")?.dependsOn).toEqual(["edge/br0"]);
    expect(at(app, "edge/up")?.dependsOn).toEqual(["edge/low"]);
    expect(at(app, "edge/gre")?.dependsOn).toEqual(["edge/wan"]);
  });

  test("a route's device and the link whose subnet its next hop is in", () => {
    const { app, edge } = onEdge();
    wireIn(edge, "a", { addresses: ["10.0.0.1/24"] });
    wireIn(edge, "b");
    waysIn(edge, "via", [{ destination: "default", via: "10.0.0.9" }]);
    waysIn(edge, "dev", [{ destination: "10.7.0.0/16", dev: "b" }]);
    expect(at(app, "edge/via")?.dependsOn).toEqual(["edge/a"]);
    expect(at(app, "edge/dev")?.dependsOn).toEqual(["edge/b"]);
  });

  test("a route's next hop that only another set's route onto a link reaches", () => {
    const { app, edge } = onEdge();
    waysIn(edge, "default", [{ destination: "default", via: "172.16.3.1" }]);
    waysIn(edge, "onlink", [{ destination: "172.16.3.1/32", dev: "eno1" }]);
    expect(at(app, "edge/default")?.dependsOn).toEqual(["edge/onlink"]);
  });

  test("and no route of another table than its own and main, which the kernel does not ask", () => {
    const { app, edge } = onEdge();
    const default3 = { destination: "default", via: "172.16.3.1", dev: "eno1", table: 3 };
    waysIn(edge, "default", [default3]);
    waysIn(edge, "own", [{ destination: "172.16.3.0/24", dev: "eno1", table: 3 }]);
    waysIn(edge, "other", [{ destination: "172.16.3.0/24", dev: "eno1", table: 4 }]);
    expect(at(app, "edge/default")?.dependsOn).toEqual(["edge/own"]);
  });

  test("what the program says: of a leaf, and of all leaves of one scope on all of another", () => {
    const { app, edge } = onEdge();
    const [one, two] = [new Composite(edge, "one"), new Composite(edge, "two")];
    for (const id of ["x", "y"]) wireIn(one, `1${id}`);
    for (const id of ["x", "y"]) wireIn(two, `2${id}`);
    one.node.addDependency(two);
    expect(at(app, "edge/one/1x")?.dependsOn).toEqual(["edge/two/2x", "edge/two/2y"]);
    expect(at(app, "edge/one/1y")?.dependsOn).toEqual(["edge/two/2x", "edge/two/2y"]);
    expect(at(app, "edge/two/2x")?.dependsOn).toEqual([]);
  });

  test("a dependency on the scope that one is in is not a circle", () => {
    const { app, edge } = onEdge();
    wireIn(edge, "eth0").node.addDependency(edge);
    expect(refusals(app)).toEqual([]);
  });

  test("a group of constructs that stands for others", () => {
    const { app, edge } = onEdge();
    const target = wireIn(edge, "z");
    const group = {};
    Dependable.implement(group, { dependencyRoots: [target] });
    wireIn(edge, "a").node.addDependency(group);
    expect(at(app, "edge/a")?.dependsOn).toEqual(["edge/z"]);
  });

  test("a circle is refused with the way around it", () => {
    const { app, edge } = onEdge();
    const [a, b, c] = [wireIn(edge, "a"), wireIn(edge, "b"), wireIn(edge, "c")];
    a.node.addDependency(b);
    b.node.addDependency(c);
    c.node.addDependency(a);
    expect(refusals(app)).toEqual(["[edge/a] depends on itself: edge/a → edge/b → edge/c → edge/a"]);
  });
});

describe("intents", () => {
  test("deferred values and promises are skipped by the schema and shown as such in the plan", () => {
    const { app, edge } = onEdge();
    wireIn(edge, "eth0", {
      mtu: pulumi.output(9000),
      addresses: [pulumi.secret("10.0.0.1/24"), "10.1.0.1/24"],
    });
    wireIn(edge, "eth1", { mtu: Promise.resolve(1400) });
    expect(at(app, "edge/eth0")?.spec).toEqual({
      name: "eth0",
      mtu: Testing.UNKNOWN,
      addresses: [Testing.UNKNOWN, "10.1.0.1/24"],
    });
    expect(at(app, "edge/eth1")?.spec["mtu"]).toBe(Testing.UNKNOWN);
  });

  test("what is wrong beside a deferred value is still found", () => {
    const { app, edge } = onEdge();
    wireIn(edge, "eth0", { mtu: pulumi.output(9000), addresses: [pulumi.secret("x"), "; rm -rf /"] });
    expect(refusals(app)).toEqual(["[edge/eth0] addresses[1]: must be plain characters"]);
  });

  test("properties that are undefined are left out", () => {
    const { app, edge } = onEdge();
    wireIn(edge, "eth0", { mtu: undefined });
    expect(Object.keys(at(app, "edge/eth0")?.spec ?? {})).toEqual(["name"]);
  });

  test("an intent is read when the tree is complete, and completed when what it depends on is known", () => {
    const { app, edge } = onEdge();
    let name = "early";
    const tunnel = { protocol: "gre", local: "10.0.0.1", remote: "10.9.0.1", overhead: 24 };
    new KernelObject(edge, "t1", {
      kind: wire,
      intent: () => ({ name, tunnel }),
      complete: (intent, view) => ({ ...intent, mtu: view.tunnelMtu() }),
    });
    wireIn(edge, "eth0", { addresses: ["10.0.0.1/24"], mtu: 1400 });
    name = "late";
    expect(at(app, "edge/t1")?.spec).toMatchObject({ name: "late", mtu: 1376 });
  });

  test("a tunnel's MTU goes by the smaller link below its two ends, or by the path where it is smaller still", () => {
    const mtus = (pathMtu?: number) => {
      const app = Testing.app();
      for (const [name, local, remote, mtu] of [
        ["north", "192.0.2.1", "192.0.2.2", 1500],
        ["south", "192.0.2.2", "192.0.2.1", 1400],
      ] as const) {
        const host = new Machine(app, name);
        wireIn(host, "wan", { addresses: [`${local}/24`], mtu });
        new KernelObject(host, "t", {
          kind: wire,
          intent: { name: "t", tunnel: { protocol: "gre", local, remote, overhead: 24 } },
          complete: (intent, view) => ({ ...intent, mtu: view.tunnelMtu(pathMtu) }),
        });
      }
      return Testing.synth(app).flatMap(({ path, spec }) => (path.endsWith("/t") ? [spec["mtu"]] : []));
    };
    expect(mtus()).toEqual([1376, 1376]);
    expect(mtus(1300)).toEqual([1276, 1276]);
    expect(mtus(9000)).toEqual([1376, 1376]);
  });

  test("a leaf outside any host is refused", () => {
    const app = Testing.app();
    new KernelObject(app, "lost", { kind: space, intent: { name: "lost" } });
    expect(refusals(app)).toEqual([
      "[lost] is on no host: create it inside a Host or a Namespace, or give it one",
    ]);
  });
});

describe("a refused program", () => {
  test("is told everything at once, in the order of the tree, and nothing else", () => {
    const { app, edge, box } = onEdge();
    wireIn(edge, "bad", { name: "$(reboot)", mtu: 13 });
    wireIn(box, "unlucky", { mtu: 13 });
    wireIn(box, "twin", { name: "unlucky" });
    class Picky extends Construct {
      constructor(scope: Construct, id: string) {
        super(scope, id);
        this.node.addValidation({ validate: () => ["does not like it here"] });
      }
    }
    new Picky(edge, "picky");
    let thrown: unknown;
    try {
      Testing.synth(app);
    } catch (error) {
      thrown = error;
    }
    const error = thrown as Error;
    expect(error.name).toBe("ValidationError");
    expect(error.message).toBe(
      [
        "4 things are wrong with this program; nothing was changed.",
        "  [edge/box/unlucky] mtu: thirteen is unlucky",
        "  [edge/box/twin] name: edge/box/unlucky makes an interface unlucky in namespace box of edge already",
        "  [edge/bad] name: must be plain characters",
        "  [edge/picky] does not like it here",
      ].join("\n"),
    );
    expect(error.stack).toBe(`ValidationError: ${error.message}`);
  });

  test("can be mended by nobody but its author: the tree is locked once it was looked at", () => {
    const { app, edge } = onEdge();
    Testing.synth(app);
    expect(() => wireIn(edge, "late")).toThrow(/during synthesis/);
  });
});
