import { App, Host, Testing } from "../../../../lib";
import { IspInABox, type IspInABoxProps } from "../../../../constructs/isp/isp-in-a-box";
import { Subscribers, type SubscriberProps } from "../../../../constructs/isp";
import type { IShaper, ShapedSubscribers, ShapingPoint } from "../../../../constructs/isp/shaper";

const home = (number: number, more: Partial<SubscriberProps> = {}): SubscriberProps => ({
  id: `home-${number}`,
  plan: { downloadMax: 20, uploadMax: 5 },
  client: { address: `203.0.113.${number}` },
  ...more,
});

/** Remembers what it was asked to shape. */
class RecordingShaper implements IShaper {
  readonly calls: { point: ShapingPoint; shaped: ShapedSubscribers }[] = [];
  constructor(readonly reason?: string) {}
  refuses() {
    return this.reason;
  }
  attach(_: unknown, point: ShapingPoint, shaped: ShapedSubscribers) {
    this.calls.push({ point, shaped });
  }
}

function ispOf(props: Partial<IspInABoxProps> = {}) {
  const app = new App();
  const edge = new Host(app, "edge", { address: "192.0.2.1" });
  const isp = new IspInABox(edge, "isp", {
    uplink: "eth1",
    tunnelPool: "192.168.11.0/24",
    subscribers: Subscribers.of([home(1), home(2)]),
    shaper: new RecordingShaper(),
    bridge: "linux",
    ...props,
  });
  return { isp, plan: () => Testing.synth(app) };
}

describe("an ISP in a box", () => {
  it("gives its shaper the two sides of one way, and the addresses of everybody", () => {
    const shaper = new RecordingShaper();
    const { isp, plan } = ispOf({ shaper });
    plan();
    expect(shaper.calls).toHaveLength(1);
    const [{ point, shaped }] = shaper.calls as [(typeof shaper.calls)[number]];
    expect([point.subscriberSide.name, point.internetSide.name]).toEqual(["down-isp", "up-isp"]);
    expect(point.uplink).toEqual({ download: 1000, upload: 1000 });
    const [first] = shaped.subscribers.all;
    expect(first && shaped.allocation.addressesOf(first)).toEqual(["192.168.11.2"]);
    expect(isp.allocation).toBe(shaped.allocation);
  });

  it("puts no address on the shaping point and translates addresses once", () => {
    const made = ispOf().plan();
    const sides = made.filter(({ path }) => /shaping.(down|up|bridge)$/.test(path));
    expect(sides).toHaveLength(3);
    for (const { spec } of sides) {
      expect(spec).not.toHaveProperty("addresses");
      expect(spec).toHaveProperty(["sysctls", "ipv6/disable_ipv6"], "1");
    }
    const nats = made.filter(({ spec }) => JSON.stringify(spec).includes("masquerade"));
    expect(nats.map(({ path }) => path)).toEqual(["edge/isp/nat"]);
  });

  it("bridges by the kernel or not at all", () => {
    expect(
      ispOf()
        .plan()
        .filter(({ spec }) => spec["kind"] === "bridge"),
    ).toHaveLength(1);
    expect(
      ispOf({ bridge: "xdp" })
        .plan()
        .filter(({ spec }) => spec["kind"] === "bridge"),
    ).toHaveLength(0);
  });

  it("carries IPv6 beside IPv4, and translates of it only what has to be", () => {
    const made = (ipv6: string) => ispOf({ tunnelPool: { ipv4: "192.168.11.0/24", ipv6 } }).plan();
    const masqueraded = (ipv6: string) => {
      const nat = made(ipv6).find(({ path }) => path === "edge/isp/nat");
      return JSON.stringify(nat?.spec["masquerade"]);
    };
    expect(masqueraded("fd00:15b::/112")).toContain("fd00:15b::/112");
    expect(masqueraded("2001:db8:1::/112")).not.toContain("2001:db8");
    const ways = made("2001:db8:1::/112").find(({ path }) => path === "edge/isp/internet/ways");
    expect(ways?.spec["routes"]).toHaveLength(4);
  });

  it("gives each subscriber ports of a public address, and translates nowhere else", () => {
    const made = ispOf({ nat: { addresses: ["198.51.100.16/30"] } }).plan();
    expect(made.map(({ path }) => path)).toContain("edge/isp/internet/port-blocks");
    expect(made.map(({ path }) => path)).not.toContain("edge/isp/nat");
    const back = made.find(({ path }) => path === "edge/isp/to-subscribers");
    expect(JSON.stringify(back?.spec["routes"])).toContain("198.51.100.16/30");
  });

  it("joins the sides by programs that know them by number", () => {
    const made = ispOf({ bridge: "xdp" }).plan();
    const numbers = made.flatMap(({ spec }) => (spec["index"] === undefined ? [] : [spec["index"]]));
    expect(new Set(numbers).size).toBe(2);
    const ports = made.find(({ path }) => path === "edge/isp/shaping/bridge/ports");
    expect(Object.keys(ports?.spec["entries"] as object).sort()).toEqual(numbers.map(String).sort());
    const hooks = made.flatMap(({ spec }) =>
      spec["hook"] === undefined ? [] : [[spec["netns"], spec["link"], spec["hook"]].join(" ")],
    );
    expect(hooks.sort()).toEqual([
      " down-isp ingress",
      " down-isp xdp",
      " up-isp ingress",
      " up-isp xdp",
      "isp-internet to-subscribers xdp",
      "isp-subscribers to-internet xdp",
    ]);
  });

  it("shapes on another machine, over two VLANs of one NIC", () => {
    const app = new App();
    const [edge, stick] = ["edge", "stick"].map((name) => new Host(app, name, { address: "192.0.2.1" })) as [
      Host,
      Host,
    ];
    const shaper = new RecordingShaper();
    const onAStick = { host: stick, interface: "eth2", trunk: "eth3", downstreamVlan: 11, upstreamVlan: 22 };
    new IspInABox(edge, "isp", {
      uplink: "eth1",
      tunnelPool: "192.168.11.0/24",
      subscribers: Subscribers.of([home(1)]),
      shaper,
      bridge: "linux",
      onAStick,
    });
    const vlans = Testing.synth(app).flatMap(({ host, spec }) =>
      spec["kind"] === "vlan" ? [[host, spec["link"], spec["vlanId"]].join(" ")] : [],
    );
    expect(vlans.sort()).toEqual(["edge eth3 11", "edge eth3 22", "stick eth2 11", "stick eth2 22"]);
    expect(shaper.calls.map(({ point }) => point.subscriberSide.place?.host.name)).toEqual(["stick"]);
  });

  it("renumbers nobody when a subscriber is added or removed", () => {
    const addresses = (...numbers: number[]) =>
      Object.fromEntries(
        ispOf({ subscribers: Subscribers.of(numbers.map((number) => home(number))) }).isp.allocation
          ?.tunnels ?? [],
      );
    expect(addresses(1, 2, 3)).toMatchObject(addresses(1, 3));
  });

  it.each<[string, Partial<IspInABoxProps>, string]>([
    ["both ways of bridging", { bridge: "both" as "linux" }, '[edge/isp] bridge: is "both"'],
    ["a shaper that cannot", { shaper: new RecordingShaper("cannot") }, "[edge/isp] shaper: cannot"],
    ["a pool that is none", { tunnelPool: "lots" }, '"lots" is no IPv4 prefix'],
    [
      "a pool that is too small, and says how many fit",
      { tunnelPool: "192.168.11.0/30" },
      "fits 1 subscribers and there are 2",
    ],
    ["an uplink of no rate", { uplinkRate: { download: 0, upload: 1 } }, "[edge/isp] uplinkRate.download"],
    ["one queue", { queues: 1 }, "[edge/isp] queues: is 1"],
    [
      "inner ways in the pool",
      { transit: { uplink: "192.168.11.252/30" } },
      "[edge/isp] transit.uplink: 192.168.11.252/30 overlaps tunnelPool",
    ],
    ["an inner way that is none", { transit: { shaping: "172.16.1.1/30" } }, "[edge/isp] transit.shaping"],
    [
      "a stranger to be reached",
      { subscribersReachEachOther: [["home-1", "home-7"]] },
      'subscribersReachEachOther[0][1]: names "home-7"',
    ],
  ])("refuses %s", (_, props, message) => {
    expect(ispOf(props).plan).toThrow(message);
  });

  it("refuses a name that a shell would read otherwise, before anything is made", () => {
    expect(ispOf({ uplink: "eth1; rm -rf /" }).plan).toThrow("[edge/isp] uplink:");
  });
});
