import { z } from "zod";
import { defined } from "../found";
import { ipProtocol, portRange, ports } from "../protocols";
import { OUR_PROTOCOL, table } from "../routes/schema";
import { familyOf, interfaceName, netnsName, prefix, safeName, u32, whole } from "../schemas";

/** What a rule does with a packet instead of looking into a table (FR_ACT_… of linux/fib_rules.h). */
export const ACTIONS = { blackhole: 6, unreachable: 7, prohibit: 8 } as const;

/** The families by the names that ip(8) has for them. */
export type Family = "inet" | "inet6";

/** A mark that is compared in full. */
export const FULL_MASK = 0xffff_ffff;

const fwmark = z
  .strictObject({
    mark: u32.describe("Value of the packet's firewall mark, 0 to 4294967295."),
    mask: u32.default(FULL_MASK).describe("Bits of the mark that are compared. Default: all."),
  })
  .superRefine(({ mark, mask }, context) => {
    if ((mark & ~mask) !== 0) {
      context.addIssue({
        code: "custom",
        message: "has bits that the mask leaves out, and would never match",
      });
    }
  });

/** The kernel takes no range that ends with 65535 (fib_rule_port_range_valid in net/fib_rules.h). */
const rulePorts = ports.superRefine((given, context) => {
  if (portRange(given)?.to === 65535) {
    context.addIssue({
      code: "custom",
      message: "ends with 65535, and the kernel takes ports up to 65534 in a rule",
    });
  }
});

const uidRange = z
  .strictObject({
    from: u32.describe("First user id."),
    to: u32.describe("Last user id."),
  })
  .superRefine(({ from, to }, context) => {
    if (from > to) context.addIssue({ code: "custom", message: "ends before it begins" });
  });

const rule = z
  .strictObject({
    priority: whole(1, 0xffff_ffff).describe(
      "Where it stands among the rules: the lowest is asked first. The kernel's own are 0, 32766 and 32767. One " +
        "rule of a family for each.",
    ),
    family: z
      .enum(["inet", "inet6"], { error: "must be inet (IPv4) or inet6 (IPv6)" })
      .optional()
      .describe("inet for IPv4, inet6 for IPv6. Default: that of `from` or `to`, else inet."),
    not: z.boolean().optional().describe("Applies to what does not match."),
    from: prefix.optional().describe("Network of the source address. Default: any."),
    to: prefix.optional().describe("Network of the destination address. Default: any."),
    iif: interfaceName
      .optional()
      .describe(
        "Link that the packet came in by; `lo` for what the host itself sends. It need not be there yet.",
      ),
    oif: interfaceName.optional().describe("Link that the sending socket is bound to."),
    fwmark: fwmark.optional().describe("The packet's firewall mark."),
    ipProtocol: ipProtocol.optional().describe("IP protocol, by name or number."),
    sourcePort: rulePorts.optional().describe("Source port, or a range such as 1024-2047."),
    destinationPort: rulePorts.optional().describe("Destination port, or a range such as 1024-2047."),
    uidRange: uidRange.optional().describe("Users whose sockets it applies to."),
    table: table.optional().describe("Table that is looked into: a number, or main, local or default."),
    suppressPrefixLength: whole(0, 128)
      .optional()
      .describe(
        "Goes on with the next rule when the table's answer has a prefix of this length or less (0: a default route).",
      ),
    action: z
      .enum(["blackhole", "unreachable", "prohibit"], {
        error: "must be one of blackhole, unreachable, prohibit",
      })
      .optional()
      .describe("Ends the packet instead of looking into a table."),
    protocol: whole(0, 255)
      .optional()
      .describe(`Number of who made it (rt_protos). Default: ours, ${OUR_PROTOCOL}; leave it so.`),
  })
  .superRefine((value, context) => {
    for (const { path, message } of problems(value))
      context.addIssue({ code: "custom", path: [...path], message });
  })
  .overwrite((value) => canonicalRule(value));

/** One policy rule in its canonical form. */
export type Rule = z.output<typeof rule>;

/** What sets one rule apart from another: we keep one of a family for each priority. */
export const ruleKey = ({ family = "inet", priority }: Rule): string => `${family} ${priority}`;

const familyFrom = ({ family, from, to }: Pick<Rule, "family" | "from" | "to">): Family =>
  family ??
  ([from, to].some((network) => network !== undefined && familyOf(network) === 6) ? "inet6" : "inet");

/** `0.0.0.0/0` and `::/0` are no condition: the kernel keeps none. */
const condition = (network: string | undefined) => (network?.endsWith("/0") === true ? undefined : network);

/** The rule as `observe` gives it. */
export function canonicalRule(given: Rule): Rule {
  const { fwmark: mark, uidRange: uids } = given;
  return defined({
    priority: given.priority,
    family: familyFrom(given),
    not: given.not === true ? true : undefined,
    from: condition(given.from),
    to: condition(given.to),
    iif: given.iif,
    oif: given.oif,
    fwmark: mark && { mark: mark.mark, mask: mark.mask },
    ipProtocol: given.ipProtocol,
    sourcePort: given.sourcePort,
    destinationPort: given.destinationPort,
    uidRange: uids && { from: uids.from, to: uids.to },
    table: given.table,
    suppressPrefixLength: given.suppressPrefixLength,
    action: given.action,
    protocol: given.protocol === OUR_PROTOCOL ? undefined : given.protocol,
  });
}

/** Rules sorted by priority; those of one priority keep the order that they are asked in. */
export function sortRules<T extends Rule>(rules: readonly T[]): T[] {
  return [...rules].sort(
    (a, b) => a.priority - b.priority || (a.family ?? "inet").localeCompare(b.family ?? "inet"),
  );
}

interface Problem {
  readonly path: readonly string[];
  readonly message: string;
}

function* problems(given: Rule): Generator<Problem> {
  const { table: lookup, action, suppressPrefixLength, not, priority } = given;
  if ((lookup === undefined) === (action === undefined)) {
    yield { path: [], message: `rule ${priority} needs either a table to look into or an action` };
  }
  if (suppressPrefixLength !== undefined && lookup === undefined) {
    yield { path: ["suppressPrefixLength"], message: "says something of a table's answer: give it a table" };
  }
  const family = familyFrom(given);
  for (const property of ["from", "to"] as const) {
    const network = given[property];
    if (network !== undefined && familyOf(network) !== (family === "inet6" ? 6 : 4)) {
      yield { path: [property], message: `${network} is not of the rule's family, ${family}` };
    }
  }
  const {
    from,
    to,
    iif,
    oif,
    fwmark: mark,
    ipProtocol: proto,
    sourcePort,
    destinationPort,
    uidRange: uids,
  } = given;
  const conditions = [
    condition(from),
    condition(to),
    iif,
    oif,
    mark,
    proto,
    sourcePort,
    destinationPort,
    uids,
  ];
  if (not === true && conditions.every((one) => one === undefined)) {
    yield { path: ["not"], message: "has no condition to turn round, and the rule would never match" };
  }
}

/** The spec of a set of policy rules. */
export const schema = z.strictObject({
  netns: netnsName
    .optional()
    .describe("Network namespace that they are in. Default: the host's initial one."),
  name: safeName.describe("Names the set in its id; it does not show up on the host."),
  rules: z
    .array(rule, { error: "must be a list of rules" })
    .min(1, "holds no rule: leave the whole set out")
    .superRefine((rules, context) => {
      const seen = new Map<string, number>();
      rules.forEach((one, index) => {
        const key = ruleKey(canonicalRule(one));
        const first = seen.get(key);
        if (first === undefined) return void seen.set(key, index);
        const message = `rules[${first}] has priority ${one.priority} too: rules of one family need priorities of their own`;
        context.addIssue({ code: "custom", path: [index, "priority"], message });
      });
    })
    .overwrite((rules) => sortRules(rules))
    .describe(
      "The rules, in any order: the priority tells which is asked first. Rules of others stay as they are.",
    ),
});

/** The spec of a set of policy rules in its canonical form. */
export type RulesSpec = z.output<typeof schema>;
