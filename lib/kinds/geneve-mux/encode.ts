import { addressBytes } from "../schemas";
import { scopeWord, seedOf, type Key } from "./keys";
import {
  digitsOf,
  endLine,
  FLAGS,
  hopEntry,
  moreEntry,
  PORT_FLAGS,
  portEntry,
  PROTOCOLS,
  STATIC,
  tableSize,
  type Flag,
} from "./layout";
import { linkId, type End, type HopMac, type Tunnels } from "./schema";

/** An end as entries of maps; what is not said of where they are. */

/** Numbers of links by {@link linkId}. */
export type Numbers = NonNullable<Tunnels["numbers"]>;

const NO_MAC = "00:00:00:00:00:00";
const NO_ADDRESS = "00".repeat(16);

/** @throws Error when a link is not there; what is there is told where `others` has it */
export function numberOfLink(
  numbers: Numbers,
  link: { netns?: string; link: string },
  others: Tunnels["others"],
) {
  const known = numbers[linkId(link)];
  if (known !== undefined) return known;
  const there = others?.[link.netns ?? ""]?.join(", ") ?? "none";
  const where = link.netns === undefined ? "" : ` in netns ${link.netns}`;
  throw new Error(`There is no link ${link.link}${where}: there are ${there}.`);
}

const isWide = ({ local, remote }: End) => (local ?? remote ?? "").includes(":");

const padded = (address: string | undefined) =>
  address === undefined ? NO_ADDRESS : digitsOf(addressBytes(address) ?? []).padEnd(32, "0");

/** The interface number that a push leaves by is a key of its own; a pop has one for each end. */
export const ownEgress = (line: number) => 0x8000_0000 + line;

/** The entry of `mux_hops` that an end needs; undefined where it does without. */
export function hopOf(end: End, mac: (of: HopMac | undefined) => string, egress: number): string | undefined {
  const { hop } = end;
  if (hop === undefined && !isWide(end)) return undefined;
  const routed = hop?.hold !== undefined;
  return hopEntry.encode({
    local: padded(end.local),
    remote: padded(end.remote),
    dmac: mac(hop?.dmac),
    smac: mac(hop?.smac),
    egress: routed ? 0 : egress,
    resolved: 0,
    valid: routed ? 0 : STATIC,
    hold: hop?.hold ?? STATIC,
    family: isWide(end) ? 10 : 2,
  });
}

/** The entry of `mux_more`, likewise. */
export function moreOf({ inner }: End): string | undefined {
  if (inner === undefined) return undefined;
  const { dmac = NO_MAC, smac = NO_MAC, options = "" } = inner;
  return moreEntry.encode({
    dmac,
    smac,
    optionsLength: options.length / 2,
    options: options.padEnd(128, "0"),
  });
}

/** The MAC address of a hop, from the links' own where it names one. */
export const macOf = (numbers: Numbers, others: Tunnels["others"]) => (of: HopMac | undefined) =>
  of === undefined ? NO_MAC : typeof of === "string" ? of : (numberOfLink(numbers, of, others).mac ?? NO_MAC);

/** Where an end's line and what it refers to are. */
export interface Place {
  readonly line: number;
  readonly hop: number;
  readonly more: number;
}

/** The line of an end with the key that leads to it, or without one. */
export function lineOf(
  end: End,
  key: Extract<Key, { by: "slot" }> | undefined,
  table: number,
  place: Place,
): string {
  const wide = isWide(end);
  const flags: Flag[] = [
    ...(end.flags as Flag[]),
    ...(wide ? (["v6"] as const) : []),
    ...(end.inner?.options === undefined ? [] : (["options"] as const)),
  ];
  return endLine.encode({
    a: key?.a ?? "00".repeat(4),
    b: key?.b ?? "00".repeat(4),
    scope: key === undefined ? 0 : scopeWord(key.scope, table),
    flags: flags.reduce((sum, flag) => sum | (1 << FLAGS[flag]), 0),
    protocol: PROTOCOLS[end.protocol],
    ttl: end.ttl,
    vni: end.vni,
    sport: end.sourcePort,
    dport: end.destinationPort,
    local: wide ? "0.0.0.0" : (end.local ?? "0.0.0.0"),
    remote: wide ? "0.0.0.0" : (end.remote ?? "0.0.0.0"),
    mtu: end.mtu,
    tos: end.tos,
    hop: place.hop,
    egress: end.egress === undefined ? 0 : ownEgress(place.line),
    more: place.more,
  });
}

/** What an interface does, from the keys that are looked for there. */
export function portOf(
  spec: Tunnels,
  link: string,
  index: number,
  keys: readonly { readonly key: Key; readonly isPop: boolean }[],
  all: number,
): string {
  const { address4, address6, genevePort, vxlanPort, fillChecksums, askHost } = spec.links[link] ?? {};
  let flags = 0;
  for (const { key, isPop } of keys) {
    if (key.by !== "slot") flags |= PORT_FLAGS[key.by];
    else if (isPop) flags |= PORT_FLAGS.pop;
    else flags |= key.scope === 1 ? PORT_FLAGS.host : PORT_FLAGS.pair;
  }
  if (fillChecksums === true) flags |= PORT_FLAGS.fill;
  if (askHost === true) flags |= PORT_FLAGS.ask;
  return portEntry.encode({
    ifindex: index,
    flags,
    table: index & 0xff_ffff,
    end: all,
    mask4: tableSize(spec.capacity) - 1,
    mask6: tableSize(spec.capacity) - 1,
    stride: 0,
    cpus: 0,
    genevePort: genevePort ?? 6081,
    vxlanPort: vxlanPort ?? 4789,
    address4: address4 ?? "0.0.0.0",
    address6: address6 ?? "::",
    seed: seedOf(index & 0xff_ffff),
  });
}
