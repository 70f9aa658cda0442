import { bare, typesOf, mapDefinition, type BtfType, type Types } from "./btf";

/** What the bytes of a key or value are, by the object's own types: what the compiler wrote down of them as BTF. */
export type Shape =
  | { readonly kind: "number"; readonly size: number; readonly signed: boolean; readonly big: boolean }
  | { readonly kind: "enum"; readonly size: number; readonly values: Readonly<Record<string, number>> }
  /** `char[N]`: text, and zeros after it. */
  | { readonly kind: "text"; readonly size: number }
  | { readonly kind: "array"; readonly size: number; readonly of: Shape; readonly count: number }
  | { readonly kind: "struct"; readonly size: number; readonly members: readonly Member[] }
  /** What no program can write: `what` says why. */
  | { readonly kind: "opaque"; readonly size: number; readonly what: string };

/** One member of a struct; those of a union are at the same place. */
export interface Member {
  readonly name: string;
  readonly offset: number;
  readonly shape: Shape;
}

/** What keys and values of a map are; undefined when BTF says nothing of it. */
export function mapShapes(dump: unknown, map: string): { key: Shape; value: Shape } | undefined {
  const types = typesOf(dump);
  const definition = mapDefinition(types, map);
  const [key, value] = [definition?.get("key"), definition?.get("value")];
  if (key === undefined || value === undefined) return undefined;
  return { key: shapeOf(types, key), value: shapeOf(types, value) };
}

/** Names of linux/types.h for what is in the network's order. */
const BIG = /^(__)?be(16|32|64)$/;

/** Most levels of types in one another. */
const DEEPEST = 16;

function shapeOf(types: Types, id: number, depth = 0): Shape {
  const type = bare(types, id);
  const size = sizeOfType(types, id);
  if (type === undefined || depth > DEEPEST) return { kind: "opaque", size, what: "of no known type" };
  switch (type.kind) {
    case "INT":
      return { kind: "number", size, signed: type.encoding === "SIGNED", big: isBig(types, id) };
    case "ENUM":
    case "ENUM64":
      return {
        kind: "enum",
        size,
        values: Object.fromEntries((type.values ?? []).map(({ name, val }) => [name, val])),
      };
    case "ARRAY": {
      const count = type.nr_elems ?? 0;
      if (bare(types, type.type_id)?.name === "char") return { kind: "text", size: count };
      return { kind: "array", size, of: shapeOf(types, type.type_id ?? 0, depth + 1), count };
    }
    case "STRUCT":
    case "UNION":
      return { kind: "struct", size, members: membersOf(types, type, 0, depth) };
    default:
      return { kind: "opaque", size, what: `a ${type.kind === "PTR" ? "pointer" : type.kind.toLowerCase()}` };
  }
}

/** Members with those of structs and unions that have no name among them. */
function membersOf(types: Types, { members = [] }: BtfType, from: number, depth: number): Member[] {
  return members.flatMap(({ name, type_id, bits_offset, bitfield_size }) => {
    const offset = from + Math.floor(bits_offset / 8);
    const inner = bare(types, type_id);
    if ((name === "" || name === "(anon)") && inner?.members !== undefined && depth < DEEPEST)
      return membersOf(types, inner, offset, depth + 1);
    const shape: Shape = bitfield_size
      ? { kind: "opaque", size: 0, what: "a bit field" }
      : shapeOf(types, type_id, depth + 1);
    return [{ name, offset, shape }];
  });
}

function isBig(types: Types, id: number): boolean {
  for (let type = types.get(id); type?.type_id !== undefined; type = types.get(type.type_id))
    if (type.kind === "TYPEDEF" && BIG.test(type.name)) return true;
  return false;
}

function sizeOfType(types: Types, id: number): number {
  const type = bare(types, id);
  if (type?.kind === "ARRAY") return (type.nr_elems ?? 0) * sizeOfType(types, type.type_id ?? 0);
  return type?.kind === "PTR" ? 8 : (type?.size ?? 0);
}
