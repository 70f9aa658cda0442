import { canonicalSysctlValue, familyOf, networkOf } from "../schemas";
import type { Step } from "../step";
import type { EndSpec } from "./schema";

/** Smallest MTU that IPv6 works on, and that the kernel has it for: RFC 8200 section 5. */
export const IPV6_MIN_MTU = 1280;

/** One interface: a link, or an end of a veth pair. */
export interface Place {
  readonly netns?: string | undefined;
  readonly name: string;
}

/** One line of `ip -batch` in the interface's namespace. */
export function ip({ netns }: Pick<Place, "netns">, ...args: readonly string[]): Step {
  return { tool: "ip", ...(netns !== undefined && { netns }), args };
}

/** The kernel's key of a link's setting: `ipv4/rp_filter` of eth0 is `net/ipv4/conf/eth0/rp_filter`. */
export function settingKey(name: string, setting: string): string {
  const [family = "", ...rest] = setting.split("/");
  const where = rest.length > 1 ? "neigh" : "conf";
  return `net/${family}/${where}/${name}/${rest.at(-1) ?? ""}`;
}

/** Settings that say what happens when an address is added or the link comes up. */
const EARLY: ReadonlySet<string> = new Set(
  ["disable_ipv6", "addr_gen_mode", "accept_dad", "dad_transmits", "accept_ra", "autoconf"].map(
    (name) => `ipv6/${name}`,
  ),
);

/** Writes settings, those that must come first apart from the others. */
function settings(
  place: Place,
  values: readonly (readonly [string, string])[],
): { early: Step[]; late: Step[] } {
  const write = (chosen: typeof values): Step[] =>
    chosen.length === 0
      ? []
      : [
          {
            tool: "sysctl",
            ...(place.netns !== undefined && { netns: place.netns }),
            values: Object.fromEntries(chosen.map(([name, value]) => [settingKey(place.name, name), value])),
          },
        ];
  return {
    early: write(values.filter(([name]) => EARLY.has(name))),
    late: write(values.filter(([name]) => !EARLY.has(name))),
  };
}

/** The words of `ip link add` that both ends of a veth pair, and every other link, take. */
export function newEndWords({ mtu, mac, txQueueLength }: EndSpec): string[] {
  return [
    ...(mtu === undefined ? [] : ["mtu", String(mtu)]),
    ...(mac === undefined ? [] : ["address", mac]),
    ...(txQueueLength === undefined ? [] : ["txqueuelen", String(txQueueLength)]),
  ];
}

/** What is left to do for an interface that was just made. */
export function finishEnd(place: Place, wanted: EndSpec, owner?: string): { steps: Step[]; late: Step[] } {
  const { early, late } = settings(place, Object.entries(wanted.sysctls ?? {}));
  const words = [
    ...(owner === undefined ? [] : ["alias", owner]),
    ...(wanted.master === undefined || wanted.master === "" ? [] : ["master", wanted.master]),
    ...(wanted.up === true ? ["up"] : []),
  ];
  return {
    steps: [
      ...early,
      ...(words.length === 0 ? [] : [ip(place, "link", "set", "dev", place.name, ...words)]),
      ...(wanted.addresses ?? []).map((address) => addAddress(place, address)),
    ],
    late,
  };
}

/**
 * The changes of an interface that stays. `typeLines` are the words after `type KIND` that its kind needs, line
 * by line; `apart` keeps them from the words that are not its kind's.
 *
 * The kernel takes IPv6 addresses away when a link goes down, and IPv4 addresses with the first one of their
 * subnet (unless promote_secondaries is set): those that are to stay are put back.
 */
export function changeEnd(
  place: Place,
  current: EndSpec,
  desired: EndSpec,
  typeLines: readonly (readonly string[])[] = [],
  apart = false,
): { steps: Step[]; late: Step[] } {
  const wanted = withRoomForIpv6(current, desired, typeLines.length > 0);
  const goesDown = wanted.up === false && current.up !== false;
  const addresses = changeAddresses(place, current.addresses ?? [], wanted.addresses, goesDown);
  const { early, late } = settings(
    place,
    Object.entries(wanted.sysctls ?? {}).filter(
      ([name, value]) => canonicalSysctlValue(current.sysctls?.[name] ?? "") !== value,
    ),
  );
  return {
    steps: [
      ...addresses.remove,
      ...changeLink(place, current, wanted, typeLines, apart),
      ...early,
      ...addresses.add,
    ],
    late,
  };
}

/** Whether an interface is too small for the IPv6 that is wanted of it, and nothing is said about its MTU. */
export function lacksRoomForIpv6({ mtu }: EndSpec, desired: EndSpec): boolean {
  return wantsIpv6(desired) && desired.mtu === undefined && mtu !== undefined && mtu < IPV6_MIN_MTU;
}

const wantsIpv6 = ({ addresses, sysctls }: EndSpec) =>
  addresses?.some((address) => familyOf(address) === 6) === true ||
  Object.keys(sysctls ?? {}).some((name) => name.startsWith("ipv6/"));

/**
 * What is wanted, with an MTU that IPv6 works on when it needs one. A tunnel whose driver works the MTU out anew
 * (`remade`) could come out too small: it is told the one it has.
 */
function withRoomForIpv6(current: EndSpec, desired: EndSpec, remade: boolean): EndSpec {
  if (lacksRoomForIpv6(current, desired)) return { ...desired, mtu: IPV6_MIN_MTU };
  const keeps = remade && wantsIpv6(desired) && desired.mtu === undefined && current.mtu !== undefined;
  return keeps ? { ...desired, mtu: current.mtu } : desired;
}

function changeLink(
  place: Place,
  current: EndSpec,
  wanted: EndSpec,
  typeLines: readonly (readonly string[])[],
  apart: boolean,
): Step[] {
  const has = (property: "mtu" | "mac" | "master" | "txQueueLength" | "up") =>
    wanted[property] !== undefined && wanted[property] !== current[property];
  // A tunnel's driver works the MTU out anew with every change of the tunnel: say ours again.
  const mtu = wanted.mtu !== undefined && (has("mtu") || typeLines.length > 0);
  const words = [
    ...(mtu ? ["mtu", String(wanted.mtu)] : []),
    ...(has("mac") ? ["address", String(wanted.mac)] : []),
    ...(has("txQueueLength") ? ["txqueuelen", String(wanted.txQueueLength)] : []),
    ...(has("master") ? (wanted.master === "" ? ["nomaster"] : ["master", String(wanted.master)]) : []),
    ...(has("up") ? [wanted.up === true ? "up" : "down"] : []),
  ];
  const set = (more: readonly string[]) => ip(place, "link", "set", "dev", place.name, ...more);
  const before = apart ? typeLines : typeLines.slice(0, -1);
  const last = [...words, ...(apart ? [] : (typeLines.at(-1) ?? []))];
  return [...before, ...(last.length === 0 ? [] : [last])].map(set);
}

function changeAddresses(
  place: Place,
  current: readonly string[],
  wanted: readonly string[] | undefined,
  goesDown: boolean,
): { remove: Step[]; add: Step[] } {
  if (wanted === undefined) return { remove: [], add: [] };
  const gone = current.filter((address) => !wanted.includes(address));
  const subnets = new Set(gone.map(networkOf));
  const lost = (address: string) => (familyOf(address) === 6 ? goesDown : subnets.has(networkOf(address)));
  return {
    // One that went with another of its subnet is put back to be removed: which it is depends on a setting.
    remove: gone.flatMap((address, index) => {
      const maybeGone =
        familyOf(address) === 4 && gone.slice(0, index).some((a) => networkOf(a) === networkOf(address));
      return [
        ...(maybeGone ? [ip(place, "address", "replace", address, "dev", place.name)] : []),
        ip(place, "address", "del", address, "dev", place.name),
      ];
    }),
    add: wanted.flatMap((address) => {
      if (!current.includes(address)) return [addAddress(place, address)];
      return lost(address) ? [ip(place, "address", "replace", address, "dev", place.name)] : [];
    }),
  };
}

const addAddress = (place: Place, address: string) => ip(place, "address", "add", address, "dev", place.name);
