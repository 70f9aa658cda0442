import { isDeepStrictEqual } from "node:util";
import { protocolName, protocolNumber } from "../protocols";
import { chainRules, chainsOf, entriesOf, entryRules, HOOK, MAPS, SORTS, type Sort } from "./render";
import { writeBlock, type PortBlocksSpec } from "./schema";

type Bag = Readonly<Record<string, unknown>>;

/** What is in a table, sorted by what it is. */
interface Members {
  readonly maps: Map<string, Bag>;
  readonly chains: Map<string, Bag>;
  readonly rules: Map<string, unknown[]>;
  readonly others: string[];
}

function members(listed: unknown): Members {
  const found: Members = { maps: new Map(), chains: new Map(), rules: new Map(), others: [] };
  for (const member of (listed as { readonly nftables?: readonly Bag[] }).nftables ?? []) {
    for (const [kind, value] of Object.entries(member)) {
      const object = value as Bag;
      if (kind === "map") found.maps.set(String(object.name), object);
      else if (kind === "chain") found.chains.set(String(object.name), object);
      else if (kind === "rule") {
        const name = String(object.chain);
        found.rules.set(name, [...(found.rules.get(name) ?? []), plain(object.expr)]);
      } else if (kind !== "metainfo" && (kind !== "table" || object.flags !== undefined)) {
        found.others.push(`${kind} ${String(object.name)}`);
      }
    }
  }
  return found;
}

/** Protocols by number, and no family where the table has but one: `nft` prints what the host has names for. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => {
      if (key === "set" && Array.isArray(member)) return [key, member.map(protocolOf)];
      return [key, plain(member)];
    }),
  );
}

function protocolOf(value: unknown): unknown {
  const name = typeof value === "string" ? protocolName(value) : undefined;
  return name === undefined ? value : protocolNumber(name);
}

/** The key of an element as we write it. */
function sourceOf(key: unknown): string | undefined {
  if (typeof key === "string") return key;
  const { addr, len } = (key as { prefix?: { addr?: unknown; len?: unknown } } | null)?.prefix ?? {};
  return typeof addr === "string" && typeof len === "number" ? `${addr}/${len}` : undefined;
}

const RANGE = /^(host|network)-(\d+)-(\d+)$/;

/** The elements of a map of a sort by source. */
function* pairs(map: Bag | undefined): Generator<readonly [string, unknown]> {
  for (const element of Array.isArray(map?.elem) ? (map.elem as unknown[]) : []) {
    const [key, value] = Array.isArray(element) ? (element as unknown[]) : [];
    // A comment or a timeout of somebody's makes an element an object.
    const source = sourceOf((key as { elem?: { val?: unknown } } | null)?.elem?.val ?? key);
    if (source !== undefined) yield [source, value];
  }
}

/** What `nft -j list table` prints in the schema's words, and what has none in `unrecognised`. */
export function observeBlocks(
  listed: unknown,
  where: Pick<PortBlocksSpec, "netns" | "table">,
): PortBlocksSpec {
  const found = members(listed);
  const unrecognised = [...found.others];
  const blocks: [string, string][] = [];
  for (const sort of SORTS) {
    const addresses = new Map(pairs(found.maps.get(MAPS[sort].address)));
    for (const [source, verdict] of pairs(found.maps.get(MAPS[sort].ports))) {
      const target = (verdict as { goto?: { target?: unknown } } | null)?.goto?.target;
      const [, kind, from, to] = RANGE.exec(String(target)) ?? [];
      const address = addresses.get(source);
      addresses.delete(source);
      if (kind === sort && typeof address === "string")
        blocks.push([source, writeBlock({ address, from: Number(from), to: Number(to) })]);
      else unrecognised.push(`element ${source} of ${MAPS[sort].ports}`);
    }
    unrecognised.push(...[...addresses.keys()].map((source) => `element ${source} of ${MAPS[sort].address}`));
  }
  const outInterface = interfaceOf(found.rules.get("postrouting"));
  const spec = {
    ...where,
    outInterface,
    blocks: Object.fromEntries(blocks.sort(([a], [b]) => (a < b ? -1 : 1))),
  };
  return { ...spec, unrecognised: [...unrecognised, ...strangers(found, spec)] };
}

/** The interface that the first rule is about; the one after it is held against it. */
function interfaceOf(rules: readonly unknown[] | undefined): string {
  const [first] = (rules?.[0] ?? []) as { match?: { right?: unknown } }[];
  return typeof first?.match?.right === "string" ? first.match.right : "";
}

/** Chains, maps and rules that are not as we make them. */
function strangers(
  found: Members,
  { outInterface, blocks }: Pick<PortBlocksSpec, "outInterface" | "blocks">,
): string[] {
  const told: string[] = [];
  const chains = chainsOf(entriesOf(blocks));
  const expected = new Map<string, readonly unknown[]>([
    ["postrouting", entryRules(outInterface)],
    ...[...chains].map(([name, { sort, from, to }]) => [name, chainRules(sort, { from, to })] as const),
  ]);
  for (const [name, wanted] of expected) {
    const there = found.chains.get(name);
    const { type, hook, prio } = there ?? {};
    const isHook = name !== "postrouting" || isDeepStrictEqual({ type, hook, prio }, HOOK);
    if (there === undefined || !isHook) told.push(`chain ${name}`);
    else if (!isDeepStrictEqual(found.rules.get(name) ?? [], plain(wanted))) told.push(`rules of ${name}`);
  }
  told.push(...[...found.chains.keys()].filter((name) => !expected.has(name)).map((name) => `chain ${name}`));
  const names: ReadonlySet<string> = new Set(SORTS.flatMap((sort: Sort) => Object.values(MAPS[sort])));
  told.push(...[...found.maps.keys()].filter((name) => !names.has(name)).map((name) => `map ${name}`));
  told.push(...[...names].filter((name) => !found.maps.has(name)).map((name) => `no map ${name}`));
  return told;
}
