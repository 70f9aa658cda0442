import fc from "fast-check";
import { diffNetwork, diffShaping, diffSubscribers } from "../../../../constructs/isp/changes";
import { classId, nodeMinor, numberNodes, subscriberMinor } from "../../../../constructs/isp/class-ids";
import type { NetworkNode, SubscriberProps } from "../../../../constructs/isp/model";
import { FLOOR_RATE, shapingTree } from "../../../../constructs/isp/shaping-tree";
import type { HtbClass, ShapingOptions, ShapingTree } from "../../../../constructs/isp/shaping-tree";
import { Subscribers } from "../../../../constructs/isp/subscribers";
import { TunnelAllocation } from "../../../../constructs/isp/tunnel-addresses";
import { cpuTimeOf, messagesOf } from "./helpers";

const network: NetworkNode[] = [
  { name: "tower", type: "Site", download: 800, upload: 400 },
  { name: "town", parent: "tower", download: 1, upload: 1, virtual: true },
  { name: "ap-east", type: "AP", parent: "town", download: 300, upload: 150 },
  { name: "ap-west", type: "AP", parent: "tower", download: 200, upload: 100 },
];
const uplink = { download: 1000, upload: 1000 };

function build(props: readonly SubscriberProps[], over: Partial<ShapingOptions> = {}, cap = false) {
  const subscribers = Subscribers.of(props, { network, ...(cap && { overcommit: "cap" }) });
  const allocation = TunnelAllocation.of(subscribers.all, { ipv4: "10.0.0.0/8" });
  const tree = shapingTree(subscribers, {
    uplink,
    numbers: allocation.numbers,
    addressesOf: (one) => allocation.addressesOf(one),
    ...over,
  });
  return { subscribers, tree };
}

const ofOwner = (classes: readonly HtbClass[], name: string) =>
  classes.find(
    ({ owner }) => ("name" in owner && owner.name === name) || ("id" in owner && owner.id === name),
  ) as HtbClass;

const three: SubscriberProps[] = [
  { id: "pi-1", parent: "ap-east", plan: { downloadMax: 100, uploadMax: 20, downloadMin: 10 } },
  {
    id: "pi-2",
    parent: "town",
    plan: {
      downloadMax: 50.5,
      uploadMax: 10,
      leaf: { upload: "fq_codel" },
      latencyMs: 200,
      jitterMs: 10,
      lossPercent: 1,
    },
  },
  { id: "office", number: 500, plan: { downloadMax: 900, uploadMax: 900, leaf: "none" } },
];

describe("The shaping tree", () => {
  it("is the uplink, the nodes and the subscribers, in both directions", () => {
    const { tree } = build(three);
    expect(tree).toMatchSnapshot();
  });

  it("leaves virtual nodes out and hangs what is below on the node above", () => {
    const { classes } = build(three).tree.download;
    const tower = ofOwner(classes, "tower");
    expect(ofOwner(classes, "ap-east").parent).toBe(tower.classid);
    expect(ofOwner(classes, "pi-2").parent).toBe(tower.classid);
    expect(classes.some(({ owner }) => "name" in owner && owner.name === "town")).toBe(false);
    expect(ofOwner(classes, "office").parent).toBe("1:1");
  });

  it("sends a subscriber's addresses to its class, those of the tunnel when it lists none", () => {
    const listed: SubscriberProps = {
      id: "x-9",
      addresses: ["192.0.2.0/29", "2001:db8::/56"],
      plan: { downloadMax: 1, uploadMax: 1 },
    };
    expect(build([...three, listed]).tree.classification).toEqual([
      { prefix: "10.0.7.206", subscriber: "office", classid: "1:11f3" },
      { prefix: "10.0.0.2", subscriber: "pi-1", classid: "1:1000" },
      { prefix: "10.0.0.6", subscriber: "pi-2", classid: "1:1001" },
      { prefix: "192.0.2.0/29", subscriber: "x-9", classid: "1:1008" },
      { prefix: "2001:db8::/56", subscriber: "x-9", classid: "1:1008" },
    ]);
  });

  it("sets the AQM for the round trip that the plan adds, and netem's limit for what is under way", () => {
    const { classes } = build(three).tree.download;
    expect(ofOwner(classes, "pi-2").leaf).toMatchObject({ kind: "cake", rttUs: 500_000 });
    const { netem } = ofOwner(classes, "pi-2");
    expect(netem).toMatchObject({ delayUs: 200_000, jitterUs: 10_000, lossPercent: 1 });
    expect((netem?.limitPackets ?? 0) * 1514).toBeGreaterThan(2 * (50.5e6 / 8) * 0.21);
    expect(ofOwner(classes, "pi-1").netem).toBeUndefined();
  });

  it("keeps CoDel's target above the time of a frame on a slow line", () => {
    const slow: SubscriberProps = { id: "1", plan: { downloadMax: 1, uploadMax: 0.1, leaf: "fq_codel" } };
    const { tree } = build([slow]);
    expect(ofOwner(tree.download.classes, "1").leaf).toMatchObject({ targetUs: 18_168, intervalUs: 100_000 });
    expect(ofOwner(tree.upload.classes, "1").leaf).toMatchObject({ targetUs: 181_680, intervalUs: 363_360 });
  });

  it.each<[string, SubscriberProps[], Partial<ShapingOptions>, string[]]>([
    [
      "a plan above the uplink",
      [{ id: "1", plan: { downloadMax: 1001, uploadMax: 1 } }],
      {},
      ['subscriber "1" | 1001 Mbit/s download is above the uplink\'s 1000'],
    ],
    [
      "a node above the uplink",
      [],
      { uplink: { download: 700, upload: 1000 } },
      ['network node "tower" | 800 Mbit/s download is above the uplink\'s 700'],
    ],
    [
      "minimums above the uplink",
      ["1", "2", "3"].map((id) => ({ id, plan: { downloadMax: 400, downloadMin: 400, uploadMax: 1 } })),
      {},
      ["the download minimums add up to 1200 Mbit/s and the uplink carries 1000; lower them"],
    ],
    [
      "an uplink of 0",
      [],
      { uplink: { download: 0, upload: 1000 } },
      ["uplink.download | a rate of 0 lets nothing through; leave the subscriber out instead"],
    ],
    [
      "a subscriber without a number",
      [{ id: "1", plan: { downloadMax: 1, uploadMax: 1 } }],
      { numbers: new Map() },
      ['subscriber "1" | has no line number'],
    ],
  ])("is refused for %s", (_, props, over, messages) => {
    expect(messagesOf(() => build(props, over))).toEqual(messages);
  });

  it("lets go of the minimums below a node that cannot hold them, where that is asked for", () => {
    const booked = (id: string, parent: string): SubscriberProps => ({
      id,
      parent,
      plan: { downloadMax: 500, downloadMin: 120, uploadMax: 1 },
    });
    const { tree } = build(
      [booked("1", "ap-west"), booked("2", "ap-west"), booked("3", "ap-east")],
      {},
      true,
    );
    expect(["1", "2", "3"].map((id) => ofOwner(tree.download.classes, id).rate)).toEqual([
      FLOOR_RATE,
      FLOOR_RATE,
      120e6,
    ]);
    expect(["1", "3"].map((id) => ofOwner(tree.download.classes, id).ceil)).toEqual([200e6, 300e6]);
  });
});

const plan = fc.record({
  downloadMax: fc.integer({ min: 1, max: 100 }),
  uploadMax: fc.integer({ min: 1, max: 100 }),
});
const population = fc.uniqueArray(
  fc.record({
    id: fc.integer({ min: 1, max: 500 }).map((n) => `pi-${n}`),
    plan,
    parent: fc.constantFrom(undefined, "ap-east", "ap-west", "town"),
  }),
  { selector: ({ id }) => id, minLength: 1, maxLength: 12 },
);

function checkHtb({ download, upload }: ShapingTree): void {
  for (const { classes } of [download, upload]) {
    const byId = new Map(classes.map((one) => [one.classid, one]));
    expect(byId.size).toBe(classes.length);
    const handles = classes.flatMap(({ leaf }) => leaf?.handle ?? []);
    expect(new Set(["1:", ...handles]).size).toBe(handles.length + 1);
    classes.forEach((one, index) => {
      expect(one.rate).toBeGreaterThan(0);
      expect(one.rate).toBeLessThanOrEqual(one.ceil);
      if (one.parent === "1:") return;
      const parent = byId.get(one.parent) as HtbClass;
      expect(one.ceil).toBeLessThanOrEqual(parent.ceil);
      expect(classes.indexOf(parent)).toBeLessThan(index);
      expect(parent.leaf).toBeUndefined();
    });
  }
}

describe("A change", () => {
  it("of one plan touches the classes of that subscriber alone", () => {
    fc.assert(
      fc.property(population, plan, fc.nat(), (props, newPlan, pick) => {
        const before = build(props);
        checkHtb(before.tree);
        const target = props[pick % props.length] as SubscriberProps;
        const after = build(props.map((one) => (one.id === target.id ? { ...one, plan: newPlan } : one)));
        for (const { owner, change } of diffShaping(before.tree, after.tree)) {
          expect(owner).toEqual({ kind: "subscriber", id: target.id });
          expect(change).toBe("changed");
        }
        expect(
          diffSubscribers(before.subscribers, after.subscribers).every(({ id }) => id === target.id),
        ).toBe(true);
      }),
    );
  });

  it("that adds or removes a subscriber is its two classes and its addresses, and nothing else", () => {
    fc.assert(
      fc.property(population, fc.nat(), (props, pick) => {
        const target = props[pick % props.length] as SubscriberProps;
        const all = build(props);
        const rest = build(props.filter(({ id }) => id !== target.id));
        const owner = { kind: "subscriber", id: target.id };
        const added = diffShaping(rest.tree, all.tree);
        expect(added.map((one) => [one.change, one.direction, one.owner])).toEqual([
          ["added", "download", owner],
          ["added", "upload", owner],
        ]);
        expect(diffShaping(all.tree, rest.tree).map((one) => [one.change, one.classid])).toEqual(
          added.map((one) => ["removed", one.classid]),
        );
        expect(rest.tree.classification).toEqual(
          all.tree.classification.filter(({ subscriber }) => subscriber !== target.id),
        );
      }),
    );
  });

  it("is told by subscriber, with what about it changed", () => {
    const before = build(three).subscribers;
    const after = build([
      { ...(three[0] as SubscriberProps), plan: { downloadMax: 80, uploadMax: 20, latencyMs: 1 } },
      { ...(three[1] as SubscriberProps), parent: "ap-west" },
      { id: "new-3", plan: { downloadMax: 1, uploadMax: 1 } },
    ]).subscribers;
    expect(diffSubscribers(before, after).map(({ id, change, fields }) => [id, change, fields])).toEqual([
      ["office", "removed", []],
      ["new-3", "added", []],
      ["pi-1", "changed", ["plan.downloadMax", "plan.downloadMin", "plan.latencyMs"]],
      ["pi-2", "changed", ["parent"]],
    ]);
    expect(diffSubscribers(after, after)).toEqual([]);
  });

  it("of a node is told as the node's, and removes children before parents", () => {
    const small = network
      .map((node) => (node.name === "ap-west" ? { ...node, download: 150 } : node))
      .filter(({ name }) => name !== "ap-east");
    const [before, after] = [network, small].map((nodes) => Subscribers.of([], { network: nodes })) as [
      Subscribers,
      Subscribers,
    ];
    expect(diffNetwork(before, after).map(({ name, change, fields }) => [name, change, fields])).toEqual([
      ["ap-east", "removed", []],
      ["ap-west", "changed", ["download"]],
    ]);
    const trees = [before, Subscribers.of([])].map((one) =>
      shapingTree(one, { uplink, numbers: new Map() }),
    ) as [ShapingTree, ShapingTree];
    const gone = diffShaping(...trees).filter(({ direction }) => direction === "download");
    expect(gone.map(({ owner }) => ("name" in owner ? owner.name : ""))).toEqual([
      "ap-west",
      "ap-east",
      "tower",
    ]);
  });
});

describe("Class ids", () => {
  it("of the uplink, nodes and subscribers do not meet, and leave the kernel its own", () => {
    expect([nodeMinor(1), nodeMinor(4080), subscriberMinor(1), subscriberMinor(61_439)]).toEqual([
      0x10, 0xfff, 0x1000, 0xfffe,
    ]);
    expect(classId(subscriberMinor(2))).toBe("1:1001");
  });

  it("of nodes are different, keep what is written down, and do not depend on the order", () => {
    const node = fc.record({
      name: fc.string({ minLength: 1 }),
      number: fc.option(fc.integer({ min: 1, max: 4080 }), { nil: undefined }),
    });
    const nodes = fc.uniqueArray(node, { selector: ({ name }) => name, maxLength: 40 }).map((all) => {
      const seen = new Set<number>();
      return all.map(({ name, number }): NetworkNode => {
        const own = number !== undefined && !seen.has(number) ? number : undefined;
        if (own !== undefined) seen.add(own);
        return { name, download: 1, upload: 1, ...(own !== undefined && { number: own }) };
      });
    });
    fc.assert(
      fc.property(nodes, (all) => {
        const { numbers } = numberNodes(all);
        expect(new Set(numbers.values()).size).toBe(all.length);
        for (const { name, number } of all) if (number !== undefined) expect(numbers.get(name)).toBe(number);
        expect(new Map(numberNodes([...all].reverse()).numbers)).toEqual(new Map(numbers));
      }),
    );
  });

  it("are there for 4,080 nodes and no more", () => {
    const many = (count: number) =>
      Array.from({ length: count }, (_, i): NetworkNode => ({ name: `n${i}`, download: 1, upload: 1 }));
    expect(new Set(numberNodes(many(4080)).numbers.values()).size).toBe(4080);
    expect(numberNodes(many(4081)).findings).toEqual([
      { message: "4081 network nodes; one shaper has class ids for 4080" },
    ]);
  });
});

it("Ten thousand subscribers are planned and compared in no time", () => {
  const props = Array.from({ length: 10_000 }, (_, i): SubscriberProps => ({
    id: `c-${i + 1}`,
    parent: i % 2 === 0 ? "ap-east" : "ap-west",
    plan: { downloadMax: 50, uploadMax: 10 },
  }));
  const time = cpuTimeOf(() => {
    const before = build(props);
    const after = build([
      ...props.slice(1),
      { ...(props[0] as SubscriberProps), plan: { downloadMax: 60, uploadMax: 10 } },
    ]);
    expect(diffShaping(before.tree, after.tree)).toHaveLength(1);
  });
  expect(time).toBeLessThan(8_000);
});
