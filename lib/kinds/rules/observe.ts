import { protocolName, writePorts } from "../protocols";
import { OUR_PROTOCOL, TABLES } from "../routes/schema";
import { canonicalCidr } from "../schemas";
import { ACTIONS, canonicalRule, FULL_MASK, ruleKey, sortRules, type Family, type Rule } from "./schema";

/** A rule as it is found; what has no word of ours is told of, and differs from anything wanted. */
export interface ObservedRule extends Rule {
  readonly unrecognised?: readonly string[];
}

/** One member of what `ip -j -N -d rule show` prints (print_rule in ip/iprule.c). */
export type RuleRow = Readonly<Record<string, unknown>>;

const KNOWN = new Set(
  (
    "priority not src srclen dst dstlen iif iif_detached oif oif_detached fwmark fwmask ipproto sport sport_start " +
    "sport_end dport dport_start dport_end uid_start uid_end table suppress_prefixlen action protocol"
  ).split(" "),
);

const PROTOCOLS: Readonly<Record<string, number>> = { unspec: 0, redirect: 1, kernel: 2, boot: 3, static: 4 };

const textOf = (value: unknown) => (typeof value === "string" ? value : undefined);
const numberOf = (value: unknown) => (typeof value === "number" ? value : undefined);

function network(address: unknown, length: unknown): string | undefined {
  const text = textOf(address);
  if (text === undefined || text === "all") return undefined;
  return canonicalCidr(`${text}/${numberOf(length) ?? (text.includes(":") ? 128 : 32)}`);
}

function portsOf(row: RuleRow, which: "sport" | "dport"): number | string | undefined {
  const one = numberOf(row[which]);
  if (one !== undefined) return one;
  const [from, to] = [numberOf(row[`${which}_start`]), numberOf(row[`${which}_end`])];
  return from === undefined || to === undefined ? undefined : writePorts({ from, to });
}

function tableOf(row: RuleRow): number | undefined {
  const printed = textOf(row.table);
  if (printed === undefined) return undefined;
  return /^\d+$/.test(printed) ? Number(printed) : TABLES[printed as keyof typeof TABLES];
}

function actionOf(row: RuleRow): Rule["action"] {
  const printed = textOf(row.action);
  return (Object.keys(ACTIONS) as (keyof typeof ACTIONS)[]).find(
    (name) => name === printed || String(ACTIONS[name]) === printed,
  );
}

function markOf(row: RuleRow): Rule["fwmark"] {
  const mark = textOf(row.fwmark);
  if (mark === undefined) return undefined;
  const mask = textOf(row.fwmask);
  return { mark: Number(mark), mask: mask === undefined ? FULL_MASK : Number(mask) };
}

/** A row in our words. */
export function parseRow(row: RuleRow, family: Family): ObservedRule {
  const protocol = textOf(row.protocol);
  const action = actionOf(row);
  const strange = Object.entries(row).filter(
    ([key]) => !KNOWN.has(key) || (key === "action" && action === undefined),
  );
  const [from, to] = [numberOf(row.uid_start), numberOf(row.uid_end)];
  return {
    ...canonicalRule({
      priority: numberOf(row.priority) ?? 0,
      family,
      not: "not" in row ? true : undefined,
      from: network(row.src, row.srclen),
      to: network(row.dst, row.dstlen),
      iif: textOf(row.iif),
      oif: textOf(row.oif),
      fwmark: markOf(row),
      ipProtocol: row.ipproto === undefined ? undefined : protocolName(row.ipproto as string),
      sourcePort: portsOf(row, "sport"),
      destinationPort: portsOf(row, "dport"),
      uidRange: from === undefined || to === undefined ? undefined : { from, to },
      table: action === undefined ? tableOf(row) : undefined,
      suppressPrefixLength: numberOf(row.suppress_prefixlen),
      action,
      // No protocol at all is 0 (unspec): a rule of `ip rule add` on an old iproute2.
      protocol:
        protocol === undefined ? 0 : /^\d+$/.test(protocol) ? Number(protocol) : (PROTOCOLS[protocol] ?? 0),
    }),
    ...(strange.length > 0 && {
      unrecognised: strange.map(([key, value]) => (value === null ? key : `${key} ${JSON.stringify(value)}`)),
    }),
  };
}

/** Who made the rules that every namespace begins with. */
const KERNEL = 2;

/**
 * The rules of the sets that are there, those of one priority in the order that they are asked in: others may have
 * added to ours. Without a set (an import) all but the kernel's.
 */
export function observeRules(
  rows: Readonly<Record<Family, readonly RuleRow[]>>,
  sets: readonly (readonly Rule[] | undefined)[],
): ObservedRule[] {
  const there = (["inet", "inet6"] as const).flatMap((family) =>
    rows[family].map((row) => parseRow(row, family)),
  );
  const [first] = sets;
  if (first === undefined)
    return sortRules(there.filter(({ protocol = OUR_PROTOCOL }) => protocol !== KERNEL));
  const asked = new Set(sets.flatMap((set) => set ?? []).map(ruleKey));
  return sortRules(there.filter((rule) => asked.has(ruleKey(rule))));
}
