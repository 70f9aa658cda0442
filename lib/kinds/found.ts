import type { Fact, Facts, Query } from "./step";

/** How `ip -n NAME`, `ip netns exec NAME` (ip-netns(8)) and nsenter(1) say that there is no such namespace. */
const NO_NAMESPACE =
  /Cannot open network namespace "[^"]*": No such file or directory|nsenter: cannot open \/run\/netns\//;

/**
 * What a query found; undefined when the namespace it was asked in is not there, or when the error is one that
 * the kind takes for "there is none" (`absent`).
 *
 * @throws for any other failure: a look that failed must never be taken for an object that is gone.
 */
export function found(facts: Facts, query: Query, absent?: RegExp): unknown {
  const fact = facts.get(query);
  if (fact.ok) return fact.value;
  if (NO_NAMESPACE.test(fact.error) || absent?.test(fact.error) === true) return undefined;
  throw new Error(`${describe(query)} failed: ${fact.error}`);
}

/**
 * `found`, and what is made of it. Resources that ask the same find the same fact, and a table of thousands of lines is
 * then read for the first of them alone.
 */
export function readingOnce<Read>(read: (value: unknown) => Read) {
  const known = new WeakMap<Fact, { readonly read: Read }>();
  return (facts: Facts, query: Query, absent?: RegExp): Read => {
    const fact = facts.get(query);
    const before = known.get(fact);
    if (before !== undefined) return before.read;
    const now = read(found(facts, query, absent));
    known.set(fact, { read: now });
    return now;
  };
}

function describe(query: Query): string {
  const where = "netns" in query && query.netns !== undefined ? ` in netns ${query.netns}` : "";
  if (query.tool === "sysctl") return `reading ${query.keys.join(", ")}${where}`;
  if ("paths" in query) return `reading ${query.paths.join(", ")}`;
  if (query.tool === "bpf-pins") return `reading the pins below ${query.path}`;
  const words = query.args.filter((word) => !word.startsWith("-"));
  return [query.tool, ...words].join(" ") + where;
}

/** An object without the properties that are undefined: what deep equality needs. */
export function defined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as T;
}
