import { Namespace, Host, VethPair, Testing } from "../../../../lib";
import { numberNodes } from "../../../../constructs/isp/class-ids";
import { Shaper, type NativeShaperOptions } from "../../../../constructs/isp/shaper/native";
import type { SubscriberProps } from "../../../../constructs/isp/model";
import { Subscribers } from "../../../../constructs/isp/subscribers";
import { TunnelAllocation } from "../../../../constructs/isp/tunnel-addresses";
import type { SubscriberShapingSpec } from "../../../../lib/kinds/subscriber-shaping/schema";
import type { ShapingSpec } from "../../../../lib/kinds/shaping/schema";

/** The plan of a program with a shaping point and these subscribers. */
function planOf(
  subscribers: readonly SubscriberProps[],
  options: NativeShaperOptions = {},
  uplink = 1000,
  links: { readonly before: boolean } = { before: true },
) {
  const app = Testing.app();
  const host = new Host(app, "edge");
  const ns = new Namespace(host, "mid");
  const [down, up] = ["down", "up"].map(
    (name) => new VethPair(ns, name, { a: { name: `${name}0` }, b: { name: `${name}1` } }),
  ) as [VethPair, VethPair];
  const all = Subscribers.of(subscribers, {
    network: [{ name: "tower", download: 200, upload: 100 }],
  });
  const allocation = TunnelAllocation.of(all.all, { ipv4: "10.0.0.0/8" });
  Shaper.native(options).attach(
    ns,
    {
      subscriberSide: down.a,
      internetSide: up.a,
      ...(links.before && { before: { download: up.b, upload: down.b } }),
      bridge: "linux",
      uplink: { download: uplink, upload: uplink },
    },
    { subscribers: all, allocation },
  );
  return Testing.synth(app);
}

type Plan = ReturnType<typeof planOf>;
const trees = (plan: Plan) => plan.filter(({ token }) => token === "netloom:net:Shaping");
const sets = (plan: Plan) => plan.filter(({ token }) => token === "netloom:net:SubscriberShaping");

const many = (count: number): SubscriberProps[] =>
  Array.from({ length: count }, (_, n) => ({
    id: `line-${n + 1}`,
    parent: n % 2 === 0 ? "tower" : undefined,
    plan: { downloadMax: 100, uploadMax: 20 },
  }));

test("a tree on each link, and sets of subscribers that wait for both", () => {
  const plan = planOf(many(2));
  expect(trees(plan).map(({ path, dependsOn }) => [path, dependsOn])).toEqual([
    ["edge/mid/download", ["edge/mid", "edge/mid/down"]],
    ["edge/mid/upload", ["edge/mid", "edge/mid/up"]],
  ]);
  const [download] = trees(plan).map(({ spec }) => spec as unknown as ShapingSpec);
  expect(download?.root).toEqual({ kind: "htb", handle: "1:", defaultClass: "1:2" });
  expect(download?.classes.map(({ classid, parent, ceil }) => [classid, parent, ceil])).toEqual([
    ["1:1", "1:", 1e9],
    ["1:2", "1:1", 250e6],
    [expect.any(String), "1:1", 200e6],
  ]);
  const members = sets(plan).flatMap(({ spec }) =>
    Object.entries((spec as unknown as SubscriberShapingSpec).subscribers),
  );
  expect(Object.fromEntries(members)).toEqual({
    "line-1": { class: "1:1000", parent: download?.classes[2]?.classid, plan: "100/20 cake" },
    "line-2": { class: "1:1001", parent: "1:1", plan: "100/20 cake" },
  });
  for (const { dependsOn } of sets(plan))
    expect(dependsOn).toEqual(expect.arrayContaining(["edge/mid/download", "edge/mid/upload"]));
});

test("every address leads to its subscriber's class", () => {
  const plan = planOf([
    {
      id: "a",
      number: 5,
      plan: { downloadMax: 10, uploadMax: 5 },
      addresses: ["192.0.2.8/29", "2001:db8::/56"],
    },
  ]);
  const prefixes = sets(plan).map(({ spec }) => (spec as unknown as SubscriberShapingSpec).prefixes);
  expect(Object.assign({}, ...prefixes)).toMatchObject({
    "192.0.2.8/29": "1:1004",
    "2001:db8::/56": "1:1004",
  });
});

describe.each([10, 2000])("of %i subscribers", (count) => {
  const before = planOf(many(count));
  const differing = (after: Plan) => {
    const was = new Map(before.map((one) => [one.path, JSON.stringify(one.spec)]));
    return after.filter((one) => was.get(one.path) !== JSON.stringify(one.spec));
  };

  test("another plan for one is a change of one set, and in it of that subscriber alone", () => {
    const after = many(count).map((one) =>
      one.id === "line-4" ? { ...one, plan: { downloadMax: 50, uploadMax: 10 } } : one,
    );
    const changed = differing(planOf(after));
    expect(changed).toHaveLength(1);
    const [now] = changed.map(({ spec }) => spec as unknown as SubscriberShapingSpec);
    const [was] = before
      .filter(({ path }) => path === changed[0]?.path)
      .map(({ spec }) => spec as unknown as SubscriberShapingSpec);
    expect(now?.subscribers["line-4"]?.plan).toBe("50/10 cake");
    expect({ ...now?.subscribers, "line-4": undefined }).toEqual({
      ...was?.subscribers,
      "line-4": undefined,
    });
    expect(now?.prefixes).toEqual(was?.prefixes);
  });

  test("adding one changes the set that it is in, and those of its addresses", () => {
    const after = [
      ...many(count),
      { id: "newcomer", number: 40_000, plan: { downloadMax: 100, uploadMax: 20 } },
    ];
    expect(differing(planOf(after)).length).toBeLessThanOrEqual(2);
  });
});

test("what does not fit is told with the subscriber's name, and nothing is made", () => {
  expect(() => planOf([{ id: "greedy", plan: { downloadMax: 5000, uploadMax: 20 } }])).toThrow(
    /greedy.*5000 Mbit\/s download is above the uplink's 1000/,
  );
});

describe("plans that add delay, jitter or loss", () => {
  const far: SubscriberProps = {
    id: "far",
    number: 7,
    addresses: ["172.20.9.0/24", "2001:db8:7::/56"],
    plan: { downloadMax: 10, uploadMax: 5, latencyMs: 300, jitterMs: 10, lossPercent: 0.5 },
  };
  const near: SubscriberProps = { id: "near", number: 8, plan: { downloadMax: 10, uploadMax: 5 } };
  const conditions = (plan: Plan) =>
    trees(plan)
      .filter(({ path }) => path.endsWith("-conditions"))
      .map(({ spec }) => spec as unknown as ShapingSpec);

  test("are netem on the links before the shaping point, for these subscribers alone", () => {
    const plan = planOf([far, near]);
    const sides = conditions(plan);
    expect(sides.map(({ link }) => link)).toEqual(["up1", "down1"]);
    const [id] = sets(plan).flatMap(
      ({ spec }) => (spec as unknown as SubscriberShapingSpec).subscribers["far"]?.class ?? [],
    );
    for (const { root, classes, qdiscs } of sides) {
      expect(root).toEqual({ kind: "htb", handle: "1:" });
      expect(classes.map(({ classid, parent }) => [classid, parent])).toEqual([[id, "1:"]]);
      expect(qdiscs).toMatchObject([
        { kind: "netem", parent: id, delayUs: 300_000, jitterUs: 10_000, lossPercent: 0.5 },
      ]);
    }
    expect(
      sides.map(({ filters }) => filters.map(({ source, destination }) => [source, destination])),
    ).toEqual([
      [
        [undefined, "172.20.9.0/24"],
        [undefined, "2001:db8:7::/56"],
      ],
      [
        ["172.20.9.0/24", undefined],
        ["2001:db8:7::/56", undefined],
      ],
    ]);
    expect(conditions(planOf([near]))).toEqual([]);
  });

  test("come before the queue, which is told of the longer round trip and holds nobody else's packets", () => {
    const plans = sets(planOf([far, near])).flatMap(({ spec }) =>
      Object.entries((spec as unknown as SubscriberShapingSpec).plans),
    );
    const rtt = Object.fromEntries(
      plans.map(([name, { download }]) => [name, (download.leaf as { rttUs: number }).rttUs]),
    );
    expect(rtt).toEqual({ "10/5 cake": 100_000, "10/5 cake rtt 700 ms": 700_000 });
  });

  test("do nothing to somebody whose address is inside a long line's network", () => {
    const inside = { ...near, addresses: ["172.20.9.77"] };
    for (const { classes, qdiscs, filters } of conditions(planOf([far, inside]))) {
      expect([classes.length, qdiscs.length]).toEqual([2, 1]);
      const own = filters.find(({ source, destination }) => (source ?? destination) === "172.20.9.77");
      expect(own?.classid).not.toBe(qdiscs[0]?.parent);
      // flower asks the lower pref first: the longer prefix.
      expect(own!.pref).toBeLessThan(filters.find(({ classid }) => classid === qdiscs[0]?.parent)!.pref);
    }
  });

  test("change where they stand: one queue of each link is another", () => {
    const longer = { ...far, plan: { ...far.plan, latencyMs: 400 } };
    const [before, after] = [planOf([far, near]), planOf([longer, near])].map(conditions);
    for (const [index, side] of (after ?? []).entries()) {
      expect({ ...side, qdiscs: [] }).toEqual({ ...before?.[index], qdiscs: [] });
      expect(side.qdiscs[0]).toMatchObject({ delayUs: 400_000 });
    }
  });

  test("are refused at a shaping point that names no links before it", () => {
    expect(() => planOf([far], {}, 1000, { before: false })).toThrow(
      /subscriber "far" adds delay, jitter or loss.*`before`/,
    );
  });
});

test("the leaf is the shaper's, unless the plan has its own", () => {
  const plan = planOf(
    [
      { id: "a", plan: { downloadMax: 10, uploadMax: 5 } },
      { id: "b", plan: { downloadMax: 10, uploadMax: 5, leaf: "cake" } },
      { id: "c", plan: { downloadMax: 10, uploadMax: 5, downloadMin: 2, leaf: { download: "none" } } },
    ],
    { leaf: "fq_codel" },
  );
  const names = sets(plan).flatMap(({ spec }) =>
    Object.entries((spec as unknown as SubscriberShapingSpec).subscribers).map(([id, one]) => [id, one.plan]),
  );
  expect(Object.fromEntries(names)).toEqual({
    a: "10/5 fq_codel",
    b: "10/5 cake",
    c: "10/5 held 2/0.01 fifo/fq_codel",
  });
});

test("a node that moves in the access network is another class, which its subscribers move to", () => {
  const numbers = (parent: string | undefined) =>
    numberNodes([
      { name: "north", download: 100, upload: 100 },
      { name: "south", download: 100, upload: 100 },
      { name: "mast", parent, download: 50, upload: 50 },
    ]).numbers;
  const [before, after] = [numbers("north"), numbers("south")];
  expect(after.get("mast")).not.toBe(before.get("mast"));
  expect([after.get("north"), after.get("south")]).toEqual([before.get("north"), before.get("south")]);
});
