/**
 * Reads what BTF (Documentation/bpf/btf.rst) says of an object's maps, from `bpftool -j btf dump`. A map's layout
 * comes out as text: two maps have the same layout when the texts are equal.
 */

/** One type, as `bpftool -j btf dump` prints it. */
export interface BtfType {
  readonly id: number;
  readonly kind: string;
  readonly name: string;
  readonly type_id?: number;
  readonly size?: number;
  readonly nr_elems?: number;
  readonly encoding?: string;
  readonly members?: readonly {
    readonly name: string;
    readonly type_id: number;
    readonly bits_offset: number;
    readonly bitfield_size?: number;
  }[];
  readonly vars?: readonly { readonly type_id: number }[];
  readonly values?: readonly { readonly name: string; readonly val: number }[];
}

/** How a map is laid out. */
export interface MapLayout {
  /** `enum bpf_map_type` of linux/bpf.h, by number. */
  readonly type: number;
  /** What a key and a value are, with the names of their members. */
  readonly key: string;
  readonly value: string;
  /** Size, flags and whatever else its definition says. */
  readonly rest: string;
}

/** Types of maps whose values are one for each CPU: `enum bpf_map_type`. */
const PER_CPU: ReadonlySet<number> = new Set([5, 6, 10, 21]);

/** Maps whose entries can be read and written as bytes: hash, array, lru_hash, lpm_trie. */
const PLAIN: ReadonlySet<number> = new Set([1, 2, 9, 11]);

/** The maps of an object that its `.maps` section defines, by name; none of an object without BTF. */
export function mapLayouts(dump: unknown): Record<string, MapLayout> {
  const types = typesOf(dump);
  return Object.fromEntries(
    mapVariables(types).flatMap(({ name }) => {
      const said = mapDefinition(types, name);
      return said === undefined ? [] : [[name, layoutOf(types, said)] as const];
    }),
  );
}

function layoutOf(types: Types, said: ReadonlyMap<string, number>): MapLayout {
  const number = (name: string) => bare(types, said.get(name))?.nr_elems;
  const bytes = (what: "key" | "value") =>
    said.has(what) ? shape(types, said.get(what), 0) : `${number(`${what}_size`) ?? 0} bytes`;
  const rest = [...said.keys()]
    .filter((name) => !["type", "key", "value", "key_size", "value_size"].includes(name))
    .map((name) => `${name} ${number(name) ?? shape(types, said.get(name), 0)}`);
  return {
    type: number("type") ?? 0,
    key: bytes("key"),
    value: bytes("value"),
    rest: rest.sort().join(", "),
  };
}

/** The types of a dump, by id. */
export function typesOf(dump: unknown): Types {
  const types = (dump as { types?: readonly BtfType[] } | undefined)?.types ?? [];
  return new Map(types.map((type) => [type.id, type]));
}

function mapVariables(types: Types): BtfType[] {
  const section = [...types.values()].find(({ kind, name }) => kind === "DATASEC" && name === ".maps");
  return (section?.vars ?? []).flatMap(({ type_id }) => types.get(type_id) ?? []);
}

/** What the definition of a map says, by the macro's word (`type`, `key`, `max_entries`): the type that it points to. */
export function mapDefinition(types: Types, map: string): ReadonlyMap<string, number> | undefined {
  const definition = bare(types, mapVariables(types).find(({ name }) => name === map)?.type_id);
  return (
    definition?.members &&
    new Map(definition.members.map(({ name, type_id }) => [name, pointee(types, type_id)]))
  );
}

/** Whether two maps are laid out alike, so that one can be used for the other. */
export function isAlike(a: MapLayout, b: MapLayout): boolean {
  return a.type === b.type && a.key === b.key && a.value === b.value && a.rest === b.rest;
}

/** Why the entries of a map cannot be taken over by another; undefined when they can. */
export function migrationProblem(from: MapLayout, to: MapLayout): string | undefined {
  if (from.key !== to.key) return `its key was ${from.key} and is ${to.key}`;
  if (from.value !== to.value) return `its value was ${from.value} and is ${to.value}`;
  if ([from, to].some(({ type }) => PER_CPU.has(type))) return "it has a value for each CPU";
  if ([from, to].some(({ type }) => !PLAIN.has(type))) return "its entries are no plain bytes";
  return undefined;
}

/** Types by id. */
export type Types = ReadonlyMap<number, BtfType>;

const NAMES_ONLY: ReadonlySet<string> = new Set(["TYPEDEF", "CONST", "VOLATILE", "RESTRICT", "TYPE_TAG"]);

/** A type without its other names. */
export function bare(types: Types, id: number | undefined): BtfType | undefined {
  let type = id === undefined ? undefined : types.get(id);
  while (type !== undefined && NAMES_ONLY.has(type.kind)) type = types.get(type.type_id ?? 0);
  return type;
}

function pointee(types: Types, id: number): number {
  const type = bare(types, id);
  return type?.kind === "PTR" ? (type.type_id ?? id) : id;
}

/** A type as its bytes are read; names of types do not count, those of members do. */
function shape(types: Types, id: number | undefined, depth: number): string {
  const type = bare(types, id);
  if (type === undefined) return "void";
  switch (type.kind) {
    case "STRUCT":
    case "UNION": {
      const members = (type.members ?? []).map(({ name, type_id, bits_offset, bitfield_size }) => {
        const bits = bitfield_size ? `:${bitfield_size}` : "";
        return `${name}${bits}@${bits_offset} ${depth > 16 ? "" : shape(types, type_id, depth + 1)}`;
      });
      return `${type.kind.toLowerCase()}(${type.size ?? 0}){${members.join("; ")}}`;
    }
    case "ARRAY":
      return `${shape(types, type.type_id, depth + 1)}[${type.nr_elems ?? 0}]`;
    case "INT":
      return `${type.encoding === "SIGNED" ? "s" : "u"}${(type.size ?? 0) * 8}`;
    case "PTR":
      return "pointer";
    default:
      return `${type.kind.toLowerCase()}${(type.size ?? 0) * 8}`;
  }
}
