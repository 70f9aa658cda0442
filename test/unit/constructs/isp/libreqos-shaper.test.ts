import { createHash } from "node:crypto";
import {
  App,
  Bridge,
  Host,
  LibreQoSShaper,
  type LibreQoSShaperProps,
  Namespace,
  readLibreQoS,
  Subscribers,
  type SubscriberProps,
  Testing,
  TunnelAllocation,
  VethPair,
} from "../../../../lib";
import type { PlannedResource } from "../../../../lib";
import { parseIspConfigPy, parseLqosConf } from "../../../../constructs/isp";
import type { BridgeMode } from "../../../../constructs/isp/shaper";
import { refusals } from "../../synth/support";
import { isSecret, registered } from "../../synth/mocks";

interface Given {
  readonly shaper?: LibreQoSShaperProps;
  readonly subscribers?: readonly SubscriberProps[];
  readonly bridge?: BridgeMode;
  /** Whether a Linux bridge joins the two sides. @default that the bridge is "linux" */
  readonly joined?: boolean;
  readonly queues?: number;
  readonly uplink?: { readonly download: number; readonly upload: number };
  /** Puts the shaping point in a namespace. */
  readonly netns?: string;
}

const plan = { downloadMax: 20, uploadMax: 10 };
const TWO: readonly SubscriberProps[] = [
  { id: "ann", plan },
  { id: "bob", plan: { downloadMax: 50, uploadMax: 50, downloadMin: 5, uploadMin: 5 } },
];

/** Two pairs whose inner ends are the two sides, and the shaper between them. */
function program(given: Given = {}): App {
  const { bridge = "linux", queues = 8, uplink = { download: 1000, upload: 1000 } } = given;
  const app = new App();
  const edge = new Host(app, "edge", {
    address: "192.0.2.1",
    hostKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0",
  });
  const place = given.netns === undefined ? edge : new Namespace(edge, given.netns);
  const [ns1, ns2] = [new Namespace(edge, "ns1"), new Namespace(edge, "ns2")];
  const pair = (name: string, far: Namespace) =>
    new VethPair(place, name, {
      a: { namespace: place, name },
      b: { namespace: far, name: "shaped" },
      ...(queues > 0 && { queues }),
    });
  const [down, up] = [pair("down0", ns1), pair("up0", ns2)];
  if (given.joined ?? bridge === "linux") new Bridge(place, "br0", { ports: [down.a, up.a] });
  const subscribers = Subscribers.of(given.subscribers ?? TWO);
  const allocation = TunnelAllocation.of(subscribers.all, { ipv4: "192.168.11.0/24" });
  const point = { subscriberSide: down.a, internetSide: up.a, bridge, uplink };
  new LibreQoSShaper(given.shaper).attach(place, point, { subscribers, allocation });
  return app;
}

type Files = Readonly<Record<string, { readonly content: string; readonly mode: string }>>;

function planned(given: Given = {}) {
  const all = Testing.synth(program(given));
  const at = (id: string): PlannedResource => {
    const found = all.find(({ path }) => path.endsWith(`libreqos/${id}`));
    if (found === undefined)
      throw new Error(`no libreqos/${id} in ${all.map(({ path }) => path).join(", ")}`);
    return found;
  };
  const file = (id: string, name: string) => (at(id).spec["files"] as Files)[name]?.content ?? "";
  return { all: all.filter(({ path }) => path.includes("/libreqos/")), at, file };
}

describe("what LibreQoS is given", () => {
  test("is a row for each subscriber, by the address of its tunnel", () => {
    const { at, file } = planned();
    expect(at("plans").spec["directory"]).toBe("/opt/libreqos/src");
    const subscribers = Subscribers.fromShapedDevices(file("plans", "ShapedDevices.csv"));
    expect(
      subscribers.all.map(({ id, devices, plan: { downloadMax, uploadMin } }) => [
        id,
        devices[0]?.ipv4,
        downloadMax,
        uploadMin,
      ]),
    ).toEqual([
      ["ann", ["192.168.11.226"], 20, 1],
      ["bob", ["192.168.11.70"], 50, 5],
    ]);
    expect(file("plans", "ShapedDevices.csv").split("\n")[0]?.split(",")).toHaveLength(15);
    expect(JSON.parse(file("plans", "network.json"))).toEqual({});
  });

  test("is a lqos.conf with the two sides, the uplink, and the pool allowed and not ignored", () => {
    const { at, file } = planned({ shaper: { settings: { allowSubnets: ["10.0.0.0/8"], sqm: "fq_codel" } } });
    expect(at("settings").spec["directory"]).toBe("/etc");
    const { config } = parseLqosConf(file("settings", "lqos.conf"));
    expect(config).toMatchObject({
      path: { mode: "bridge", bridge: "linux", toInternet: "up0", toNetwork: "down0" },
      uplink: { download: 1000, upload: 1000 },
      sqm: "fq_codel",
      allowSubnets: ["10.0.0.0/8", "192.168.11.0/24"],
      ignoreSubnets: [],
      directory: "/opt/libreqos/src",
    });
  });

  test("of 1.4 is an ispConfig.py and 13 columns, and no lqos.conf", () => {
    const { at, file } = planned({ shaper: { version: "1.4", directory: "/opt/lq/src" } });
    expect(at("settings").spec["directory"]).toBe("/opt/lq/src");
    const { config } = parseIspConfigPy(file("settings", "ispConfig.py"));
    expect(config).toMatchObject({ path: { toInternet: "up0", toNetwork: "down0" }, ignoreSubnets: [] });
    expect(file("plans", "ShapedDevices.csv").split("\n")[0]?.split(",")).toHaveLength(13);
  });

  test("may be a stick: one interface and two VLANs", () => {
    const path = { mode: "onAStick", interface: "eno1", internetVlan: 22, networkVlan: 11 } as const;
    const { config } = parseLqosConf(planned({ shaper: { path } }).file("settings", "lqos.conf"));
    expect(config.path).toEqual(path);
  });

  test("is read back into subscribers and settings, from copies of its files", () => {
    for (const version of ["1.5", "1.4"] as const) {
      const { file } = planned({ shaper: { version } });
      const settings = version === "1.5" ? "lqos.conf" : "ispConfig.py";
      const texts: Record<string, string> = {
        "copy/ShapedDevices.csv": file("plans", "ShapedDevices.csv"),
        "copy/network.json": file("plans", "network.json"),
        [`copy/${settings}`]: file("settings", settings),
      };
      const read = (path: string) => {
        const text = texts[path];
        if (text === undefined) throw new Error(`no ${path}`);
        return Buffer.from(text);
      };
      const { subscribers, config } = readLibreQoS({ directory: "copy", version, read });
      expect(subscribers.all.map(({ id }) => id)).toEqual(["ann", "bob"]);
      expect(config.path).toMatchObject({ toInternet: "up0", toNetwork: "down0" });
    }
  });

  test("is root's alone and a secret where it may hold the keys of other systems", async () => {
    const { rest } = parseLqosConf(planned().file("settings", "lqos.conf"));
    const shaper = { rest: { ...rest, uisp_integration: { token: "T0KEN" } } } as LibreQoSShaperProps;
    const { at } = planned({ shaper });
    expect((at("settings").spec["files"] as Files)["lqos.conf"]?.mode).toBe("0600");
    const { resources } = await registered(() => program({ shaper }).deploy());
    const settings = resources.find(({ name }) => name === "edge/libreqos/settings");
    expect(isSecret(settings?.inputs["files"])).toBe(true);
    const others = resources.filter((resource) => resource !== settings);
    expect(JSON.stringify(others)).not.toContain("T0KEN");
    expect(isSecret(resources.find(({ name }) => name === "edge/libreqos/plans")?.inputs["files"])).toBe(
      false,
    );
  });
});

const digest = (text: string) => createHash("sha256").update(text).digest("hex");

describe("its reload", () => {
  test("restarts its services, one after the other, for what changed in any of its files", () => {
    const { all, at, file } = planned();
    const triggers = {
      "ShapedDevices.csv": digest(file("plans", "ShapedDevices.csv")),
      "network.json": digest(file("plans", "network.json")),
      "lqos.conf": digest(file("settings", "lqos.conf")),
    };
    expect(all.map(({ path, token }) => `${token} ${path}`)).toEqual([
      "netloom:system:Files edge/libreqos/plans",
      "netloom:system:Files edge/libreqos/settings",
      "netloom:system:Unit edge/libreqos/lqosd.service",
      "netloom:system:Unit edge/libreqos/lqos_scheduler.service",
    ]);
    for (const unit of ["lqosd.service", "lqos_scheduler.service"]) {
      expect(at(unit).spec).toMatchObject({ enabled: true, state: "running", restartTriggers: triggers });
      expect(at(unit).dependsOn).toEqual(
        expect.arrayContaining(["edge/down0", "edge/up0", "edge/libreqos/plans", "edge/libreqos/settings"]),
      );
    }
    expect(at("lqos_scheduler.service").dependsOn).toContain("edge/libreqos/lqosd.service");
  });

  test("by its own command leaves the services alone but for changed settings", () => {
    const shaper = { reload: "command", units: ["lqosd.service"] } as const;
    const { at, file } = planned({ shaper });
    expect(at("lqosd.service").spec["restartTriggers"]).toEqual({
      "lqos.conf": digest(file("settings", "lqos.conf")),
    });
    const { token, spec, dependsOn } = at("reload");
    expect(token).toBe("command:remote:Command");
    expect(spec).toMatchObject({
      command: ["python3", "LibreQoS.py"],
      directory: "/opt/libreqos/src",
      triggers: { "ShapedDevices.csv": digest(file("plans", "ShapedDevices.csv")) },
    });
    expect(dependsOn).toEqual(
      expect.arrayContaining([
        "edge/libreqos/plans",
        "edge/libreqos/settings",
        "edge/libreqos/lqosd.service",
      ]),
    );
  });

  test("does not happen for another order of the subscribers, and does for another plan", () => {
    const triggers = (given: Given) => planned(given).at("lqosd.service").spec["restartTriggers"];
    expect(triggers({ subscribers: [...TWO].reverse() })).toEqual(triggers({}));
    const changed = [{ ...TWO[0]!, plan: { downloadMax: 21, uploadMax: 10 } }, TWO[1]!];
    expect(triggers({ subscribers: changed })).not.toEqual(triggers({}));
  });

  test("and everything else is in the namespace of the two links", () => {
    const { at } = planned({ netns: "shaping", shaper: { reload: "command", units: ["lqosd.service"] } });
    expect(at("lqosd.service").spec["dropIns"]).toEqual({
      "netloom.conf": "[Service]\nNetworkNamespacePath=/run/netns/shaping\n",
    });
    expect(at("reload").spec["netns"]).toBe("shaping");
  });

  test("comes after the packages that bring it", () => {
    const { at } = planned({ shaper: { packages: ["libreqos"] } });
    expect(at("packages").spec["packages"]).toEqual({ libreqos: "installed" });
    for (const id of ["plans", "settings"]) expect(at(id).dependsOn).toContain("edge/libreqos/packages");
  });
});

describe("what is refused, with the property", () => {
  const refused = (given: Given) => refusals(program(given)).join("\n");

  test.each<[string, Given, RegExp]>([
    [
      "both bridges",
      { bridge: "xdp", joined: true },
      /path\.bridge: the Linux bridge br0 joins up0 and down0/,
    ],
    ["no bridge at all", { bridge: "linux", joined: false }, /path\.bridge: no Linux bridge joins/],
    ["one queue", { queues: 1 }, /path\.toInternet: up0 has 1 transmit queue .* fewer than 2/],
    ["a pair made without queues", { queues: 0 }, /path\.toNetwork: down0 has 1 transmit queue/],
    [
      "1.4's own default, which hides the tunnels",
      { shaper: { settings: { ignoreSubnets: ["192.168.0.0/16"] } } },
      /settings\.ignoreSubnets: 192\.168\.0\.0\/16 hides 192\.168\.11\.0\/24/,
    ],
    [
      "queues by number",
      { shaper: { settings: { queues: 1 } } },
      /settings\.queues: 1 is not a whole number of 2/,
    ],
    ["a queue with a command in it", { shaper: { settings: { sqm: "cake; reboot" } } }, /settings\.sqm: /],
    [
      "half a megabit on 1.4",
      { shaper: { version: "1.4" }, subscribers: [{ id: "ann", plan: { downloadMax: 1.5, uploadMax: 1 } }] },
      /subscribers: subscriber "ann": LibreQoS 1\.4 reads whole Mbit\/s only/,
    ],
    [
      "latency, which LibreQoS does not add",
      { subscribers: [{ id: "ann", plan: { ...plan, latencyMs: 20 } }] },
      /adds no latency, jitter or loss/,
    ],
  ])("%s", (_, given, message) => {
    expect(refused(given)).toMatch(message);
  });

  test("the bridge of the ISP when LibreQoS is told of another", () => {
    const path = { mode: "bridge", bridge: "xdp", toInternet: "a", toNetwork: "b" } as const;
    expect(new LibreQoSShaper({ path }).refuses("linux")).toMatch(/every packet would be forwarded twice/);
    expect(new LibreQoSShaper({ version: "1.4" }).refuses("xdp")).toMatch(/lqos\.conf of another form/);
    expect(new LibreQoSShaper().refuses("xdp")).toBeUndefined();
    expect(new LibreQoSShaper({ version: "1.4" }).refuses("linux")).toBeUndefined();
  });

  test("an uplink that 1.5 reads otherwise than it says is told in the outputs", async () => {
    const { result } = await registered(() => program({ uplink: { download: 1000, upload: 100 } }).deploy());
    const { warnings } = (result as Record<string, { warnings?: string[] }>)["edge/libreqos"] ?? {};
    expect(warnings?.join()).toMatch(/caps both directions at uplink_bandwidth_mbps/);
  });
});
