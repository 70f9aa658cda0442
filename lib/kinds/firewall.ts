import { isDeepStrictEqual } from "node:util";
import { familyOf } from "./schemas";
import { observeTable } from "./firewall/observe";
import { deleteCommands, FILTER_CHAINS, tableCommands } from "./firewall/render";
import { versionsOf, type Match } from "./firewall/match";
import { schema, type FirewallSpec } from "./firewall/schema";
import { found } from "./found";
import { defineKind, inPlace, replace, type Finding, type Located } from "./kind";
import type { Query } from "./step";

const SEGMENT = "firewall";

type Spec = Located<typeof schema>;

const query = ({ netns, family = "inet", table = "" }: Spec): Query => ({
  tool: "nft",
  ...(netns !== undefined && { netns }),
  args: ["list", "table", family, table],
});

/** No such table; a kernel without nf_tables has none either, and says so when one is to be made. */
const ABSENT = /No such file or directory|Operation not supported|Protocol not supported/;

/** Every match of a spec with its place. */
function* matches(spec: FirewallSpec): Generator<readonly [Finding["path"], Match]> {
  for (const list of ["masquerade", "portForward", "clampMss"] as const) {
    for (const [index, one] of spec[list].entries()) yield [[list, index], one];
  }
  for (const chain of FILTER_CHAINS) {
    for (const [index, one] of spec[chain].rules.entries()) yield [[chain, "rules", index], one];
  }
}

/** Clamps that another one already makes, but for `output`: a table does not tell which of them has it. */
function* clampedTwice({ clampMss }: FirewallSpec): Generator<Finding> {
  const rules = clampMss.map(({ output: _, ...rule }) => rule);
  for (const [index, rule] of rules.entries()) {
    const first = rules.findIndex(
      (other, at) => isDeepStrictEqual(other, rule) && clampMss[at]?.output !== clampMss[index]?.output,
    );
    if (first === -1 || first > index) continue;
    yield {
      path: ["clampMss", index],
      message: `is clampMss[${first}] once more, but for output: keep the one with output true, which does both`,
    };
  }
}

/** One nftables table, replaced as a whole by each change. */
export const firewall = defineKind({
  token: "netloom:net:Firewall",
  description: "One nftables table (nft(8)): masquerading, port forwarding, MSS clamping and filter rules.",
  schema,
  policy: {
    netns: replace("a table cannot move to another namespace"),
    family: replace("a table is known by its family and name"),
    table: replace("a table is known by its family and name"),
    masquerade: inPlace(),
    portForward: inPlace(),
    clampMss: inPlace(),
    input: inPlace(),
    forward: inPlace(),
    output: inPlace(),
    unrecognised: inPlace(),
  },
  ownership: "object",
  identity: ({ netns, family, table }) => [...(netns === undefined ? [] : [netns]), SEGMENT, family, table],
  locate(identity) {
    const [table = "", family, segment, netns] = [...identity].reverse();
    const known = schema.shape.family.safeParse(family);
    if (segment !== SEGMENT || identity.length > 4 || family === undefined || !known.success)
      return undefined;
    return { ...(netns !== undefined && { netns }), family: known.data, table };
  },
  check(spec) {
    const findings = [...clampedTwice(spec)];
    const version = spec.family === "ip" ? 4 : spec.family === "ip6" ? 6 : undefined;
    if (version === undefined) return findings;
    for (const [path, match] of matches(spec)) {
      if (match.ipVersion !== undefined) {
        findings.push({
          path: [...path, "ipVersion"],
          message: `goes without saying in a table of family ${spec.family}: leave it out`,
        });
      }
      const { toAddress, toAddresses } = match as { toAddress?: string; toAddresses?: string };
      const others = [toAddress, toAddresses?.split("-")[0]].flatMap((one) =>
        one === undefined ? [] : [familyOf(one)],
      );
      if ([...versionsOf(match), ...others].some((one) => one !== version)) {
        findings.push({
          path,
          message: `has an address that is no IPv${version} one, and the table is of family ${spec.family}`,
        });
      }
    }
    return findings;
  },
  queries: (spec) => [query(spec)],
  observe(facts, specs) {
    const { netns, family = "inet", table = "" } = specs[0];
    const listed = found(facts, query(specs[0]), ABSENT);
    if (listed === undefined) return undefined;
    return observeTable(listed, { ...(netns !== undefined && { netns }), family, table });
  },
  plan(current, desired, { owner }) {
    const spec = desired ?? current;
    if (spec === undefined) return [];
    const step = (commands: readonly object[]) => [
      { tool: "nft" as const, ...(spec.netns !== undefined && { netns: spec.netns }), commands },
    ];
    if (desired === undefined) return step(deleteCommands(spec));
    return isDeepStrictEqual(current, desired) ? [] : step(tableCommands(desired, owner));
  },
  explain(error, { netns, family, table }) {
    const where = netns === undefined ? "" : ` in netns ${netns}`;
    if (/Operation not supported|No such file or directory|Protocol not supported/.test(error)) {
      return (
        `${error}. The kernel lacks a part of nf_tables that table ${family} ${table}${where} needs: load the modules ` +
        "nf_tables, nft_chain_nat, nft_masq, nft_nat, nft_ct, nft_reject_inet, nft_exthdr (they come with the distribution's own kernel)"
      );
    }
    if (/Operation not permitted|Permission denied/.test(error)) {
      return `${error}. nftables needs root (CAP_NET_ADMIN) in the namespace of the table.`;
    }
    if (/Device or resource busy/.test(error)) {
      return `${error}. Somebody else changed table ${family} ${table} meanwhile: run the update again.`;
    }
    return undefined;
  },
});
