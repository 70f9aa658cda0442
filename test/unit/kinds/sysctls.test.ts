import { settingSteps } from "../../../lib/kinds/settings";
import { sysctls } from "../../../lib/kinds/sysctls";
import { queryKey, type Facts } from "../../../lib/kinds/step";
import { factsThatFail } from "../../support/recorded";

const parse = (values: Record<string, string>) => sysctls.schema.parse({ name: "set", values });
const problems = (values: unknown) =>
  (sysctls.schema.safeParse({ name: "set", values }).error?.issues ?? []).map(
    ({ path, message }) => `${path.join(".")}: ${message}`,
  );
const order = (current: Record<string, string>, desired: Record<string, string>) =>
  settingSteps(current, desired).flatMap((step) => (step.tool === "sysctl" ? Object.keys(step.values) : []));

describe("settings in their canonical form", () => {
  test("keys are paths, values have single spaces, and the keys are sorted", () => {
    const { values } = parse({ "net.ipv4.tcp_rmem": " 1\t2   3 ", "net/core/x.y/z": "1" });
    expect(Object.entries(values)).toEqual([
      ["net/core/x.y/z", "1"],
      ["net/ipv4/tcp_rmem", "1 2 3"],
    ]);
    expect(parse(values).values).toEqual(values);
  });

  test.each([
    [{ "../../etc/passwd": "x" }, /is not a kernel setting/],
    [{ "net/ipv4/ip_forward": "1\nnet/ipv4/x=2" }, /one line of printable text/],
    [{ "net/ipv4/$(id)": "1" }, /is not a kernel setting/],
    [{ "net/ipv4/ip_forward": 1 }, /must be text/],
    [{ "net/ipv4/ip_forward": "1", "net/ipv4/conf/all/forwarding": "0" }, /they are one setting/],
  ])("%j is refused", (values, message) => {
    expect(problems(values).join("\n")).toMatch(message);
  });
});

describe("the order of writing", () => {
  test("what is right stays as it is", () => {
    expect(order({ "net/ipv4/tcp_sack": "1" }, { "net/ipv4/tcp_sack": "1" })).toEqual([]);
    expect(order({ "net/ipv4/tcp_sack": "1" }, { "net/ipv4/tcp_sack": "0" })).toEqual(["net/ipv4/tcp_sack"]);
  });

  test("what is copied to others goes before them, and they are written again", () => {
    const desired = {
      "net/ipv4/conf/aaa/forwarding": "0",
      "net/ipv4/conf/all/accept_redirects": "1",
      "net/ipv4/conf/default/forwarding": "0",
      "net/ipv4/ip_forward": "1",
      "net/ipv6/conf/aaa/forwarding": "0",
    };
    expect(order({ ...desired, "net/ipv4/ip_forward": "0" }, desired)).toEqual([
      "net/ipv4/ip_forward",
      "net/ipv4/conf/all/accept_redirects",
      "net/ipv4/conf/default/forwarding",
      "net/ipv4/conf/aaa/forwarding",
    ]);
  });

  test("a link's own setting stirs nothing", () => {
    const desired = { "net/ipv4/conf/a/rp_filter": "1", "net/ipv4/conf/all/rp_filter": "1" };
    expect(order({ ...desired, "net/ipv4/conf/a/rp_filter": "0" }, desired)).toEqual([
      "net/ipv4/conf/a/rp_filter",
    ]);
  });
});

describe("looking", () => {
  const facts: Facts = {
    get(query) {
      const value: Record<string, string> = { "net/ipv4/tcp_rmem": "4096\t131072\t6291456" };
      if (query.tool !== "sysctl") throw new Error(queryKey(query));
      return {
        ok: true,
        value: Object.fromEntries(
          query.keys.flatMap((key) => (value[key] === undefined ? [] : [[key, value[key]]])),
        ),
      };
    },
  };

  test("one query a setting, so that any set of them finds its own", () => {
    const spec = parse({ "net/ipv4/x": "1", "net/ipv4/y": "1" });
    expect(sysctls.queries({ ...spec, netns: "n" })).toEqual([
      { tool: "sysctl", netns: "n", keys: ["net/ipv4/x"] },
      { tool: "sysctl", netns: "n", keys: ["net/ipv4/y"] },
    ]);
  });

  test("a setting that the kernel has not is left out", () => {
    const spec = parse({ "net/ipv4/tcp_rmem": "1 2 3", "net/ipv4/nope": "1" });
    expect(sysctls.observe(facts, [spec])).toEqual({
      name: "set",
      values: { "net/ipv4/tcp_rmem": "4096 131072 6291456" },
    });
  });

  test("a look that failed is no absence, a namespace that is gone is", () => {
    const spec = { ...parse({ "net/ipv4/x": "1" }), netns: "n" };
    expect(() => sysctls.observe(factsThatFail("grep: Permission denied"), [spec])).toThrow(
      /reading net\/ipv4\/x in netns n failed/,
    );
    expect(
      sysctls.observe(factsThatFail('Cannot open network namespace "n": No such file or directory'), [spec]),
    ).toBeUndefined();
  });
});

test("a setting is no object: its set cannot be imported, and its end is what was before", () => {
  expect(sysctls.locate(["sysctls", "set"])).toBeUndefined();
  expect(sysctls.ownership).toBe("setting");
  expect(sysctls.plan(parse({ "net/ipv4/x": "1" }), undefined, { owner: "" })).toEqual([]);
});

test.each([
  ["setting net/bridge/bridge-nf-call-iptables failed: no such kernel setting", /br_netfilter/],
  ["setting net/netfilter/nf_conntrack_max failed: no such kernel setting", /nf_conntrack/],
  ["setting net/ipv6/conf/eth7/forwarding in netns n failed: no such kernel setting", /no link eth7/],
  ["setting net/ipv4/ip_forward failed: printf: write error: Invalid argument", /does not take this value/],
  ["setting kernel/panic in netns n failed: cat: write error: Permission denied", /cannot be written here/],
])("%s is explained", (said, meaning) => {
  const told = sysctls.explain?.(said, parse({ "net/ipv4/x": "1" }));
  expect(told).toContain(said);
  expect(told).toMatch(meaning);
});
