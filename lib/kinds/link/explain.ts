import type { LinkKind, LinkSpec } from "./schema";

/** The kernel module and configuration option behind each kind. */
const DRIVERS: Readonly<Partial<Record<LinkKind, readonly [module: string, config: string]>>> = {
  veth: ["veth", "CONFIG_VETH"],
  bridge: ["bridge", "CONFIG_BRIDGE"],
  dummy: ["dummy", "CONFIG_DUMMY"],
  ifb: ["ifb", "CONFIG_IFB"],
  gre: ["ip_gre", "CONFIG_NET_IPGRE"],
  gretap: ["ip_gre", "CONFIG_NET_IPGRE"],
  ip6gre: ["ip6_gre", "CONFIG_IPV6_GRE"],
  ip6gretap: ["ip6_gre", "CONFIG_IPV6_GRE"],
  ipip: ["ipip", "CONFIG_NET_IPIP"],
  sit: ["sit", "CONFIG_IPV6_SIT"],
  geneve: ["geneve", "CONFIG_GENEVE"],
  vxlan: ["vxlan", "CONFIG_VXLAN"],
  vlan: ["8021q", "CONFIG_VLAN_8021Q"],
};

type Explanation = readonly [
  said: RegExp,
  means: (spec: LinkSpec, match: RegExpExecArray) => string | undefined,
];

const explanations: readonly Explanation[] = [
  [/Unknown device type/, (spec) => noDriver(spec)],
  [/Operation not supported/, (spec, { input }) => notSupported(spec, input)],
  [
    /Invalid "netns" value|Cannot open network namespace "?([^":\s]*)"?/,
    (spec, [, name]) => noNamespace(spec, name),
  ],
  [
    /VXLAN device with the specified VNI already exists/,
    ({ vni }) => `another vxlan link has VNI ${vni ?? 0} already`,
  ],
  [
    /VLAN device already exists/,
    ({ link, vlanId }) => `another vlan link on ${link ?? "the same link"} has id ${vlanId ?? ""} already`,
  ],
  [/only one externally controlled device/, () => "another external link has this UDP port already"],
  [/File exists/, (spec) => fileExists(spec)],
  [/argument "([^"]*)" is wrong: Device does not exist/, (spec, [, name]) => noMaster(spec, name)],
  [/Cannot find device "([^"]*)"/, (spec, [, name]) => noDevice(spec, name)],
  [
    /Network is down/,
    ({ kind, link }) =>
      kind === "vlan" && link !== undefined
        ? `${link} below it is down, and a vlan cannot be up then`
        : undefined,
  ],
  [
    /no such kernel setting/,
    ({ mtu = 1500 }) =>
      "the link has no such setting: see net/<family>/conf in `sysctl -a` of its namespace" +
      (mtu < 1280 ? "; a link of less than 1280 bytes has no IPv6" : ""),
  ],
  [/mtu (greater|less) than device|Numerical result out of range/, (spec) => mtuRefused(spec)],
  [
    /Permission denied|No buffer space available/,
    ({ addresses = [] }) =>
      addresses.some((address) => address.includes(":"))
        ? "IPv6 is disabled for this link (net/ipv6/conf/<link>/disable_ipv6, or an MTU below 1280)"
        : undefined,
  ],
  [/Invalid argument/, (spec) => noEncapDriver(spec) ?? notAPort(spec) ?? vlanTooWide(spec)],
  [
    /Cannot assign requested address/,
    () =>
      "an address or end was gone before it could be changed: something else changes this link; try again",
  ],
];

/** What the kernel's words about a failed step mean for the user; undefined when nobody knows better. */
export function explainLink(error: string, spec: LinkSpec): string | undefined {
  for (const [said, means] of explanations) {
    const match = said.exec(error);
    const meaning = match === null ? undefined : means(spec, match);
    if (meaning !== undefined) return `${meaning} (${error.trim()})`;
  }
  return undefined;
}

function notSupported(spec: LinkSpec, error: string): string | undefined {
  if (spec.kind === "physical") return `the driver of ${spec.name} cannot do this`;
  if (spec.kind === "bridge" && spec.vlanFiltering === true) {
    return "the host's kernel has no VLAN filtering in bridges (CONFIG_BRIDGE_VLAN_FILTERING)";
  }
  return noEncapDriver(spec) ?? (error.includes("link set") ? undefined : noDriver(spec));
}

function noDriver({ kind }: LinkSpec): string | undefined {
  const driver = DRIVERS[kind];
  if (driver === undefined) return undefined;
  const [module, config] = driver;
  return `the host's kernel cannot make ${kind} links: it needs the module ${module} (modprobe ${module}; ${config})`;
}

function noEncapDriver({ kind, encap }: LinkSpec): string | undefined {
  if (encap === undefined || encap.type === "none") return undefined;
  const module = kind.startsWith("ip6") ? "fou6" : "fou";
  return `the host's kernel cannot put ${kind} into UDP: it needs the module ${module} (modprobe ${module}; CONFIG_NET_FOU)`;
}

function noNamespace({ netns, peer }: LinkSpec, said: string | undefined): string {
  const name = said !== undefined && said !== "" ? said : (peer?.netns ?? netns ?? "");
  return `there is no network namespace ${name}: a net:Namespace resource makes it (dependsOn keeps the order)`;
}

function fileExists({ kind, name, peer, local = "any", remote = "any" }: LinkSpec): string {
  if (peer !== undefined) return `a link called ${name} or ${peer.name} is there already`;
  if (["gre", "gretap", "ip6gre", "ip6gretap", "ipip", "sit"].includes(kind)) {
    return (
      `a link called ${name}, or another ${kind} tunnel between ${local} and ${remote} with the same key, is there ` +
      `already: the kernel tells tunnels apart by ends and key`
    );
  }
  return `a link called ${name}, or one of its addresses, is there already`;
}

function noMaster({ name, master, peer }: LinkSpec, said: string | undefined): string | undefined {
  const device = said ?? "";
  if (device !== "" && device !== master && device !== peer?.master) return undefined;
  return `there is no ${device} in the namespace of ${name} that it could be a port of`;
}

function noDevice({ name, link, peer }: LinkSpec, said: string | undefined): string | undefined {
  if (said === link && said !== undefined)
    return `there is no ${said} in the namespace of ${name} to put it on`;
  if (said === name || said === peer?.name)
    return `${said} was removed while it was being changed; try again`;
  return undefined;
}

function notAPort({ kind, name, master, peer }: LinkSpec): string | undefined {
  const wanted = master !== undefined && master !== "" ? master : peer?.master;
  if (wanted === undefined || wanted === "") return undefined;
  const why = ["gre", "ip6gre", "ipip", "sit"].includes(kind)
    ? `a bridge carries Ethernet frames: use ${kind === "gre" ? "gretap" : kind === "ip6gre" ? "ip6gretap" : "gretap"}`
    : `${wanted} may be no bridge`;
  return `${name} cannot be a port of ${wanted}: ${why}`;
}

function mtuRefused({ kind, link, mtu }: LinkSpec): string | undefined {
  if (mtu === undefined) return undefined;
  const above = kind === "vlan" ? `; ${link ?? "the link below"} must have at least as much` : "";
  return `a ${kind} link cannot have an MTU of ${mtu} here${above}`;
}

/** Of a VLAN that is wider than the link below it, the kernel says no more than that it is invalid. */
const vlanTooWide = (spec: LinkSpec) => (spec.kind === "vlan" ? mtuRefused(spec) : undefined);
