import type { AnyKind, AnySpec } from "../kinds/kind";
import { hasUnknown } from "./properties";

/** An id: `edge/site1/gre1`. A `/` inside a segment is written `%2F`, and a `%` is written `%25`. */
export function formatId(host: string, identity: readonly string[]): string {
  return [host, ...identity].map((s) => s.replaceAll("%", "%25").replaceAll("/", "%2F")).join("/");
}

/** The segments of an id; undefined when it has no host or nothing after it. */
export function parseId(id: string): { host: string; identity: readonly string[] } | undefined {
  const [host, ...identity] = id.split("/").map((s) => s.replaceAll("%2F", "/").replaceAll("%25", "%"));
  if (host === undefined || host === "" || identity.length === 0) return undefined;
  return { host, identity };
}

/** How the ledger names an object. */
export function ledgerKey(kind: AnyKind, id: string): string {
  return `${kind.token} ${id}`;
}

/** A kind's identity; undefined when a property that it is made of is not known yet. */
export function identityOf(kind: AnyKind, spec: AnySpec): readonly string[] | undefined {
  const { identity, properties } = watchIdentity(kind, spec);
  return [...properties].some((property) => hasUnknown(spec[property])) ? undefined : identity;
}

/** The properties that a kind's identity is made of. */
export function identityProperties(kind: AnyKind, spec: AnySpec): ReadonlySet<string> {
  return watchIdentity(kind, spec).properties;
}

function watchIdentity(kind: AnyKind, spec: AnySpec) {
  const properties = new Set<string>();
  const watched = new Proxy(spec, {
    get(target, property, receiver) {
      if (typeof property === "string") properties.add(property);
      return Reflect.get(target, property, receiver) as unknown;
    },
  });
  try {
    return { identity: kind.identity(watched), properties };
  } catch (error) {
    // A value that is not known yet is of no type that a kind expects; anything else is a mistake.
    if ([...properties].some((property) => hasUnknown(spec[property])))
      return { identity: undefined, properties };
    throw error;
  }
}
