import { fou } from "../../../lib/kinds/fou";
import type { Fact, Facts } from "../../../lib/kinds/step";

const spec = (more: object = {}) => fou.schema.parse({ port: 5555, ...more });
const facts = (fact: Fact): Facts => ({ get: () => fact });
/** What iproute2 6.1 printed. */
const printed: Fact = {
  ok: true,
  value: [
    { port: 5557, ipproto: 47, family: "inet6" },
    { port: 5556, gue: null, family: "inet" },
    { port: 5555, ipproto: 47, family: "inet" },
  ],
};

describe("ports that receive GRE inside UDP", () => {
  test.each([
    ["one that is there", spec(), spec()],
    ["one of IPv6", spec({ port: 5557, family: 6 }), spec({ port: 5557, family: 6 })],
    ["one of the other family", spec({ port: 5557 }), undefined],
    [
      "one that is of Generic UDP Encapsulation",
      spec({ port: 5556 }),
      { port: 5556, family: 4, protocol: 0 },
    ],
    ["one that is not there", spec({ port: 1 }), undefined],
  ])("%s", (_, wanted, state) => {
    expect(fou.observe(facts(printed), [wanted])).toEqual(state);
  });

  test("a kernel that has not loaded the module has none, and another failure is not taken for that", () => {
    const unloaded = facts({ ok: false, error: "Error talking to the kernel" });
    expect(fou.observe(unloaded, [spec()])).toBeUndefined();
    expect(() => fou.observe(facts({ ok: false, error: "Operation not permitted" }), [spec()])).toThrow(
      "ip fou show failed: Operation not permitted",
    );
  });

  test.each<[string, object | undefined, object | undefined, string[]]>([
    ["a new one", undefined, {}, ["fou add port 5555 ipproto 47"]],
    ["one that goes", {}, undefined, ["fou del port 5555"]],
    ["one of another protocol", { protocol: 4 }, {}, ["fou del port 5555", "fou add port 5555 ipproto 47"]],
    ["one that is as it should be", {}, {}, []],
  ])("%s: its steps", (_, current, desired, steps) => {
    const plan = fou.plan(current && spec(current), desired && spec(desired), { owner: "" });
    expect(plan.map((step) => (step.tool === "ip" ? step.args.join(" ") : step.tool))).toEqual(steps);
  });

  test("IPv6 is asked for with -6, which alone says so", () => {
    expect(fou.plan(undefined, spec({ family: 6 }), { owner: "" })).toEqual([
      { tool: "ip", family: 6, args: ["fou", "add", "port", "5555", "ipproto", "47"] },
    ]);
  });

  test("its id leads back to it", () => {
    const wanted = spec({ netns: "isp", family: 6 });
    expect(fou.identity(wanted)).toEqual(["isp", "fou", "ipv6", "5555"]);
    expect(fou.locate(["isp", "fou", "ipv6", "5555"])).toEqual({ netns: "isp", port: 5555, family: 6 });
    expect(fou.locate(["fou", "ipv9", "5555"])).toBeUndefined();
  });
});
