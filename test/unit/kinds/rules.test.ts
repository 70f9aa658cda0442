import type { z } from "zod";
import { rules } from "../../../lib/kinds/rules";
import type { Step } from "../../../lib/kinds/step";
import { factsThatFail } from "../../support/recorded";

type Input = z.input<typeof rules.schema>;
type RuleInput = Input["rules"][number];

const spec = (...members: RuleInput[]) => rules.schema.parse({ netns: "n", name: "set", rules: members });
const words = (steps: readonly Step[]) =>
  steps.map((step) =>
    step.tool === "ip" ? `${step.family === 6 ? "-6 " : ""}${step.args.join(" ")}` : step.tool,
  );
const problems = (...members: unknown[]) => {
  const parsed = rules.schema.safeParse({ name: "set", rules: members });
  return (parsed.error?.issues ?? []).map(({ path, message }) => `${path.join(".")}: ${message}`);
};

describe("rules in their canonical form", () => {
  test.each<[string, RuleInput, object]>([
    [
      "the family of `from`",
      { priority: 1, from: "2001:DB8::/32", table: 5 },
      { family: "inet6", from: "2001:db8::/32" },
    ],
    ["the family of `to`", { priority: 1, to: "::1/128", table: 5 }, { family: "inet6" }],
    ["no family at all", { priority: 1, table: 5 }, { family: "inet" }],
    [
      "any address is no condition",
      { priority: 1, from: "0.0.0.0/0", to: "::/0", family: "inet6", table: 5 },
      {},
    ],
    [
      "a mark without a mask",
      { priority: 1, fwmark: { mark: 7 }, table: 5 },
      { fwmark: { mark: 7, mask: 4294967295 } },
    ],
    ["a protocol by number", { priority: 1, ipProtocol: 47, table: 5 }, { ipProtocol: "gre" }],
    ["a range of one port", { priority: 1, destinationPort: "80-80", table: 5 }, { destinationPort: 80 }],
    ["a table by name", { priority: 1, table: "main" }, { table: 254 }],
    ["our own protocol", { priority: 1, table: 5, protocol: 76 }, { protocol: undefined }],
  ])("%s", (name, given, form) => {
    if (name.startsWith("any address")) {
      expect(spec({ priority: 1, from: "0.0.0.0/0", table: 5 })).toEqual(spec({ priority: 1, table: 5 }));
      return;
    }
    const [rule] = spec(given).rules;
    for (const [property, value] of Object.entries(form))
      expect(rule?.[property as keyof typeof rule]).toEqual(value);
    expect(spec(...spec(given).rules)).toEqual(spec(given));
  });

  test("stand in the order of their priorities", () => {
    const [a, b, c]: RuleInput[] = [
      { priority: 9, table: 1 },
      { priority: 10, table: 1 },
      { priority: 9, family: "inet6", table: 1 },
    ];
    expect(spec(b!, c!, a!).rules.map((rule) => [rule.priority, rule.family])).toEqual([
      [9, "inet"],
      [9, "inet6"],
      [10, "inet"],
    ]);
  });
});

describe("rules that are refused", () => {
  test.each<[unknown, RegExp]>([
    [{ table: 5 }, /^rules\.0\.priority: /],
    [{ priority: 0, table: 5 }, /^rules\.0\.priority: .*from 1/],
    [{ priority: 1 }, /^rules\.0: .*either a table to look into or an action/],
    [{ priority: 1, table: 5, action: "blackhole" }, /^rules\.0: .*either/],
    [{ priority: 1, action: "nat" }, /^rules\.0\.action: /],
    [
      { priority: 1, action: "prohibit", suppressPrefixLength: 0 },
      /^rules\.0\.suppressPrefixLength: .*table/,
    ],
    [
      { priority: 1, table: 5, family: "inet", from: "::1/128" },
      /^rules\.0\.from: .*not of the rule's family, inet/,
    ],
    [{ priority: 1, table: 5, from: "10.0.0.0/8", to: "::1/128" }, /^rules\.0\.from: .*inet6/],
    [{ priority: 1, table: 5, not: true }, /^rules\.0\.not: .*never match/],
    [{ priority: 1, table: 5, not: true, from: "0.0.0.0/0" }, /^rules\.0\.not: /],
    [{ priority: 1, table: 5, fwmark: { mark: 16, mask: 15 } }, /^rules\.0\.fwmark: .*never match/],
    [{ priority: 1, table: 5, uidRange: { from: 9, to: 8 } }, /^rules\.0\.uidRange: ends before/],
    [{ priority: 1, table: 5, destinationPort: "1-65535" }, /^rules\.0\.destinationPort: .*65534/],
    [{ priority: 1, table: 5, destinationPort: "90-80" }, /^rules\.0\.destinationPort: .*range of ports/],
    [{ priority: 1, table: 5, ipProtocol: "tcp; id" }, /^rules\.0\.ipProtocol: must be one of/],
    [{ priority: 1, table: 5, iif: "eth0 table 9" }, /^rules\.0\.iif: /],
  ])("%j", (rule, message) => {
    expect(problems(rule).join("\n")).toMatch(message);
  });

  test("two of one family at one priority, but not of two", () => {
    const [four, six] = [
      { priority: 7, table: 5 },
      { priority: 7, table: 5, family: "inet6" },
    ];
    expect(problems(four, six)).toEqual([]);
    expect(problems(four, six, { ...four, from: "10.0.0.0/8" })).toEqual([
      expect.stringMatching(/^rules\.2\.priority: rules\[0\] has priority 7 too/),
    ]);
  });
});

const one: RuleInput = { priority: 100, from: "10.0.0.0/8", table: 100 };
const six: RuleInput = { priority: 100, from: "2001:db8::/32", table: 100 };

describe("plans", () => {
  test.each<[string, RuleInput[] | undefined, RuleInput[] | undefined, string[]]>([
    ["nothing for what is there", [one, six], [six, one], []],
    [
      "a rule of each family",
      undefined,
      [one, six],
      [
        "rule add priority 100 from 10.0.0.0/8 table 100 protocol 76",
        "-6 rule add priority 100 from 2001:db8::/32 table 100 protocol 76",
      ],
    ],
    [
      "everything that a rule can say",
      undefined,
      [
        {
          ...one,
          not: true,
          to: "192.0.2.1/32",
          iif: "a",
          oif: "b",
          fwmark: { mark: 16, mask: 240 },
          ipProtocol: "tcp",
          sourcePort: "1024-2047",
          destinationPort: 80,
          uidRange: { from: 0, to: 9 },
          suppressPrefixLength: 0,
        },
      ],
      [
        "rule add priority 100 not from 10.0.0.0/8 to 192.0.2.1/32 iif a oif b fwmark 16/240 ipproto 6 sport 1024-2047 dport 80 uidrange 0-9 table 100 suppress_prefixlength 0 protocol 76",
      ],
    ],
    [
      "a mark of zero with its mask",
      undefined,
      [{ priority: 1, fwmark: { mark: 0 }, action: "blackhole" }],
      ["rule add priority 1 fwmark 0/4294967295 blackhole protocol 76"],
    ],
    [
      "another table: the new rule first",
      [one],
      [{ ...one, table: 7 }],
      [
        "rule add priority 100 from 10.0.0.0/8 table 7 protocol 76",
        "rule del priority 100 from 10.0.0.0/8 table 100 protocol 76",
      ],
    ],
    [
      "a rule of somebody else is made ours",
      [{ ...one, protocol: 0 }],
      [one],
      [
        "rule add priority 100 from 10.0.0.0/8 table 100 protocol 76",
        "rule del priority 100 from 10.0.0.0/8 table 100 protocol 0",
      ],
    ],
    [
      "all of them, at the end",
      [one, six],
      undefined,
      [
        "rule del priority 100 from 10.0.0.0/8 table 100 protocol 76",
        "-6 rule del priority 100 from 2001:db8::/32 table 100 protocol 76",
      ],
    ],
  ])("%s", (_, current, desired, steps) => {
    expect(
      words(rules.plan(current && spec(...current), desired && spec(...desired), { owner: "" })),
    ).toEqual(steps);
  });

  const [ours] = spec(one).rules;
  const [older] = spec({ ...one, table: 5 }).rules;
  const found = (...members: (typeof ours)[]) => ({
    ...spec(one),
    rules: members.filter((rule) => rule !== undefined),
  });

  test("an older rule that an interrupted run left goes from the front", () => {
    expect(words(rules.plan(found(older, ours), spec(one), { owner: "" }))).toEqual([
      "rule del priority 100 from 10.0.0.0/8 table 5 protocol 76",
    ]);
  });

  test("a newer rule cannot be named without ours: both go and ours comes back", () => {
    const [broad] = spec({ priority: 100, table: 100 }).rules;
    expect(words(rules.plan(found(ours, broad), spec(one), { owner: "" }))).toEqual([
      "rule del priority 100 from 10.0.0.0/8 table 100 protocol 76",
      "rule del priority 100 table 100 protocol 76",
      "rule add priority 100 from 10.0.0.0/8 table 100 protocol 76",
    ]);
  });
});

test("ids are found again, and those of other kinds are not", () => {
  for (const identity of [
    ["n", "rules", "set"],
    ["rules", "set"],
  ]) {
    const located = rules.locate(identity);
    expect(located && rules.identity({ ...spec(one), netns: undefined, ...located })).toEqual(identity);
  }
  expect(rules.locate(["n", "routes", "set"])).toBeUndefined();
});

test("a look that failed is no absence; a kernel without a family has no rules of it", () => {
  expect(() => rules.observe(factsThatFail("ip: Permission denied"), [spec(one)])).toThrow(
    /ip rule show in netns n failed/,
  );
  expect(
    rules.observe(factsThatFail("RTNETLINK answers: Address family not supported by protocol"), [spec(one)]),
  ).toBeUndefined();
});

test.each([
  ["RTNETLINK answers: Operation not supported", /CONFIG_IP_MULTIPLE_TABLES/],
  ["RTNETLINK answers: File exists", /run the update again/],
])("%s is explained", (said, meaning) => {
  expect(rules.explain?.(said, spec(one))).toMatch(meaning);
});
