import { found } from "./found";
import { defineKind, inPlace, replace, type Finding, type Located } from "./kind";
import { observeBlocks } from "./port-blocks/observe";
import { planBlocks } from "./port-blocks/plan";
import { readBlock, schema, type PortBlocksSpec } from "./port-blocks/schema";
import type { Query } from "./step";

const SEGMENT = "port-blocks";

const query = ({ netns, table = "" }: Located<typeof schema>): Query => ({
  tool: "nft",
  ...(netns !== undefined && { netns }),
  args: ["list", "table", "ip", table],
});

/** No such table; a kernel without nf_tables has none either, and says so when one is to be made. */
const ABSENT = /No such file or directory|Operation not supported|Protocol not supported/;

/** Blocks of one address that share a port: who had a port could then not be told. */
function overlapping({ blocks }: PortBlocksSpec): Finding[] {
  const all = Object.entries(blocks)
    .flatMap(([source, text]) => {
      const block = readBlock(text);
      return block === undefined ? [] : [{ source, text, ...block }];
    })
    .sort((a, b) => (a.address === b.address ? a.from - b.from : a.address < b.address ? -1 : 1));
  return all.flatMap((one, index): Finding[] => {
    const before = all[index - 1];
    // Several sources of one subscriber have the very same block.
    if (before?.address !== one.address || before.to < one.from || before.text === one.text) return [];
    const message = `${one.text} has ports of ${before.text}, which is ${before.source}'s`;
    return [{ path: ["blocks", one.source], message }];
  });
}

/** Carrier-grade NAT: each source behind the ports of its own of a public address. */
export const portBlocks = defineKind({
  token: "netloom:net:PortBlocks",
  description:
    "Source NAT by blocks of ports (RFC 7422): each subscriber's connections go under ports of its own of a public address.",
  schema,
  policy: {
    netns: replace("a table cannot move to another namespace"),
    table: replace("a table is known by its name"),
    outInterface: inPlace(),
    blocks: inPlace(),
    unrecognised: inPlace(),
  },
  ownership: "object",
  identity: ({ netns, table }) => [...(netns === undefined ? [] : [netns]), SEGMENT, table],
  locate(identity) {
    const [table = "", segment, netns] = [...identity].reverse();
    if (segment !== SEGMENT || identity.length > 3) return undefined;
    return { ...(netns !== undefined && { netns }), table };
  },
  check: overlapping,
  queries: (spec) => [query(spec)],
  observe(facts, specs) {
    const { netns, table = "" } = specs[0];
    const listed = found(facts, query(specs[0]), ABSENT);
    if (listed === undefined) return undefined;
    return observeBlocks(listed, { ...(netns !== undefined && { netns }), table });
  },
  plan: (current, desired, { owner }) => planBlocks(current, desired, owner),
  explain(error, { netns, table }) {
    const where = netns === undefined ? "" : ` in netns ${netns}`;
    if (/Operation not supported|Protocol not supported|No such file or directory/.test(error)) {
      return (
        `${error}. The kernel lacks a part of nf_tables that table ip ${table}${where} needs: load the modules nf_tables, ` +
        "nft_chain_nat and nft_nat (they come with the distribution's own kernel)"
      );
    }
    if (/File exists|interval overlaps|conflicting intervals/.test(error)) {
      return `${error}. Two sources of table ip ${table}${where} hold the same addresses: each is behind one block.`;
    }
    if (/Operation not permitted|Permission denied/.test(error)) {
      return `${error}. nftables needs root (CAP_NET_ADMIN) in the namespace of the table.`;
    }
    return undefined;
  },
});
