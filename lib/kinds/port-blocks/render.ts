import { OWNER_MARK } from "../firewall/schema";
import { readBlock, type Block, type PortBlocksSpec } from "./schema";

/** A statement, expression or command of libnftables-json(5). */
export type Json = Readonly<Record<string, unknown>>;

/** Before the `srcnat` of others (100): the first chain that gives a connection its address decides. */
export const HOOK = { type: "nat", hook: "postrouting", prio: 90 } as const;

/**
 * The maps of a table, two for single addresses (a hash) and two for networks (intervals). One leads from the source to
 * the chain of its range of ports, the other to its public address: few chains, and two elements for each source.
 */
export const MAPS = {
  host: { ports: "ports", address: "address" },
  network: { ports: "network_ports", address: "network_address" },
} as const;

/** Which pair of maps a source is in. */
export type Sort = keyof typeof MAPS;

/** Both sorts of source. */
export const SORTS = ["host", "network"] as const;

export const sortOf = (source: string): Sort => (source.includes("/") ? "network" : "host");

/** The chain of a range of ports. */
export const chainOf = (sort: Sort, { from, to }: Pick<Block, "from" | "to">) => `${sort}-${from}-${to}`;

const sourceAddress: Json = { payload: { protocol: "ip", field: "saddr" } };

/** ICMP, TCP and UDP, by number: a host need not have /etc/protocols. */
const WITH_PORTS = [1, 6, 17];

/** The rules of the chain of a range: what has no ports keeps the address alone. */
export function chainRules(
  sort: Sort,
  { from, to }: Pick<Block, "from" | "to">,
): readonly (readonly Json[])[] {
  const addr = { map: { key: sourceAddress, data: `@${MAPS[sort].address}` } };
  return [
    [
      { match: { op: "==", left: { meta: { key: "l4proto" } }, right: { set: WITH_PORTS } } },
      { snat: { addr, port: { range: [from, to] } } },
    ],
    [{ snat: { addr } }],
  ];
}

/** The rules of the chain that the kernel calls. */
export const entryRules = (outInterface: string): readonly (readonly Json[])[] =>
  SORTS.map((sort) => [
    { match: { op: "==", left: { meta: { key: "oifname" } }, right: outInterface } },
    { vmap: { key: sourceAddress, data: `@${MAPS[sort].ports}` } },
  ]);

const keyOf = (source: string): unknown => {
  const [addr = "", length] = source.split("/");
  return length === undefined ? addr : { prefix: { addr, len: Number(length) } };
};

interface Entry extends Block {
  readonly source: string;
  readonly sort: Sort;
}

/** Sources with their blocks. */
export const entriesOf = (blocks: PortBlocksSpec["blocks"]): Entry[] =>
  Object.entries(blocks).flatMap(([source, text]) => {
    const block = readBlock(text);
    return block === undefined ? [] : [{ source, sort: sortOf(source), ...block }];
  });

/** The chains that sources lead to, each once. */
export function chainsOf(entries: readonly Entry[]): Map<string, Entry> {
  return new Map(entries.map((entry) => [chainOf(entry.sort, entry), entry]));
}

/** Commands within one table. */
export function within(table: string) {
  const at = { family: "ip", table };
  return {
    add: (kind: string, value: Json): Json => ({ add: { [kind]: { ...at, ...value } } }),
    remove: (kind: string, value: Json): Json => ({ delete: { [kind]: { ...at, ...value } } }),
    flush: (name: string): Json => ({ flush: { chain: { ...at, name } } }),
  };
}

/** Commands that put sources into their maps. */
export function elements(table: string, entries: readonly Entry[]): Json[] {
  const { add } = within(table);
  return SORTS.flatMap((sort) => {
    const some = entries.filter((entry) => entry.sort === sort);
    if (some.length === 0) return [];
    const { ports, address } = MAPS[sort];
    return [
      add("element", { name: address, elem: some.map((entry) => [keyOf(entry.source), entry.address]) }),
      add("element", {
        name: ports,
        elem: some.map((entry) => [keyOf(entry.source), { goto: { target: chainOf(sort, entry) } }]),
      }),
    ];
  });
}

/** Commands that take sources out of their maps. */
export function withoutElements(table: string, entries: readonly Entry[]): Json[] {
  const { remove } = within(table);
  return SORTS.flatMap((sort) => {
    const some = entries.filter((entry) => entry.sort === sort).map(({ source }) => keyOf(source));
    if (some.length === 0) return [];
    return [MAPS[sort].ports, MAPS[sort].address].map((name) => remove("element", { name, elem: some }));
  });
}

/** Commands that make the rules of chains. */
export const rulesOf = (table: string, chains: Iterable<readonly [string, Entry]>): Json[] =>
  [...chains].flatMap(([name, { sort, from, to }]) =>
    chainRules(sort, { from, to }).map((expr) => within(table).add("rule", { chain: name, expr })),
  );

/** Bytes that nftables keeps of a comment, without the closing NUL (NFTNL_UDATA_COMMENT_MAXLEN). */
const LONGEST_COMMENT = 127;

/** The whole table, whatever it was before, in one transaction. */
export function wholeTable({ table, outInterface, blocks }: PortBlocksSpec, owner: string): Json[] {
  const { add } = within(table);
  const comment = (owner.startsWith(OWNER_MARK) ? owner : `${OWNER_MARK}${owner}`).slice(0, LONGEST_COMMENT);
  const self = { family: "ip", name: table };
  const entries = entriesOf(blocks);
  const chains = chainsOf(entries);
  return [
    { add: { table: { ...self, comment } } },
    { delete: { table: self } },
    { add: { table: { ...self, comment } } },
    // nft sends a new interval map with its elements where the map is made, and they name chains.
    ...[...chains.keys()].map((name) => add("chain", { name })),
    ...SORTS.flatMap((sort) => {
      const flags = sort === "network" ? { flags: ["interval"] } : {};
      const { ports, address } = MAPS[sort];
      return [
        add("map", { name: address, type: "ipv4_addr", map: "ipv4_addr", ...flags }),
        add("map", { name: ports, type: "ipv4_addr", map: "verdict", ...flags }),
      ];
    }),
    add("chain", { name: "postrouting", ...HOOK, policy: "accept" }),
    ...rulesOf(table, chains),
    ...entryRules(outInterface).map((expr) => add("rule", { chain: "postrouting", expr, comment })),
    ...elements(table, entries),
  ];
}
