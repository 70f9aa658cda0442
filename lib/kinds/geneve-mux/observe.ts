import { found } from "../found";
import { mapPin } from "../bpf/names";
import type { Located } from "../kind";
import { canonicalAddress, formatAddress } from "../schemas";
import type { Facts, Query } from "../step";
import { hopOf, lineOf, macOf, moreOf, ownEgress, portOf, type Numbers } from "./encode";
import { indexKey, lineAt, sourceKey } from "./image";
import { isOfPop, parseKey, type Key } from "./keys";
import {
  ALIAS,
  ARRAYS,
  bytesOf,
  endLine,
  FLAGS,
  hopEntry,
  isZero,
  MAPS,
  moreEntry,
  NO_TABLES,
  numberOf,
  portEntry,
  PORT_FLAGS,
  PROTOCOLS,
  STATIC,
  tableSize,
  TOMB,
  u32,
  type Flag,
  type MapName,
  type Protocol,
  type Tables,
} from "./layout";
import { linkId, linksOf, type End, type tunnelsSchema, type Tunnels } from "./schema";

type Part = Located<typeof tunnelsSchema>;

const dumpQuery = (program: string, map: MapName): Query => ({
  tool: "bpftool",
  args: ["map", "dump", "pinned", mapPin(program, map)],
});
const linksQuery = (netns: string | undefined): Query => ({
  tool: "ip",
  ...(netns !== undefined && { netns }),
  args: ["-d", "address", "show"],
});

/** Namespaces whose links a spec names; the host's initial one always. */
const namespacesOf = ({ ends = {}, links = {} }: Part) => [
  ...new Set<string | undefined>([undefined, ...linksOf({ ends, links }).map(({ netns }) => netns)]),
];

/** What has to be read to know the tunnels. */
export const queriesOf = (spec: Part): Query[] => [
  ...MAPS.map((map) => dumpQuery(spec.program ?? "", map)),
  ...namespacesOf(spec).map(linksQuery),
];

interface Entry {
  readonly key: readonly string[];
  readonly value?: readonly string[];
}

const digits = (words: readonly string[]) =>
  words.map((word) => word.replace(/^0x/, "").padStart(2, "0")).join("");

/** What the program writes itself is not compared. */
function masked(map: MapName, value: string): string {
  if (map === "mux_ends") return value.slice(0, 96) + "00".repeat(16);
  if (map !== "mux_hops") return value;
  const hop = hopEntry.decode(value);
  if (hop.hold === STATIC) return hopEntry.encode({ ...hop, resolved: 0, valid: STATIC });
  const none = "00:00:00:00:00:00";
  return hopEntry.encode({ ...hop, dmac: none, smac: none, egress: 0, resolved: 0, valid: 0 });
}

/** A map's entries in hexadecimal digits, as they are. */
export function dumpOf(facts: Facts, program: string, map: MapName) {
  const dump = found(facts, dumpQuery(program, map), /bpf obj get .*No such file or directory/);
  if (dump === undefined) return [];
  return (dump as readonly Entry[]).flatMap(({ key, value }) =>
    Array.isArray(value) ? [{ key: digits(key), value: digits(value as readonly string[]) }] : [],
  );
}

/** What the maps hold; undefined when they are not there. An array has all of its entries at all times. */
function tablesOf(facts: Facts, program: string): Tables | undefined {
  const tables: [MapName, Record<string, string>][] = [];
  for (const map of MAPS) {
    const dump = dumpOf(facts, program, map).map(({ key, value }) => [key, masked(map, value)] as const);
    if (dump.length === 0 && map === "mux_ends") return undefined;
    tables.push([map, Object.fromEntries(dump.filter(([, value]) => !ARRAYS.has(map) || !isZero(value)))]);
  }
  return Object.fromEntries(tables) as unknown as Tables;
}

interface Link {
  readonly ifname: string;
  readonly ifindex: number;
  readonly address?: string;
}

const MAC = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/;

/** Numbers of the links that are named, and what there is where one is not. */
function linkFacts(facts: Facts, specs: readonly Part[]) {
  const numbers: Record<string, Numbers[string]> = {};
  const others: Record<string, string[]> = {};
  for (const { ends = {}, links = {} } of specs) {
    for (const named of linksOf({ ends, links })) {
      const there = (found(facts, linksQuery(named.netns)) ?? []) as readonly Link[];
      const link = there.find(({ ifname }) => ifname === named.link);
      if (link === undefined) {
        others[named.netns ?? ""] = there.map(({ ifname }) => ifname).sort();
        continue;
      }
      const { ifindex: index, address } = link;
      numbers[linkId(named)] = { index, ...(address !== undefined && MAC.test(address) && { mac: address }) };
    }
  }
  return { numbers, others };
}

/** The tunnels as the maps have them; undefined when there are no maps. */
export function observeTunnels(facts: Facts, specs: readonly [Part, ...Part[]]): Tunnels | undefined {
  const [wanted] = specs;
  const { program = "", capacity = 16 } = wanted;
  const tables = tablesOf(facts, program);
  if (tables === undefined) return undefined;
  const { numbers, others } = linkFacts(facts, specs);
  const seen = new Set<number>();
  const ends: [string, End][] = [];
  for (const spec of specs) {
    for (const [name, end] of Object.entries(spec.ends ?? {})) {
      if (ends.some(([known]) => known === name)) continue;
      const there = observeEnd({ tables, numbers, others, capacity }, end, seen);
      if (there !== undefined) ends.push([name, there]);
    }
  }
  for (const [key, value] of Object.entries(tables.mux_ends)) {
    const line = numberOf(key);
    const { scope, protocol } = endLine.decode(value);
    if (seen.has(line) || scope === TOMB || protocol === ALIAS) continue;
    ends.push([`line-${line}`, decodeEnd({ tables, numbers, others, capacity }, line, [])]);
  }
  return {
    program,
    ...(wanted.version !== undefined && { version: wanted.version }),
    capacity,
    links: linksThere(tables, numbers, wanted),
    ends: Object.fromEntries(ends),
    numbers,
    ...(Object.keys(others).length > 0 && { others }),
    tables: tables === NO_TABLES ? {} : { ...tables },
  };
}

interface There {
  readonly tables: Tables;
  readonly numbers: Numbers;
  readonly others: Tunnels["others"];
  readonly capacity: number;
}

/** An end that the program knows, as it is; undefined when none of its keys leads anywhere. */
function observeEnd(there: There, end: End, seen: Set<number>): End | undefined {
  const index = there.numbers[end.link]?.index;
  if (index === undefined) return undefined;
  const lines = end.keys.map(
    (text) => [text, lineAt(there.tables, there.capacity, index, parseKey(text))] as const,
  );
  const line = lines.find(([, at]) => at !== undefined)?.[1];
  if (line === undefined || seen.has(line)) return undefined;
  seen.add(line);
  const keys = lines.flatMap(([text, at]) => (at === line ? [text] : []));
  const isWhole = keys.length === end.keys.length && isAs(there, end, line, index);
  return isWhole ? end : decodeEnd(there, line, keys, end);
}

/** Whether an end's entries are as wanted, wherever they are. */
function isAs({ tables, numbers, others }: There, end: End, line: number, index: number): boolean {
  const value = tables.mux_ends[indexKey(line)];
  if (value === undefined) return false;
  const { hop, more } = endLine.decode(value);
  try {
    const link = end.hop?.link;
    const egress = link === undefined ? 0 : (numbers[link]?.index ?? -1);
    const wanted = {
      hop: hopOf(end, macOf(numbers, others), egress),
      more: moreOf(end),
      line: lineOf(end, ownKey(end, value), index & 0xff_ffff, {
        line,
        hop: Number(hop),
        more: Number(more),
      }),
    };
    const there = {
      hop: hop === 0 ? undefined : tables.mux_hops[indexKey(Number(hop))],
      more: more === 0 ? undefined : tables.mux_more[indexKey(Number(more))],
    };
    const leaves = [
      [link ?? end.link, undefined],
      [end.egress, ownEgress(line)],
    ] as const;
    return (
      wanted.line === value &&
      wanted.hop === there.hop &&
      wanted.more === there.more &&
      sourcesOf(tables, line, end.sources).length === end.sources.length &&
      sourceCount(tables, line) === end.sources.length &&
      leaves.every(([name, key]) => name === undefined || isDevice(tables, numbers, name, key))
    );
  } catch {
    // A link that is named is not there.
    return false;
  }
}

/** The key that a line of the table has in itself, among those of an end. */
function ownKey(end: End, value: string) {
  const keys = end.keys.map(parseKey).filter((key): key is Extract<Key, { by: "slot" }> => key.by === "slot");
  return keys.find(({ family, a, b }) => family === 4 && value.startsWith(a + b));
}

function isDevice(tables: Tables, numbers: Numbers, link: string, key: number | undefined): boolean {
  const index = numbers[link]?.index;
  return index !== undefined && tables.mux_devs[u32(key ?? index)] === u32(index);
}

const sourcesOf = (tables: Tables, line: number, sources: readonly string[]) =>
  sources.filter((source) => tables.mux_sources[sourceKey(source, line)] !== undefined);
const sourceCount = (tables: Tables, line: number) =>
  Object.keys(tables.mux_sources).filter((key) => key.slice(8, 16) === u32(line)).length;

/** A line as an end, in the words of the schema. */
function decodeEnd(
  { tables, numbers, capacity }: There,
  at: number,
  keys: readonly string[],
  known?: End,
): End {
  const line = endLine.decode(tables.mux_ends[indexKey(at)] ?? "00".repeat(64));
  const hop = tables.mux_hops[indexKey(Number(line.hop))];
  const more = tables.mux_more[indexKey(Number(line.more))];
  const nameOf = (index: number) =>
    Object.entries(numbers).find(([id, one]) => !id.includes("/") && one.index === index)?.[0] ??
    `if${index}`;
  const device = tables.mux_devs[u32(Number(line.egress))];
  const isPush =
    known === undefined
      ? at >= tableSize(capacity) || Number(line.scope) >>> 24 < 3
      : known.direction === "push";
  const raw = Number(line.flags);
  const flags = (Object.keys(FLAGS) as Flag[]).filter((flag) => {
    if (flag === "v6" || flag === "options") return false;
    if (FLAGS[flag] === FLAGS["any-source"] && (flag === "ecn-compatible") !== isPush) return false;
    return (raw & (1 << FLAGS[flag])) !== 0;
  });
  const wide = (raw & 1) !== 0;
  const decoded = hop === undefined ? undefined : hopEntry.decode(hop);
  const address = (own: string | number, wideOne: string | number | undefined) => {
    const text =
      wide && wideOne !== undefined ? formatAddress(bytesOf(String(wideOne))) : canonicalAddress(String(own));
    return text === "0.0.0.0" || text === "::" ? undefined : text;
  };
  const [local, remote] = [address(line.local, decoded?.local), address(line.remote, decoded?.remote)];
  return {
    link: known?.link ?? "",
    keys: [...keys],
    direction: isPush ? "push" : "pop",
    protocol:
      (Object.keys(PROTOCOLS) as Protocol[]).find((name) => PROTOCOLS[name] === line.protocol) ?? "geneve",
    flags: flags.sort(),
    vni: Number(line.vni),
    ttl: Number(line.ttl),
    tos: Number(line.tos),
    mtu: Number(line.mtu),
    sourcePort: Number(line.sport),
    destinationPort: Number(line.dport),
    ...(local !== undefined && { local }),
    ...(remote !== undefined && { remote }),
    sources: sourcesOf(tables, at, known?.sources ?? []),
    ...(decoded && {
      hop:
        decoded.hold === STATIC
          ? { link: nameOf(Number(decoded.egress)), dmac: String(decoded.dmac), smac: String(decoded.smac) }
          : { hold: Number(decoded.hold) },
    }),
    ...(device !== undefined && { egress: nameOf(numberOf(device)) }),
    ...(more !== undefined && { inner: innerOf(more) }),
  };
}

function innerOf(more: string) {
  const { dmac, smac, optionsLength, options } = moreEntry.decode(more);
  const set = (mac: string | number) => mac !== "00:00:00:00:00:00";
  return {
    ...(set(dmac) && { dmac: String(dmac) }),
    ...(set(smac) && { smac: String(smac) }),
    ...(optionsLength !== 0 && { options: String(options).slice(0, 2 * Number(optionsLength)) }),
  };
}

/** The interfaces that have an entry; those that do something else than is wanted count for none. */
function linksThere(tables: Tables, numbers: Numbers, wanted: Part): Tunnels["links"] {
  const { links = {}, ends = {}, capacity = 16 } = wanted;
  const spec = { program: "", capacity, links, ends };
  const there: [string, Tunnels["links"][string]][] = [];
  for (const value of Object.values(tables.mux_ports)) {
    const port = portEntry.decode(value);
    const name = Object.entries(numbers).find(
      ([id, { index }]) => !id.includes("/") && index === port.ifindex,
    )?.[0];
    if (name !== undefined && name in links) {
      const texts = Object.values(ends).flatMap(({ link, keys }) => (link === name ? keys : []));
      const keys = texts.map((text) => ({ key: parseKey(text), isPop: isOfPop(text) }));
      const isAll = keys.some(({ key }) => key.by === "all");
      const same = portOf(spec, name, Number(port.ifindex), keys, isAll ? Number(port.end) : 0) === value;
      if (same) there.push([name, links[name]!]);
      continue;
    }
    const [address4, address6] = [String(port.address4), String(port.address6)];
    const flags = Number(port.flags);
    const settings = {
      ...(address4 !== "0.0.0.0" && { address4 }),
      ...(address6 !== "::" && { address6 }),
      genevePort: Number(port.genevePort),
      vxlanPort: Number(port.vxlanPort),
      fillChecksums: (flags & PORT_FLAGS.fill) !== 0,
      askHost: (flags & PORT_FLAGS.ask) !== 0,
    };
    there.push([name ?? `if${port.ifindex}`, settings]);
  }
  return Object.fromEntries(there);
}
