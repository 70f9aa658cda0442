import { canonicalCidr, canonicalSysctlValue } from "../schemas";
import type { Facts, Query } from "../step";
import { lacksRoomForIpv6, settingKey, type Place } from "./end";
import { carriesFrames, familyOfKind, kindOfInfo, propertiesOf } from "./families";
import { linksQuery, type IpAddress, type IpLink } from "./iproute";
import type { EndSpec, LinkKind, LinkSpec, PartialLink, PeerSpec } from "./schema";
import { bornIn, transit } from "./transit";

/** The facts that tell what a link is: all links of the namespaces it is in, and the settings it names. */
export function linkQueries(spec: PartialLink): Query[] {
  const ends: (Partial<Place> & Pick<EndSpec, "sysctls">)[] = [
    spec,
    ...(spec.peer === undefined ? [] : [spec.peer]),
  ];
  const born = bornIn(spec);
  const namespaces = new Set([...ends, ...(born === undefined ? [] : [born])].map(({ netns }) => netns));
  return [
    ...[...namespaces].map(linksQuery),
    ...ends.flatMap(({ netns, name = "", sysctls = {} }) =>
      Object.keys(sysctls).map((setting) => settingQuery({ netns, name }, setting)),
    ),
  ];
}

/** One query for each setting: specs that name others still share those that they both name. */
function settingQuery({ netns, name }: Place, setting: string): Query {
  return { tool: "sysctl", ...(netns !== undefined && { netns }), keys: [settingKey(name, setting)] };
}

/** The links of a namespace; undefined when there is no such namespace. */
function linksIn(facts: Facts, netns: string | undefined): readonly IpLink[] | undefined {
  const fact = facts.get(linksQuery(netns));
  if (fact.ok) {
    // iproute2 before 6.0 prints an empty object for what its filter left out.
    return (fact.value as Partial<IpLink>[]).filter((link): link is IpLink => link.ifname !== undefined);
  }
  if (netns !== undefined && /Cannot open network namespace|No such file or directory/.test(fact.error)) {
    return undefined;
  }
  throw new Error(`ip address show: ${fact.error}`);
}

/** The link as it is, in the words of the schema; undefined when it, or its namespace, is not there. */
export function observeLink(
  facts: Facts,
  specs: readonly [PartialLink, ...PartialLink[]],
): LinkSpec | undefined {
  const [wanted] = specs;
  const { netns, name = "" } = wanted;
  const found = linksIn(facts, netns)?.find(({ ifname }) => ifname === name);
  if (found === undefined) return observeTransit(facts, specs);
  const kind: LinkKind = wanted.kind === "physical" ? "physical" : kindOfInfo(found.linkinfo?.info_kind);
  const sysctls = specs.find((spec) => spec.sysctls !== undefined)?.sysctls;
  const listed = specs.flatMap((spec) => spec.addresses ?? []);
  const peer = kind === "veth" ? observePeer(facts, found, specs) : undefined;
  return {
    ...(netns !== undefined && { netns }),
    name,
    kind,
    ...readEnd(found, kind, listed),
    ...(sysctls !== undefined && { sysctls: readSettings(facts, { netns, name }, sysctls) }),
    // Which namespace it is, only the program can say: the initial one has no name to be told by.
    ...(found.link_netnsid !== undefined &&
      propertiesOf(kind).has("linkNetns") && { linkNetns: wanted.linkNetns ?? "" }),
    ...(found.txqlen !== undefined && { txQueueLength: found.txqlen }),
    ...familyOfKind(kind).parse(found.linkinfo?.info_data ?? {}, found, wanted),
    ...(peer !== undefined && { peer }),
  };
}

/** One that was made and not sent on: it is told as the link that it is, which has to be made again. */
function observeTransit(facts: Facts, specs: readonly [PartialLink, ...PartialLink[]]): LinkSpec | undefined {
  for (const spec of specs) {
    const place = transit(spec);
    const found = place && linksIn(facts, place.netns)?.find(({ ifname }) => ifname === place.name);
    if (place === undefined || found === undefined) continue;
    const { netns, name } = place;
    const kind = kindOfInfo(found.linkinfo?.info_kind);
    return { ...(netns !== undefined && { netns }), name, kind, up: found.flags.includes("UP") };
  }
  return undefined;
}

function readEnd(link: IpLink, kind: LinkKind, listed: readonly string[]) {
  const mac = link.link_type === "ether" && carriesFrames(kind) ? link.address : undefined;
  return {
    mtu: link.mtu,
    up: link.flags.includes("UP"),
    addresses: readAddresses(link.addr_info ?? [], listed),
    ...(mac !== undefined && { mac }),
    master: link.master ?? "",
  };
}

/** Static addresses of global scope, and any other that is listed: what else there is, the kernel made. */
function readAddresses(addresses: readonly IpAddress[], listed: readonly string[]): string[] {
  const read = addresses
    .filter(({ local, prefixlen }) => local !== undefined && prefixlen !== undefined)
    .map(({ local, prefixlen, scope, dynamic }) => ({
      address: canonicalCidr(`${local}/${prefixlen}`),
      ours: scope === "global" && dynamic !== true,
    }))
    .filter(({ address, ours }) => ours || listed.includes(address))
    .map(({ address }) => address);
  return [...new Set(read)].sort();
}

function readSettings(
  facts: Facts,
  place: Place,
  wanted: Readonly<Record<string, string>>,
): Record<string, string> {
  const entries = Object.keys(wanted).flatMap((setting): [string, string][] => {
    const fact = facts.get(settingQuery(place, setting));
    const value = fact.ok
      ? (fact.value as Record<string, string>)[settingKey(place.name, setting)]
      : undefined;
    return value === undefined ? [] : [[setting, canonicalSysctlValue(value)]];
  });
  return Object.fromEntries(entries);
}

/** The other end of a veth pair, with those properties that the program speaks of. */
function observePeer(
  facts: Facts,
  link: IpLink,
  specs: readonly [PartialLink, ...PartialLink[]],
): PeerSpec | undefined {
  const peers = specs.flatMap(({ peer }) => (peer === undefined ? [] : [peer]));
  const found = findPeer(facts, link, specs[0].netns, peers);
  if (found === undefined) return undefined;
  const [wanted] = peers;
  const { netns, end } = found;
  const listed = peers.flatMap(({ addresses }) => addresses ?? []);
  const whole: PeerSpec = {
    ...(netns !== undefined && { netns }),
    name: end.ifname,
    ...readEnd(end, "veth", listed),
    ...(wanted?.sysctls !== undefined && {
      // Settings are asked for by the wanted name; under another name none is as wanted.
      sysctls:
        end.ifname === wanted.name && netns === wanted.netns
          ? readSettings(facts, wanted, wanted.sysctls)
          : {},
    }),
  };
  if (wanted === undefined) return whole;
  // An MTU that must be raised is told although nobody spoke of it: the plan has to know.
  const small = lacksRoomForIpv6(whole, wanted);
  const spoken = (property: string) =>
    ["netns", "name", "up"].includes(property) ||
    wanted[property as keyof PeerSpec] !== undefined ||
    (property === "mtu" && small);
  return Object.fromEntries(Object.entries(whole).filter(([property]) => spoken(property))) as PeerSpec;
}

/**
 * The other end: by name in the link's own namespace, else by the two interface indexes in each namespace where
 * it may be. Indexes repeat between namespaces, so one with the right name too comes first.
 */
function findPeer(
  facts: Facts,
  link: IpLink,
  netns: string | undefined,
  peers: readonly PeerSpec[],
): { netns: string | undefined; end: IpLink } | undefined {
  if (typeof link.link === "string") {
    const end = linksIn(facts, netns)?.find(({ ifname }) => ifname === link.link);
    return end === undefined ? undefined : { netns, end };
  }
  const namespaces = [...new Set(peers.map((peer) => peer.netns))].filter((other) => other !== netns);
  const candidates = namespaces.flatMap((other) =>
    (linksIn(facts, other) ?? [])
      .filter((end) => end.linkinfo?.info_kind === "veth")
      .filter((end) => end.ifindex === link.link_index && end.link_index === link.ifindex)
      .map((end) => ({ netns: other, end })),
  );
  const named = ({ netns: where, end }: (typeof candidates)[number]) =>
    peers.some((peer) => peer.netns === where && peer.name === end.ifname);
  return candidates.find(named) ?? candidates[0];
}
