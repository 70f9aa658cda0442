/** Runs a command on a host and returns what it printed; an exit status other than 0 throws. */
export type RunCommand = (argv: readonly string[]) => Promise<string>;

/** What a host looks like to somebody who compares it before and after: one text for each aspect. */
export type HostState = Readonly<Record<string, string>>;

/**
 * Fields that move by themselves and mean no change: counters, lifetimes, and the numbers that the kernel gives
 * in order (interface indexes, namespace ids).
 */
const moving = new Set([
  "valid_life_time",
  "preferred_life_time",
  "expires",
  "ifindex",
  "link_index",
  "link_netnsid",
  "stats",
  "stats64",
]);

/** Kernel settings that count or measure rather than configure. */
const movingSettings = /^(net\.netfilter\.nf_conntrack_count|net\.ipv4\.tcp_mem|net\.ipv4\.udp_mem)/;

/** Kernel settings that are there from the first use of connection tracking on: the module stays. */
const trackingSettings = /^settings: \+ net\.(netfilter\.nf_|nf_conntrack_max)/;

/** Where configuration and our own records are; `/run/netns` holds the namespaces. */
const ours = ["/etc/*", "/var/lib/netloom*", "/run/netloom*", "/run/netns/*"]
  .flatMap((path) => ["-o", "-path", path])
  .slice(1);

/**
 * The links, addresses, routes, rules, namespaces, nftables rules, network settings and configuration files of a
 * host, without what moves by itself. Two equal states mean that nothing was left behind.
 */
export async function hostState(run: RunCommand): Promise<HostState> {
  const json = async (...argv: string[]) => normalised(await run(argv));
  return {
    namespaces: await json("ip", "-j", "netns", "list"),
    links: await json("ip", "-d", "-j", "addr", "show"),
    routes4: await json("ip", "-j", "-4", "route", "show", "table", "all"),
    routes6: await json("ip", "-j", "-6", "route", "show", "table", "all"),
    rules4: await json("ip", "-j", "-4", "rule", "show"),
    rules6: await json("ip", "-j", "-6", "rule", "show"),
    nexthops: await run(["ip", "nexthop", "show"]),
    nftables: await json("nft", "-j", "list", "ruleset"),
    settings: (await run(["sysctl", "-a", "--pattern", "^net\\."]))
      .split("\n")
      .filter((line) => !movingSettings.test(line))
      .sort()
      .join("\n"),
    files: (
      await run([
        "find",
        "/etc",
        "/var/lib",
        "/run",
        "-xdev",
        "(",
        ...ours,
        ")",
        "-printf",
        "%p %s %m %u:%g\\n",
      ])
    )
      .split("\n")
      .sort()
      .join("\n"),
  };
}

/** The aspects in which two states differ, each with the lines that are only in one of them. */
export function stateDifferences(before: HostState, after: HostState): string[] {
  return Object.keys(before).flatMap((aspect) => {
    const was = (before[aspect] ?? "").split("\n");
    const is = (after[aspect] ?? "").split("\n");
    const gone = was.filter((line) => !is.includes(line)).map((line) => `${aspect}: - ${line}`);
    const come = is.filter((line) => !was.includes(line)).map((line) => `${aspect}: + ${line}`);
    return [
      ...gone,
      ...(before["settings"]?.includes("nf_conntrack_max") ? come : come.filter(isNoTracking)),
    ];
  });
}

const isNoTracking = (line: string) => !trackingSettings.test(line);

function normalised(text: string): string {
  const value: unknown = text.trim() === "" ? [] : JSON.parse(text);
  return JSON.stringify(value, (key, field: unknown) => (moving.has(key) ? undefined : field), 1);
}
