import { subscriberShaping } from "../../../lib/kinds/subscriber-shaping";
import { collisions, prefixFilter } from "../../../lib/kinds/subscriber-shaping/prefix-filters";
import type { SubscriberShapingSpec } from "../../../lib/kinds/subscriber-shaping/schema";
import type { Step } from "../../../lib/kinds/step";
import { manySubscribers } from "../../support/many-subscribers";

const plan = (from: SubscriberShapingSpec | undefined, to: SubscriberShapingSpec | undefined) =>
  subscriberShaping.plan(from, to, { owner: "netloom:test" });
const words = (steps: readonly Step[]) => steps.map((step) => ("args" in step ? step.args.join(" ") : ""));

describe.each([10, 10_000])("of %i subscribers", (count) => {
  const many = manySubscribers("ns", count);

  test("another plan for one is a class change on each link, of that subscriber alone", () => {
    const changed = {
      ...many,
      subscribers: { ...many.subscribers, s7: { ...many.subscribers.s7!, plan: "500/100" } },
    };
    expect(words(plan(many, changed))).toEqual([
      "class change dev v0 parent 1:1 classid 1:1006 htb rate 10000bit ceil 500000000bit burst 3028b cburst 62500b quantum 6056 prio 0",
      "class change dev w0 parent 1:1 classid 1:1006 htb rate 10000bit ceil 100000000bit burst 3028b cburst 12500b quantum 6056 prio 0",
    ]);
  });

  test("adding one is a class on each link and a filter on each", () => {
    const one = { class: "1:f000", parent: "1:1", plan: "10/2" };
    const more = {
      ...many,
      subscribers: { ...many.subscribers, newcomer: one },
      prefixes: { ...many.prefixes, "10.7.0.1": "1:f000" },
    };
    expect(words(plan(many, more)).map((line) => line.split(" ").slice(0, 4).join(" "))).toEqual([
      "class add dev v0",
      "class add dev w0",
      "filter replace dev v0",
      "filter replace dev w0",
    ]);
    expect(words(plan(more, many)).map((line) => line.split(" ").slice(0, 4).join(" "))).toEqual([
      "filter del dev v0",
      "filter del dev w0",
      "class del dev v0",
      "class del dev w0",
    ]);
  });

  test("nothing is to be done for what is there", () => {
    expect(plan(many, many)).toEqual([]);
  });
});

test("a class that becomes another subscriber's is not made again", () => {
  const one = manySubscribers("ns", 2);
  const { s1, s2 } = one.subscribers;
  expect(plan(one, { ...one, subscribers: { other: s1!, s2: s2! } })).toEqual([]);
});

test("a subscriber that moves below another node is made again, and nobody else", () => {
  const one = manySubscribers("ns", 3);
  const moved = {
    ...one,
    subscribers: { ...one.subscribers, s2: { ...one.subscribers.s2!, parent: "1:10" } },
  };
  expect(words(plan(one, moved)).map((line) => line.split(" ").slice(0, 2).join(" "))).toEqual([
    "class del",
    "class add",
    "class del",
    "class add",
  ]);
});

test("a state of 10,000 subscribers is small", () => {
  const spec = manySubscribers("ns", 10_000);
  const prefixes = Object.fromEntries(
    Object.values(spec.subscribers).map((one, n) => [`100.64.${n >> 8}.${n & 255}`, one.class]),
  );
  // Pulumi keeps inputs and outputs.
  expect(2 * JSON.stringify({ ...spec, prefixes }).length).toBeLessThan(2_500_000);
});

test("prefixes have filters whose numbers follow from them alone, the longest asked first", () => {
  expect(prefixFilter("10.0.0.1", "1:1000", "download")).toEqual({
    ...{
      parent: "egress",
      protocol: "ip",
      pref: 100,
      handle: 0x0a000001,
      destination: "10.0.0.1",
      classid: "1:1000",
    },
  });
  expect(prefixFilter("10.0.0.0/24", "1:1000", "upload")).toMatchObject({ pref: 108, source: "10.0.0.0/24" });
  expect(prefixFilter("0.0.0.0/0", "1:1000", "upload")).toMatchObject({ pref: 132, handle: 1 });
  expect(prefixFilter("2001:db8::/56", "1:1000", "upload")).toMatchObject({ protocol: "ipv6", pref: 272 });
  expect(collisions(["2001:db8::1", "2001:db8::2", "10.0.0.1", "10.0.0.0/24"])).toEqual([]);
});

describe("refused with the property and what is wrong", () => {
  const good = { name: "one", download: "v0", upload: "w0", plans: {}, subscribers: {}, prefixes: {} };
  const side = { rate: 1e6, ceil: 1e6, burst: 3028, cburst: 3028, quantum: 6056 };
  const findings = (spec: object) =>
    (subscriberShaping.check?.(subscriberShaping.schema.parse({ ...good, ...spec })) ?? []).map(
      ({ path, message }) => `${path.join(".")} ${message}`,
    );

  test.each([
    ["one link for both", { upload: "v0" }, /^upload v0 carries downloads already/],
    [
      "a plan that is none",
      { subscribers: { a: { class: "1:1000", parent: "1:1", plan: "x" } } },
      /no plan "x"/,
    ],
    [
      "two of one class",
      {
        plans: { x: { download: side, upload: side } },
        subscribers: {
          a: { class: "1:1000", parent: "1:1", plan: "x" },
          b: { class: "1:1000", parent: "1:1", plan: "x" },
        },
      },
      /^subscribers.b.class 1:1000 is the class of a already/,
    ],
    [
      "more held than there is",
      { plans: { x: { download: { ...side, rate: 2e6 }, upload: side } } },
      /^plans.x.download.rate 2000000 bit\/s are held/,
    ],
  ])("%s", (_, spec, message) => {
    expect(findings(spec)).toEqual([expect.stringMatching(message)]);
  });

  test.each([
    ["a rate of 0", { plans: { x: { download: { ...side, ceil: 0 }, upload: side } } }],
    ["a class that is a command", { subscribers: { a: { class: "1:1; reboot", parent: "1:1", plan: "x" } } }],
    ["a prefix with host bits", { prefixes: { "10.0.0.1/24": "1:1000" } }],
    ["a prefix that is none", { prefixes: { "$(reboot)": "1:1000" } }],
  ])("%s", (_, spec) => {
    expect(subscriberShaping.schema.safeParse({ ...good, ...spec }).success).toBe(false);
  });
});
