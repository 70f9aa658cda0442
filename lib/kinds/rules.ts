import { found } from "./found";
import { defineKind, inPlace, replace } from "./kind";
import { observeRules, type RuleRow } from "./rules/observe";
import { planRules } from "./rules/plan";
import { schema, type Family } from "./rules/schema";
import type { Query } from "./step";

const SEGMENT = "rules";

const query = (family: Family, netns: string | undefined): Query => ({
  tool: "ip",
  ...(netns !== undefined && { netns }),
  args: [...(family === "inet6" ? ["-6"] : []), "-N", "-d", "rule", "show"],
});

/** How `ip` says that a kernel or a namespace has no rules of a family. */
const NO_FAMILY = /not supported|Address family/;

/** A named set of policy rules of one namespace. Rules at other priorities are none of its business. */
export const rules = defineKind({
  token: "netloom:net:Rules",
  description: "A named set of policy routing rules in one network namespace (ip-rule(8)), IPv4 and IPv6.",
  schema,
  policy: {
    netns: replace("a rule cannot move to another namespace"),
    name: replace("the set is known by its name"),
    rules: inPlace(),
  },
  ownership: "object",
  identity: ({ netns, name }) => [...(netns === undefined ? [] : [netns]), SEGMENT, name],
  locate(identity) {
    const [name = "", segment, netns] = [...identity].reverse();
    if (segment !== SEGMENT || identity.length > 3) return undefined;
    return { ...(netns !== undefined && { netns }), name };
  },
  queries: ({ netns }) => [query("inet", netns), query("inet6", netns)],
  observe(facts, specs) {
    const { netns, name = "" } = specs[0];
    const rows = (family: Family) =>
      (found(facts, query(family, netns), NO_FAMILY) ?? []) as readonly RuleRow[];
    const there = observeRules(
      { inet: rows("inet"), inet6: rows("inet6") },
      specs.map((spec) => spec.rules),
    );
    if (there.length === 0) return undefined;
    return { ...(netns !== undefined && { netns }), name, rules: there };
  },
  plan: (current, desired) =>
    planRules(current?.rules ?? [], desired?.rules ?? [], desired?.netns ?? current?.netns),
  explain(error, { name }) {
    if (/Operation not supported|Address family not supported/.test(error)) {
      return `${error}. The kernel has no policy rules of this family: CONFIG_IP_MULTIPLE_TABLES, CONFIG_IPV6_MULTIPLE_TABLES (set of rules ${name}).`;
    }
    if (/File exists/.test(error)) {
      return `${error}. The same rule was added meanwhile: run the update again (set of rules ${name}).`;
    }
    return undefined;
  },
});
