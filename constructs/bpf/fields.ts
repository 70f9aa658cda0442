/**
 * How a field is bytes: a whole number in the host's order or the network's (`be`), an address, the key of an LPM trie
 * (`prefix4`, `prefix6`: `192.0.2.0/24`), hexadecimal digits of N bytes, or N zero bytes between fields.
 */
export type BpfFieldType =
  | ("u8" | "u16" | "u32" | "u64" | "s32" | "be16" | "be32" | "be64")
  | ("ipv4" | "ipv6" | "mac" | "prefix4" | "prefix6")
  | `bytes:${number}`
  | `pad:${number}`;

/** One field's type, or the type of each field by name, in their order in memory. */
export type BpfFields = BpfFieldType | Readonly<Record<string, BpfFieldType>>;

/** Fields as the kinds take them; `only` names one that has none. */
export function fieldsOf(only: string, fields: BpfFields) {
  if (typeof fields === "string") return [{ name: only, type: fields }];
  return Object.entries(fields).map(([name, type]) => ({ name, type }));
}
