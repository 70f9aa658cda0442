import { addressBytes, canonicalAddress, canonicalCidr, networkOf, quoted } from "../schemas";
import { bytesOf, digitsOf, u32 } from "./layout";

/** What an end is found by, as text: `host 10.0.0.1`, `geneve 7 192.0.2.1`, `prefix 10.0.0.0/24`, `all`. */
export type Key =
  /** Everything that nothing else selects. */
  | { readonly by: "all" }
  /** The longest prefix that an inner destination is in. */
  | { readonly by: "prefix"; readonly family: 4 | 6; readonly length: number; readonly address: string }
  /** A slot of a table: the scope, and what is looked for as hexadecimal digits. */
  | {
      readonly by: "slot";
      readonly family: 4 | 6;
      readonly scope: number;
      readonly a: string;
      readonly b: string;
    };

const MOST24 = 0xff_ffff;
const MOST32 = 0xffff_ffff;
const VLANS = 4094;

type Form = readonly ("address" | "network" | "source" | "vni" | "key" | "vlan")[];

/** `enum mux_scope`, with what each key is made of. */
const FORMS: Readonly<Record<string, { readonly scope: number; readonly form: Form }>> = {
  all: { scope: 0, form: [] },
  prefix: { scope: 0, form: ["network"] },
  host: { scope: 1, form: ["address"] },
  pair: { scope: 2, form: ["address", "address"] },
  geneve: { scope: 3, form: ["vni", "address"] },
  vxlan: { scope: 4, form: ["vni", "address"] },
  gre: { scope: 5, form: ["source", "address"] },
  "gre-key": { scope: 6, form: ["key", "address"] },
  ipip: { scope: 7, form: ["source", "address"] },
  vlan: { scope: 8, form: ["vlan"] },
  qinq: { scope: 9, form: ["vlan", "vlan"] },
};

/** Whether a key is looked for in what is popped, rather than in what is pushed. */
export const isOfPop = (key: string) => (FORMS[key.split(" ", 1)[0] ?? ""]?.scope ?? 0) > 2;

/** What is wrong with a key's text; undefined when nothing is. */
export function keyProblem(text: string): string | undefined {
  const [word = "", ...parts] = text.split(" ");
  const form = FORMS[word]?.form;
  if (form === undefined) return `${quoted(text)} begins with none of ${Object.keys(FORMS).join(", ")}`;
  if (parts.length !== form.length) return `${quoted(text)} is not ${[word, ...form].join(" ")}`;
  const families = new Set<number | undefined>();
  for (const [nth, what] of form.entries()) {
    const part = parts[nth] ?? "";
    const most = { vni: MOST24, key: MOST32, vlan: VLANS }[what as "vni" | "key" | "vlan"];
    if (most !== undefined) {
      if (!/^(0|[1-9]\d*)$/.test(part) || Number(part) > most)
        return `${quoted(text)}: ${what} is a whole number from 0 to ${most}`;
    } else if (what === "network") {
      if (canonicalCidr(part) !== part || networkOf(part) !== part || !part.includes("/"))
        return `${quoted(text)} names no network such as 10.0.0.0/24`;
    } else if (!(what === "source" && part === "any")) {
      families.add(addressBytes(part)?.length);
      if (addressBytes(part) === undefined || canonicalAddress(part) !== part)
        return `${quoted(text)}: ${quoted(part)} is no address as it is written`;
    }
  }
  return families.size > 1 ? `${quoted(text)} has addresses of both families` : undefined;
}

const ZERO = { 4: "00".repeat(4), 6: "00".repeat(16) } as const;

/** A key by its text, which {@link keyProblem} has nothing against. */
export function parseKey(text: string): Key {
  const [word = "", ...parts] = text.split(" ");
  if (word === "all") return { by: "all" };
  if (word === "prefix") {
    const [address = "", length] = (parts[0] ?? "").split("/");
    return { by: "prefix", family: address.includes(":") ? 6 : 4, length: Number(length), address };
  }
  const { scope, form } = FORMS[word]!;
  const family = parts.some((part) => part.includes(":")) ? 6 : 4;
  const address = (part: string) => digitsOf(addressBytes(part) ?? []);
  const number = (value: number) => (u32(value) + ZERO[6]).slice(0, ZERO[family].length);
  const [first = "", second = ""] = parts;
  const slot = (a: string, b: string): Key => ({ by: "slot", family, scope, a, b });
  if (form[0] === "vlan") return slot(number(tagsOf(parts)), ZERO[family]);
  if (form[0] === "vni" || form[0] === "key") return slot(number(Number(first)), address(second));
  if (form[0] === "source") return slot(first === "any" ? ZERO[family] : address(first), address(second));
  return form.length === 2 ? slot(address(first), address(second)) : slot(ZERO[family], address(first));
}

const tagsOf = (parts: readonly string[]) => parts.reduce((tags, part) => tags * 0x1_0000 + Number(part), 0);

const MASK = (1n << 64n) - 1n;
const K1 = 0x9e3779b97f4a7c15n;
const K2 = 0xd6e8feb86659fd93n;

function mix(h: bigint): bigint {
  const product = (h * K2) & MASK;
  return product ^ (product >> 32n);
}

const little = (digits: string) => bytesOf(digits).reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);

/** The scope word: what is looked for, and in which of the tables that do not see each other's entries. */
export const scopeWord = (scope: number, table: number) => scope * 0x100_0000 + table;

/** `mux_hash4()` and `mux_hash6()` of mux.h. */
export function hashOf(scope: number, a: string, b: string): number {
  const seed = (BigInt(scope) * K1) & MASK;
  const words = a.length === 8 ? [a + b] : [a.slice(0, 16), a.slice(16), b.slice(0, 16), b.slice(16)];
  const h = words.map(little).reduce((sum, word) => mix(sum ^ word), seed);
  return Number(((h * K1) & MASK) >> 32n);
}

/** A table's share of the hash, as an interface keeps it. */
export const seedOf = (table: number) => ((BigInt(table) * K1) & MASK).toString();
