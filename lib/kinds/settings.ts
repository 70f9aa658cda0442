import { found } from "./found";
import { canonicalSysctlValue } from "./schemas";
import type { Facts, Query, Step } from "./step";

/** Kernel settings by `/`-separated key. */
export type Settings = Readonly<Record<string, string>>;

/**
 * One query a setting: what is asked for is then the same whether a setting is looked at alone or among others,
 * as when a program drops one of several.
 */
export function settingQueries(settings: Settings | undefined, netns?: string): readonly Query[] {
  return Object.keys(settings ?? {}).map((key) => settingQuery(key, netns));
}

const settingQuery = (key: string, netns: string | undefined): Query => ({
  tool: "sysctl",
  ...(netns !== undefined && { netns }),
  keys: [key],
});

/**
 * The settings of all the given sets as they are, keys that this kernel does not have left out; undefined when
 * the namespace is not there.
 */
export function observeSettings(
  facts: Facts,
  sets: readonly (Settings | undefined)[],
  netns?: string,
): Settings | undefined {
  const keys = [...new Set(sets.flatMap((set) => Object.keys(set ?? {})))];
  const values: Record<string, string> = {};
  for (const key of keys.sort()) {
    const value = found(facts, settingQuery(key, netns)) as Settings | undefined;
    if (value === undefined) return undefined;
    const text = value[key];
    if (text !== undefined) values[key] = canonicalSysctlValue(text);
  }
  return values;
}

/**
 * A setting of one family that writes others as well: `ip_forward` sets `conf/<every link>/forwarding` and
 * `conf/all/accept_redirects` (inet_forward_change in net/ipv4/devinet.c), `conf/all` and `conf/default` are
 * copied to links (devinet_conf_proc there, addrconf_sysctl_forward and its like in net/ipv6/addrconf.c).
 */
const SPREADS = /^net\/(ipv[46])\/(ip_forward$|conf\/(all|default)\/)/;

/** Where in the order of writing a key stands: what others are copied from goes first. */
function rank(key: string): number {
  const conf = /^net\/ipv[46]\/conf\/([^/]+)\//.exec(key)?.[1];
  if (conf === undefined) return key === "net/ipv4/ip_forward" ? 0 : 1;
  if (conf === "all") return /\/forwarding$/.test(key) ? 2 : 3;
  return conf === "default" ? 4 : 5;
}

/**
 * The settings to write, in an order in which the last word stays. One that a write before it may have changed
 * is written too, though it is right as yet.
 */
export function settingSteps(current: Settings, desired: Settings, netns?: string): readonly Step[] {
  const keys = Object.keys(desired).sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
  const stirred = new Set<string>();
  const values: Record<string, string> = {};
  for (const key of keys) {
    const family = /^net\/(ipv[46])\/conf\//.exec(key)?.[1] ?? "";
    if (current[key] === desired[key] && !stirred.has(family)) continue;
    values[key] = desired[key] ?? "";
    const spreads = SPREADS.exec(key)?.[1];
    if (spreads !== undefined) stirred.add(spreads);
  }
  if (Object.keys(values).length === 0) return [];
  return [{ tool: "sysctl", ...(netns !== undefined && { netns }), values }];
}

/** Names of one setting under which the kernel keeps one value: the second is the first's other name. */
const TWINS: readonly (readonly [string, string])[] = [
  ["net/ipv4/ip_forward", "net/ipv4/conf/all/forwarding"],
];

/** What is wrong with a set of settings as a whole. */
export function settingProblem(settings: Settings): string | undefined {
  for (const [one, other] of TWINS) {
    const [a, b] = [settings[one], settings[other]];
    if (a !== undefined && b !== undefined && a !== b) {
      return `${one} is ${a} and ${other} is ${b}, and they are one setting: leave one of them out`;
    }
  }
  return undefined;
}

/** Turns what the kernel said of a setting into what can be done about it. */
export function explainSetting(error: string): string | undefined {
  const key = /setting ([^ ]+)(?: in netns [^ ]+)? failed/.exec(error)?.[1];
  if (key === undefined) return undefined;
  if (/no such kernel setting|No such file or directory|Directory nonexistent/.test(error)) {
    return `${error}. This kernel has no ${key}${missing(key)}`;
  }
  if (/Invalid argument|Illegal|I\/O error|out of range/.test(error)) {
    return `${error}. The kernel does not take this value for ${key}: see Documentation/admin-guide/sysctl of its version`;
  }
  if (/Permission denied|Read-only|Operation not permitted/.test(error)) {
    return `${error}. ${key} cannot be written here: it belongs to the host's initial namespace, or is read-only`;
  }
  return undefined;
}

function missing(key: string): string {
  const link = /^net\/ipv[46]\/(?:conf|neigh)\/([^/]+)\//.exec(key)?.[1];
  if (link !== undefined && !["all", "default"].includes(link)) {
    return `: there is no link ${link} there (a link's own settings belong to the Link, which comes after this)`;
  }
  if (key.startsWith("net/netfilter/")) return ": load the module nf_conntrack first";
  if (key.startsWith("net/bridge/")) return ": load the module br_netfilter first";
  if (key.startsWith("net/mptcp/")) return ": it is built without MPTCP";
  return ", or needs a module to be loaded first";
}
