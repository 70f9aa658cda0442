import { readingOnce } from "../found";
import type { Located } from "../kind";
import { canonicalAddress, canonicalCidr, familyOf } from "../schemas";
import type { Facts, Query } from "../step";
import {
  FILTER_PREFERENCES,
  filterPart,
  nexthopId,
  nexthopPart,
  numberOfHandle,
  ownAddressPart,
  partsOf,
  routePart,
  type Pool,
} from "./parts";
import type { FoundTunnel, schema, Tunnel, TunnelPoolSpec } from "./schema";

type Spec = Located<typeof schema>;

/** One member of `ip -j nexthop show`; `encap_*` as `lib/host/tool-json.ts` names them. */
export interface NexthopRow {
  readonly id?: number;
  readonly encap?: string;
  readonly encap_id?: number;
  readonly encap_src?: string;
  readonly encap_dst?: string;
  readonly ttl?: number;
  readonly hoplimit?: number;
  readonly tos?: number;
  readonly tc?: number;
  readonly key?: boolean;
  readonly csum?: boolean;
  readonly seq?: boolean;
  readonly dev?: string;
}

/** One member of `ip -j -N route show table all`. */
export interface RouteRow {
  readonly type?: string;
  readonly dst?: string;
  readonly nhid?: number;
  readonly dev?: string;
  readonly table?: string;
  readonly tos?: string | number;
  readonly pref?: string;
}

/** One member of `tc -j filter show … ingress`. */
export interface FilterRow {
  readonly kind?: string;
  readonly pref?: number;
  readonly options?: {
    readonly handle?: number;
    readonly keys?: Readonly<Record<string, unknown>>;
    readonly actions?: readonly { readonly control_action?: { readonly type?: string } }[];
  };
}

const within = (netns: string | undefined) => (netns === undefined ? {} : { netns });

const nexthopsQuery = (netns: string | undefined): Query => ({
  tool: "ip",
  ...within(netns),
  args: ["nexthop", "show"],
});

const routesQuery = (netns: string | undefined): Query => ({
  tool: "ip",
  ...within(netns),
  args: ["-N", "route", "show", "table", "all"],
});

const filtersQuery = (netns: string | undefined, device: string): Query => ({
  tool: "tc",
  ...within(netns),
  args: ["filter", "show", "dev", device, "ingress"],
});

const devicesOf = ({ device, device6 }: Spec): string[] => [
  ...new Set([device, device6].filter((one) => one !== undefined)),
];

/** Whole tables, which all shards of all pools of a namespace share. */
export function poolQueries(spec: Spec): Query[] {
  const { netns } = spec;
  return [
    nexthopsQuery(netns),
    routesQuery(netns),
    ...devicesOf(spec).map((device) => filtersQuery(netns, device)),
  ];
}

/** No such device, or one without a place for filters. */
const NO_FILTERS = /Cannot find device|Parent Qdisc doesn't exist|No such device|Invalid argument/;

/** What there is on the host, by what it is called there. */
interface Present extends RouteTables {
  readonly nexthops: ReadonlyMap<number, NexthopRow>;
  /** Filters that let in, by device and tunnel. */
  readonly filters: readonly (readonly [device: string, FilterTable["filters"]])[];
  /** Devices on which all that no filter lets in is dropped. */
  readonly closed: ReadonlySet<string>;
}

interface RouteTables {
  readonly routes: ReadonlyMap<string, RouteRow>;
  readonly own: ReadonlyMap<string, RouteRow>;
}

interface FilterTable {
  readonly filters: ReadonlyMap<number, readonly FilterRow[]>;
  readonly closed: boolean;
}

const MAIN = new Set<string | undefined>([undefined, "main", "254"]);
const LOCAL = new Set<string | undefined>(["local", "2"]);

function networkOfRow({ dst = "default", pref }: RouteRow): string {
  if (dst === "default") return pref === undefined ? "0.0.0.0/0" : "::/0";
  return canonicalCidr(dst.includes("/") ? dst : `${dst}/${dst.includes(":") ? 128 : 32}`);
}

const rowsOf = <Row>(value: unknown) => (value ?? []) as readonly Row[];

const nexthopsOf = readingOnce(
  (value): ReadonlyMap<number, NexthopRow> =>
    new Map(rowsOf<NexthopRow>(value).map((row) => [row.id ?? 0, row])),
);

/** Only what a namespace has of main routes. */
const routesOf = readingOnce((value): RouteTables => {
  const main = rowsOf<RouteRow>(value).filter(
    // A number is the tos of the encapsulation; text would be the route's own.
    ({ table, tos, dst }) => MAIN.has(table) && typeof tos !== "string" && dst !== undefined,
  );
  return {
    routes: new Map(main.filter(({ type }) => !LOCAL.has(type)).map((row) => [networkOfRow(row), row])),
    own: new Map(
      main.filter(({ type }) => LOCAL.has(type)).map((row) => [canonicalAddress(row.dst ?? ""), row]),
    ),
  };
});

const filtersOf = readingOnce((value): FilterTable => {
  const filters = new Map<number, FilterRow[]>();
  let closed = false;
  for (const row of rowsOf<FilterRow>(value)) {
    const { pref, options } = row;
    if (options?.handle === undefined) continue;
    if (pref === FILTER_PREFERENCES.last) closed ||= actionOf(row) === "drop";
    else if (pref === FILTER_PREFERENCES.ip || pref === FILTER_PREFERENCES.ipv6) {
      const number = numberOfHandle(options.handle);
      const others = filters.get(number);
      if (others === undefined) filters.set(number, [row]);
      else others.push(row);
    }
  }
  return { filters, closed };
});

function present(facts: Facts, specs: readonly Spec[]): Present {
  const [{ netns } = {}] = specs;
  const tables = [...new Set(specs.flatMap(devicesOf))].map(
    (device) => [device, filtersOf(facts, filtersQuery(netns, device), NO_FILTERS)] as const,
  );
  return {
    nexthops: nexthopsOf(facts, nexthopsQuery(netns)),
    ...routesOf(facts, routesQuery(netns)),
    filters: tables.map(([device, { filters }]) => [device, filters]),
    closed: new Set(tables.filter(([, { closed }]) => closed).map(([device]) => device)),
  };
}

const actionOf = ({ options }: FilterRow): string | undefined => options?.actions?.[0]?.control_action?.type;

/** A part that is there: what makes it so, or nothing that we would make. */
interface FoundPart {
  readonly id: string;
  readonly words?: string;
}

const ANY: ReadonlySet<string | undefined> = new Set([undefined, "0.0.0.0", "::"]);

function foundNexthop(row: NexthopRow, family: 4 | 6): FoundPart {
  const { id = 0, encap, encap_id: key, encap_dst: remote, encap_src: local, dev } = row;
  const foreign = row.seq === true || row.key !== true || (row.tos ?? row.tc ?? 0) !== 0;
  if (encap === undefined || key === undefined || remote === undefined || dev === undefined || foreign) {
    return { id: `nexthop ${id}` };
  }
  const { id: name, words } = nexthopPart({
    id,
    family,
    remote: canonicalAddress(remote),
    ...(!ANY.has(local) && { local: canonicalAddress(local ?? "") }),
    key,
    ttl: row.ttl ?? row.hoplimit ?? 0,
    checksum: row.csum === true,
    device: dev,
  });
  return { id: name, words: words.join(" ") };
}

/** What each of our filters' rows says besides addresses; anything more is somebody else's word. */
const FILTER_KEYS = new Set(["eth_type", "src_ip", "enc_src_ip", "enc_key_id"]);

function foundFilter(device: string, row: FilterRow): FoundPart {
  const { handle = 0, keys = {} } = row.options ?? {};
  const { src_ip: network = "", enc_src_ip: remote = "", enc_key_id: key } = keys as Record<string, string>;
  const { id, words } = filterPart({
    device,
    handle,
    key: Number(key),
    remote: canonicalAddress(remote),
    network: canonicalCidr(
      network.includes("/") ? network : `${network}/${network.includes(":") ? 128 : 32}`,
    ),
  });
  const protocol = row.pref === FILTER_PREFERENCES.ipv6 ? "ipv6" : "ip";
  const strange =
    row.kind !== "flower" ||
    actionOf(row) !== "pass" ||
    Object.keys(keys).some((one) => !FILTER_KEYS.has(one));
  // What is under another protocol than its address says cannot be ours.
  if (strange || !id.includes(` ${protocol} `)) return { id: `filter ${device} ${protocol} ${handle}` };
  return { id, words: words.join(" ") };
}

/** Whose an own address is: its route does not tell, so it is that of the tunnel that wants it, or wanted it last. */
function ownersOf(specs: readonly Spec[]): ReadonlyMap<string, string> {
  const owners = new Map<string, string>();
  for (const [number, { addresses = [] }] of specs.flatMap(({ tunnels = {} }) => Object.entries(tunnels))) {
    for (const address of addresses) if (!owners.has(address)) owners.set(address, number);
  }
  return owners;
}

/** All that there is of one tunnel. `wanted` is what it may be found by. */
function foundParts(
  pool: Pool,
  number: number,
  wanted: readonly Tunnel[],
  there: Present,
  owners: ReadonlyMap<string, string>,
): FoundPart[] {
  const parts: FoundPart[] = [];
  for (const family of [4, 6] as const) {
    const row = there.nexthops.get(nexthopId(pool, number, family));
    if (row !== undefined) parts.push(foundNexthop(row, family));
  }
  for (const network of new Set(wanted.flatMap(({ prefixes }) => prefixes))) {
    const nexthop = nexthopId(pool, number, familyOf(network) ?? 4);
    // One that leads elsewhere is another tunnel's, or somebody else's.
    if (there.routes.get(network)?.nhid !== nexthop) continue;
    const { id, words } = routePart(network, nexthop);
    parts.push({ id, words: words.join(" ") });
  }
  const devices = new Set([pool.device, pool.device6]);
  for (const address of new Set(wanted.flatMap(({ addresses = [] }) => addresses))) {
    const row = there.own.get(address);
    if (row?.dev === undefined || !devices.has(row.dev) || owners.get(address) !== String(number)) continue;
    const { id, words } = ownAddressPart(address, row.dev);
    parts.push({ id, words: words.join(" ") });
  }
  for (const [device, filters] of there.filters)
    for (const row of filters.get(number) ?? []) parts.push(foundFilter(device, row));
  return parts;
}

function isAsWanted(pool: Pool, number: number, tunnel: Tunnel, parts: readonly FoundPart[]): boolean {
  const wanted = partsOf(pool, number, tunnel);
  if (wanted.length !== parts.length) return false;
  const words = new Map(parts.map((part) => [part.id, part.words]));
  return wanted.every((part) => words.get(part.id) === part.words.join(" "));
}

/** A tunnel that is not as it is wanted, as far as it can be told. */
function described(
  pool: Pool,
  number: number,
  wanted: readonly Tunnel[],
  parts: readonly FoundPart[],
  there: Present,
): FoundTunnel {
  const row =
    there.nexthops.get(nexthopId(pool, number, 4)) ?? there.nexthops.get(nexthopId(pool, number, 6));
  const ids = new Set(parts.map(({ id }) => id));
  const prefixes = new Set(wanted.flatMap((one) => one.prefixes));
  const addresses = new Set(wanted.flatMap((one) => one.addresses ?? []));
  const reached = [...prefixes].filter((network) =>
    ids.has(routePart(network, nexthopId(pool, number, familyOf(network) ?? 4)).id),
  );
  const own = [...addresses].filter((address) => parts.some(({ id }) => id.startsWith(`local ${address} `)));
  return {
    remote: canonicalAddress(row?.encap_dst ?? ""),
    ...(row?.encap_id !== undefined && row.encap_id !== number && { key: row.encap_id }),
    ...(own.length > 0 && { addresses: own.sort() }),
    prefixes: reached.sort(),
    found: Object.fromEntries(
      parts.map(({ id, words = "" }) => [id, words] as const).sort(([a], [b]) => (a < b ? -1 : 1)),
    ),
  };
}

/** The pool as it is: a tunnel that is all there and as it is wanted is told in the program's words. */
export function observePool(facts: Facts, specs: readonly [Spec, ...Spec[]]): TunnelPoolSpec | undefined {
  const [first] = specs;
  if (first.tunnels === undefined || first.device === undefined) return undefined;
  const { tunnels: wanted, ...pool } = first as TunnelPoolSpec;
  const there = present(facts, specs);
  const numbers = new Set(specs.flatMap(({ tunnels = {} }) => Object.keys(tunnels)));
  const devices = devicesOf(first);
  const checkSource = pool.checkSource && devices.every((device) => there.closed.has(device));
  const owners = ownersOf(specs);
  const tunnels: Record<string, FoundTunnel> = {};
  for (const name of numbers) {
    const number = Number(name);
    const versions = specs.flatMap(({ tunnels: of }) => of?.[name] ?? []);
    const parts = foundParts(pool, number, versions, there, owners);
    if (parts.length === 0) continue;
    const asked = wanted[name];
    tunnels[name] =
      // What makes up a whole tunnel is for `checkSource` to say: if that differs, the parts are told.
      asked !== undefined && checkSource === pool.checkSource && isAsWanted(pool, number, asked, parts)
        ? asked
        : described(pool, number, versions, parts, there);
  }
  if (Object.keys(tunnels).length === 0) return undefined;
  return { ...pool, checkSource, tunnels };
}
