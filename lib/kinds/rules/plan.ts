import { isDeepStrictEqual } from "node:util";
import { protocolNumber } from "../protocols";
import { OUR_PROTOCOL } from "../routes/schema";
import type { Step } from "../step";
import type { ObservedRule } from "./observe";
import { FULL_MASK, ruleKey, type Rule } from "./schema";

const word = (name: string, value: string | number | undefined) =>
  value === undefined ? [] : [name, String(value)];

function markWords(mark: Rule["fwmark"]): string[] {
  if (mark === undefined) return [];
  // A mark of 0 without a mask is no condition to the kernel (fib_nl2rule in net/core/fib_rules.c).
  const whole = mark.mask === FULL_MASK && mark.mark !== 0;
  return ["fwmark", whole ? String(mark.mark) : `${mark.mark}/${mark.mask}`];
}

/** A rule as ip-rule(8) takes it. */
export function ruleWords(rule: Rule): string[] {
  const { ipProtocol, uidRange } = rule;
  return [
    ...word("priority", rule.priority),
    ...(rule.not === true ? ["not"] : []),
    ...word("from", rule.from),
    ...word("to", rule.to),
    ...word("iif", rule.iif),
    ...word("oif", rule.oif),
    ...markWords(rule.fwmark),
    ...word("ipproto", ipProtocol === undefined ? undefined : protocolNumber(ipProtocol)),
    ...word("sport", rule.sourcePort),
    ...word("dport", rule.destinationPort),
    ...(uidRange === undefined ? [] : ["uidrange", `${uidRange.from}-${uidRange.to}`]),
    ...(rule.action === undefined ? [] : [rule.action]),
    ...word("table", rule.table),
    ...word("suppress_prefixlength", rule.suppressPrefixLength),
    ...word("protocol", rule.protocol ?? OUR_PROTOCOL),
  ];
}

/** What is to be done at one priority. */
interface Place {
  readonly current: ObservedRule[];
  desired?: Rule;
}

/**
 * The steps from the rules that are there to those that are wanted. The kernel changes no rule and takes away the
 * first that fits what is named, conditions that are not named fitting any (rule_find in net/core/fib_rules.c).
 * So a new rule is added behind the old ones of its priority, and these go from the front.
 */
export function planRules(
  current: readonly ObservedRule[],
  desired: readonly Rule[],
  netns?: string,
): readonly Step[] {
  const step = (verb: "add" | "del", rule: Rule): Step => ({
    tool: "ip",
    ...(netns !== undefined && { netns }),
    ...(rule.family === "inet6" && { family: 6 }),
    args: ["rule", verb, ...ruleWords(rule)],
  });
  const places = new Map<string, Place>();
  const placeOf = (rule: Rule): Place => {
    const place = places.get(ruleKey(rule)) ?? { current: [] };
    places.set(ruleKey(rule), place);
    return place;
  };
  for (const rule of desired) placeOf(rule).desired = rule;
  for (const rule of current) placeOf(rule).current.push(rule);

  return [...places.values()].flatMap(({ current: there, desired: wanted }) => {
    const remove = (rules: readonly Rule[]) => rules.map((rule) => step("del", rule));
    if (wanted === undefined) return remove(there);
    const index = there.findIndex((rule) => isDeepStrictEqual(rule, wanted));
    if (index < 0) return [step("add", wanted), ...remove(there)];
    if (index === there.length - 1) return remove(there.slice(0, -1));
    return [...remove(there), step("add", wanted)];
  });
}
