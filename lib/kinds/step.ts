/**
 * What is read from a host and what is done to it, as data. A query or a step is a tool and an argument
 * vector, never a shell string: the host session alone knows how to run it, and nothing a user types can
 * become a command.
 */

/** A read-only look at the host. Queries that are equal are run once for all the resources that ask. */
export type Query =
  /** `ip -j …` or `tc -j …` in a namespace; the fact is the parsed JSON. */
  | { readonly tool: "ip" | "tc"; readonly netns?: string; readonly args: readonly string[] }
  /** `nft -j list …`; the fact is the parsed JSON. */
  | { readonly tool: "nft"; readonly netns?: string; readonly args: readonly string[] }
  /** Kernel settings by `/`-separated key (`net/ipv4/ip_forward`); the fact is `Record<key, value>`, absent keys left out. */
  | { readonly tool: "sysctl"; readonly netns?: string; readonly keys: readonly string[] }
  /** Regular files by absolute path; the fact is `Record<path, FileFact>`, absent files left out. */
  | { readonly tool: "file"; readonly paths: readonly string[] };

/** One regular file as a `file` query finds it. */
export interface FileFact {
  /** UTF-8 text. */
  readonly content: string;
  /** Permission bits in octal, such as `"0644"`. */
  readonly mode: string;
  /** Owner and group, such as `"root:root"`. */
  readonly owner: string;
}

/** What one query found. A tool that fails (no such namespace, no such table) is a fact too. */
export type Fact =
  { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: string };

/** Everything that was found, by query. */
export interface Facts {
  /** @throws when the query was not among those asked for: that is a mistake in a kind, not of a user. */
  get(query: Query): Fact;
}

/** One change on the host. */
export type Step =
  /**
   * One line of `ip -batch` or `tc -batch`, fed on standard input so that no argument shows up in a process
   * list. An argument may hold letters, digits and `_.:/@%+,=-` only. `family: 6` is `ip -6`: `ip rule` takes
   * the family from nothing else.
   */
  | {
      readonly tool: "ip" | "tc";
      readonly netns?: string;
      readonly family?: 6;
      readonly args: readonly string[];
    }
  /** One nftables transaction in libnftables-json(5) form: data, not syntax. */
  | { readonly tool: "nft"; readonly netns?: string; readonly commands: readonly object[] }
  /** Kernel settings by `/`-separated key. */
  | { readonly tool: "sysctl"; readonly netns?: string; readonly values: Readonly<Record<string, string>> }
  /** A file, written whole and moved into place; missing folders are made. */
  | { readonly tool: "write"; readonly path: string; readonly file: FileFact }
  /** A file removed; folders that this leaves empty stay unless named in `prune` (innermost first). */
  | { readonly tool: "remove"; readonly path: string; readonly prune?: readonly string[] }
  /** Any other tool, with its arguments as they are. */
  | { readonly tool: "ethtool" | "modprobe"; readonly netns?: string; readonly args: readonly string[] };

/** The same text for equal queries, whatever the order of their keys. */
export function queryKey(query: Query): string {
  const netns = "netns" in query ? (query.netns ?? "") : "";
  const rest = "args" in query ? query.args : "keys" in query ? query.keys : query.paths;
  return JSON.stringify([query.tool, netns, ...rest]);
}
