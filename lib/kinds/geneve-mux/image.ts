import { encodeKey } from "../bpf/fields";
import { addressBytes } from "../schemas";
import { hopOf, lineOf, macOf, moreOf, numberOfLink, ownEgress, portOf, type Numbers } from "./encode";
import { hashOf, isOfPop, parseKey, scopeWord, type Key } from "./keys";
import {
  ALIAS,
  digitsOf,
  endLine,
  lpm4,
  lpm6,
  numberOf,
  PORT_WINDOW,
  portEntry,
  slot6,
  tableSize,
  TOMB,
  TOMB_LINE,
  TOMB_SLOT6,
  u32,
  WINDOW,
  type MapName,
  type Tables,
} from "./layout";
import type { End, Tunnels } from "./schema";

/**
 * What the maps are to hold. What is in them already stays where it is, so that a change writes what it changes and a
 * packet in flight finds its tunnel at all times.
 */

type Slot = Extract<Key, { by: "slot" }>;

/** An index as a key of an array. */
const at = (index: number) => u32(index);

/** How a table of slots keeps its entries. */
interface Slots {
  readonly map: "mux_ends" | "mux_v6";
  readonly tomb: string;
  /** The hash of the entry in a slot; undefined of an empty or deleted one. */
  readonly hash: (value: string) => number | undefined;
  readonly isKey: (value: string, scope: number, key: Slot) => boolean;
}

const SLOTS: Readonly<Record<4 | 6, Slots>> = {
  4: {
    map: "mux_ends",
    tomb: TOMB_LINE,
    hash(value) {
      const { a, b, scope } = endLine.decode(value);
      return scope === 0 || scope === TOMB ? undefined : hashOf(Number(scope), String(a), String(b));
    },
    isKey: (value, scope, { a, b }) => value.startsWith(a + b + u32(scope)),
  },
  6: {
    map: "mux_v6",
    tomb: TOMB_SLOT6,
    hash(value) {
      const { a, b, scope } = slot6.decode(value);
      return scope === 0 || scope === TOMB ? undefined : hashOf(Number(scope), String(a), String(b));
    },
    isKey: (value, scope, { a, b }) => value.startsWith(u32(scope)) && value.slice(16, 80) === a + b,
  },
};

/** The slot of a key; undefined where a search does not come to it. */
export function findSlot(tables: Tables, capacity: number, scope: number, key: Slot): number | undefined {
  const { map, isKey } = SLOTS[key.family];
  const size = tableSize(capacity);
  const hash = hashOf(scope, key.a, key.b);
  for (let nth = 0; nth < WINDOW; nth++) {
    const slot = (hash + nth) % size;
    const value = tables[map][at(slot)];
    if (value === undefined) return undefined;
    if (isKey(value, scope, key)) return slot;
  }
  return undefined;
}

/** Key of a prefix in `mux_prefix4` or `mux_prefix6`. */
export function prefixKey({ length, address }: Extract<Key, { by: "prefix" }>, table: number): string {
  return address.includes(":")
    ? lpm6.encode({ length: 32 + length, table, address: digitsOf(addressBytes(address) ?? []) })
    : lpm4.encode({ length: 32 + length, table, address });
}

/** Key of a network in `mux_sources`: IPv4 ones as mapped addresses. */
export function sourceKey(prefix: string, line: number): string {
  const [address = "", length] = prefix.split("/");
  const bytes = addressBytes(address) ?? [];
  const mapped = bytes.length === 4 ? [...new Array<number>(10).fill(0), 255, 255, ...bytes] : bytes;
  return lpm6.encode({
    length: 32 + (bytes.length === 4 ? 96 : 0) + Number(length),
    table: line,
    address: digitsOf(mapped),
  });
}

/** The line that a key leads to; undefined when there is none. */
export function lineAt(tables: Tables, capacity: number, index: number, key: Key): number | undefined {
  const table = index & 0xff_ffff;
  if (key.by === "all") {
    const port = Object.values(tables.mux_ports).find((value) => value.startsWith(u32(index)));
    return port === undefined ? undefined : Number(portEntry.decode(port).end) || undefined;
  }
  if (key.by === "prefix") {
    const value = tables[key.family === 4 ? "mux_prefix4" : "mux_prefix6"][prefixKey(key, table)];
    return value === undefined ? undefined : numberOf(value);
  }
  const slot = findSlot(tables, capacity, scopeWord(key.scope, table), key);
  if (slot === undefined) return undefined;
  if (key.family === 6) return Number(slot6.decode(tables.mux_v6[at(slot)]!).end);
  const line = endLine.decode(tables.mux_ends[at(slot)]!);
  return line.protocol === ALIAS ? Number(line.more) : slot;
}

/** What the maps are to hold for a spec, given what they hold and the numbers of its links. */
export function imageOf(spec: Tunnels, tables: Tables, numbers: Numbers): Tables {
  return new Image(spec, tables, numbers).make();
}

interface Placed {
  readonly end: End;
  readonly table: number;
  readonly index: number;
  readonly keys: readonly { readonly text: string; readonly key: Key }[];
}

class Image {
  readonly #image = Object.fromEntries(
    ["mux_hops", "mux_more", "mux_devs", "mux_ends", "mux_sources", "mux_v6"]
      .concat("mux_prefix4", "mux_prefix6", "mux_ports")
      .map((map) => [map, {}]),
  ) as Record<MapName, Record<string, string>>;
  readonly #ends: readonly Placed[];

  constructor(
    private readonly spec: Tunnels,
    private readonly tables: Tables,
    private readonly numbers: Numbers,
  ) {
    this.#ends = Object.values(spec.ends).map((end) => {
      const { index } = this.#number(end.link);
      const keys = end.keys.map((text) => ({ text, key: parseKey(text) }));
      return { end, index, table: index & 0xff_ffff, keys };
    });
  }

  make(): Tables {
    const slots = this.#slots();
    const lines = this.#lines(slots);
    for (const [nth, placed] of this.#ends.entries()) this.#write(placed, lines[nth] ?? 0, slots);
    this.#ports(lines);
    for (const family of [4, 6] as const) this.#tombs(SLOTS[family]);
    return this.#image;
  }

  #number(link: string) {
    return numberOfLink(this.numbers, { link }, this.spec.others);
  }

  /** Where each key of a table lies: where it is, else the first slot behind its hash that is free. */
  #slots(): ReadonlyMap<string, number> {
    const placed = new Map<string, number>();
    const all = this.#ends.flatMap(({ keys, table }) =>
      keys.flatMap(({ key }) => (key.by === "slot" ? [{ key, scope: scopeWord(key.scope, table) }] : [])),
    );
    const taken = { 4: new Set<number>(), 6: new Set<number>() };
    const fresh = all.filter(({ key, scope }) => {
      const slot = findSlot(this.tables, this.spec.capacity, scope, key);
      if (slot === undefined) return true;
      taken[key.family].add(slot);
      placed.set(slotId(scope, key), slot);
      return false;
    });
    for (const { key, scope } of fresh) {
      const slot = this.#freeSlot(key, scope, taken[key.family]);
      taken[key.family].add(slot);
      placed.set(slotId(scope, key), slot);
    }
    return placed;
  }

  #freeSlot(key: Slot, scope: number, taken: ReadonlySet<number>): number {
    const size = tableSize(this.spec.capacity);
    const { map, hash: live } = SLOTS[key.family];
    const hash = hashOf(scope, key.a, key.b);
    const window = Array.from({ length: WINDOW }, (_, nth) => (hash + nth) % size).filter(
      (slot) => !taken.has(slot),
    );
    // One that is to be emptied is left until the new one is there.
    const slot =
      window.find((one) => live(this.tables[map][at(one)] ?? "00".repeat(64)) === undefined) ?? window[0];
    if (slot === undefined)
      throw new Error(`the table of ${size} slots is too full: choose a larger capacity`);
    return slot;
  }

  /** The line of each end: that of its first IPv4 key, else one behind the table. */
  #lines(slots: ReadonlyMap<string, number>): readonly number[] {
    const { capacity } = this.spec;
    const first = this.#ends.map(({ keys, table }) => {
      const own = keys.flatMap(({ key }) =>
        key.by === "slot" && key.family === 4 ? [slots.get(slotId(scopeWord(key.scope, table), key))!] : [],
      );
      // A line that is the end's already, if any, rather than one that leads to it.
      return own.find((slot) => protocolOf(this.tables.mux_ends[at(slot)]) !== ALIAS) ?? own[0];
    });
    const kept = this.#ends.map(({ keys, index }, nth) =>
      first[nth] !== undefined
        ? undefined
        : keys.map(({ key }) => lineAt(this.tables, capacity, index, key)).find((line) => line !== undefined),
    );
    const taken = new Set<number>();
    const size = tableSize(capacity);
    const lines = this.#ends.map((_, nth) => {
      const line = first[nth] ?? kept[nth];
      if (line === undefined || (first[nth] === undefined && (line < size || taken.has(line))))
        return undefined;
      taken.add(line);
      return line;
    });
    const free = firstFree(size, size + capacity, taken, this.tables.mux_ends);
    return lines.map((line) => line ?? free());
  }

  #write({ end, keys, table }: Placed, line: number, slots: ReadonlyMap<string, number>): void {
    const { mux_sources: sources, mux_prefix4, mux_prefix6, mux_v6, mux_ends, mux_devs } = this.#image;
    const mac = macOf(this.numbers, this.spec.others);
    const index = end.hop?.link === undefined ? 0 : this.#number(end.hop.link).index;
    const hop = this.#shared("mux_hops", hopOf(end, mac, index));
    const place = { line, hop, more: this.#shared("mux_more", moreOf(end)) };
    let own: Slot | undefined;
    for (const { key } of keys) {
      if (key.by === "prefix") {
        (key.family === 4 ? mux_prefix4 : mux_prefix6)[prefixKey(key, table)] = u32(line);
      } else if (key.by === "slot") {
        const scope = scopeWord(key.scope, table);
        const slot = slots.get(slotId(scope, key))!;
        if (key.family === 6) mux_v6[at(slot)] = slot6.encode({ scope, end: line, a: key.a, b: key.b });
        else if (slot === line) own = key;
        else mux_ends[at(slot)] = aliasOf(scope, key, line);
      }
    }
    mux_ends[at(line)] = lineOf(end, own, table, place);
    for (const source of end.sources) sources[sourceKey(source, line)] = u32(1);
    if (end.egress !== undefined) mux_devs[u32(ownEgress(line))] = u32(this.#number(end.egress).index);
    // What routes lead to is found by its own number.
    for (const link of [end.link, end.hop?.link]) {
      if (link === undefined) continue;
      const number = u32(this.#number(link).index);
      mux_devs[number] = number;
    }
  }

  /** The index of an entry that ends share; 0 for none. */
  #shared(map: "mux_hops" | "mux_more", value: string | undefined): number {
    if (value === undefined) return 0;
    const same = (table: Readonly<Record<string, string>>) =>
      Object.keys(table).find((key) => table[key] === value);
    const image = this.#image[map];
    let key = same(image);
    if (key === undefined) {
      const there = same(this.tables[map]);
      key = there !== undefined && image[there] === undefined ? there : undefined;
    }
    if (key === undefined) {
      const taken = new Set(Object.keys(image).map(numberOf));
      key = at(firstFree(1, 2 * this.spec.capacity, taken, this.tables[map])());
    }
    image[key] = value;
    return numberOf(key);
  }

  #ports(lines: readonly number[]): void {
    const links = new Set([...Object.keys(this.spec.links), ...this.#ends.map(({ end }) => end.link)]);
    const size = this.spec.capacity;
    const taken = new Set<number>();
    const numbered = [...links].map((link) => ({ link, index: this.#number(link).index }));
    for (const { link, index } of numbered.sort((a, b) => a.index - b.index)) {
      const slot = Array.from({ length: PORT_WINDOW }, (_, nth) => (index + nth) % size).find(
        (one) => !taken.has(one),
      );
      if (slot === undefined)
        throw new Error(
          `the numbers of ${PORT_WINDOW} interfaces fall on one place: choose a larger capacity`,
        );
      taken.add(slot);
      const ends = this.#ends
        .map((placed, nth) => ({ ...placed, line: lines[nth] ?? 0 }))
        .filter(({ end }) => end.link === link);
      const keys = ends.flatMap((placed) =>
        placed.keys.map(({ text, key }) => ({ key, isPop: isOfPop(text) })),
      );
      const all = ends.find((placed) => placed.keys.some(({ key }) => key.by === "all"))?.line ?? 0;
      this.#image.mux_ports[at(slot)] = portOf(this.spec, link, index, keys, all);
      this.#image.mux_devs[u32(index)] = u32(index);
    }
  }

  /** Marks slots as deleted that a search must go on behind. */
  #tombs({ map, tomb, hash }: Slots): void {
    const size = tableSize(this.spec.capacity);
    const image = this.#image[map];
    for (const [key, value] of Object.entries(image)) {
      const slot = numberOf(key);
      const from = slot < size ? hash(value) : undefined;
      if (from === undefined) continue;
      for (let on = from % size; on !== slot; on = (on + 1) % size) image[at(on)] ??= tomb;
    }
  }
}

const slotId = (scope: number, { a, b }: Slot) => `${scope} ${a} ${b}`;

const protocolOf = (value: string | undefined) => (value === undefined ? 0 : endLine.decode(value).protocol);

const aliasOf = (scope: number, { a, b }: Slot, line: number) =>
  endLine.encode({
    ...{ a, b, scope, flags: 0, protocol: ALIAS, ttl: 0, vni: 0, sport: 0, dport: 0 },
    ...{ local: "0.0.0.0", remote: "0.0.0.0", mtu: 0, tos: 0, hop: 0, egress: 0, more: line },
  });

/** Takes one index after the other that is free: those that hold something now only when no other is left. */
function firstFree(from: number, to: number, taken: Set<number>, there: Readonly<Record<string, string>>) {
  return (): number => {
    for (const also of [false, true])
      for (let index = from; index < to; index++) {
        if (taken.has(index) || (!also && there[at(index)] !== undefined)) continue;
        taken.add(index);
        return index;
      }
    throw new Error(`there is no room for more than ${to - from} of them: choose a larger capacity`);
  };
}

/** Key of an index of an array, for those that look at tables. */
export const indexKey = at;

/** Bytes of a key that digits are. */
export const keyBytes = (digits: string) =>
  encodeKey([{ name: "key", type: `bytes:${digits.length / 2}` }], digits);
