import { OUR_PROTOCOL } from "../routes/schema";
import { familyOf } from "../schemas";
import type { Tunnel, TunnelPoolSpec } from "./schema";

/**
 * What one tunnel is made of on the host: a nexthop with the encapsulation for each family inside, a route to it for
 * each prefix, a route that takes in its own addresses, and a filter for each prefix that lets its packets in.
 */
export interface Part {
  /** What it is and what names it: `nexthop 1048578`; enough to delete it. */
  readonly id: string;
  readonly tool: "ip" | "tc";
  /** `ip -6`, which alone makes a nexthop of IPv6. */
  readonly family?: 6;
  /** The words that make it so, whether it is there or not. */
  readonly words: readonly string[];
}

/** What parts are made from: a whole spec without the tunnels. */
export type Pool = Omit<TunnelPoolSpec, "tunnels">;

const MAIN = "254";
const PROTOCOL = String(OUR_PROTOCOL);

/** Preferences of our filters: those that let in, by inner protocol, and the last, which drops. */
export const FILTER_PREFERENCES = { ip: 10, ipv6: 11, last: 100 } as const;

/** Bits of a filter's handle below the tunnel's number. */
const HANDLE_BITS = 4;

/** The nexthop of a tunnel for one family inside. */
export const nexthopId = (
  { firstNexthop }: Pick<Pool, "firstNexthop">,
  number: number,
  family: 4 | 6,
): number => firstNexthop + 2 * number + (family === 6 ? 1 : 0);

/** The tunnel that a filter belongs to, by its handle. */
export const numberOfHandle = (handle: number): number => Math.floor(handle / 2 ** HANDLE_BITS);

/** What an encapsulating nexthop says. */
export interface Nexthop {
  readonly id: number;
  /** Family of the packets inside. */
  readonly family: 4 | 6;
  readonly remote: string;
  readonly local?: string;
  readonly key: number;
  readonly ttl: number;
  readonly checksum: boolean;
  readonly device: string;
}

/** A nexthop that sends through a tunnel (ip-nexthop(8), ip-route(8) ENCAP_IP and ENCAP_IP6). */
export function nexthopPart({ id, family, remote, local, key, ttl, checksum, device }: Nexthop): Part {
  const v6 = familyOf(remote) === 6;
  return {
    id: `nexthop ${id}`,
    tool: "ip",
    ...(family === 6 && { family }),
    words: [
      ...["nexthop", "replace", "id", String(id), "encap", v6 ? "ip6" : "ip", "id", String(key)],
      ...(local === undefined ? [] : ["src", local]),
      ...["dst", remote, v6 ? "hoplimit" : "ttl", String(ttl), "key", ...(checksum ? ["csum"] : [])],
      ...["dev", device, "protocol", PROTOCOL],
    ],
  };
}

/** The route that leads a network into a tunnel. */
export function routePart(network: string, nexthop: number): Part {
  return {
    id: `route ${network} ${nexthop}`,
    tool: "ip",
    words: ["route", "replace", network, "nhid", String(nexthop), "proto", PROTOCOL],
  };
}

/**
 * The route that takes in what is sent to an own address. It is in the main table and not an address of the device:
 * thousands of those make each other slow (a list, in net/ipv4/devinet.c).
 */
export function ownAddressPart(address: string, device: string): Part {
  return {
    id: `local ${address} ${device}`,
    tool: "ip",
    words: ["route", "replace", "local", address, "dev", device, "table", MAIN, "proto", PROTOCOL],
  };
}

/** What a filter lets in. */
export interface Filter {
  readonly device: string;
  readonly handle: number;
  readonly key: number;
  readonly remote: string;
  readonly network: string;
}

/** The protocol of what is inside, as tc calls it. */
const innerProtocol = (network: string) => (familyOf(network) === 6 ? "ipv6" : "ip");

/** The filter that lets in packets of one network from one tunnel (tc-flower(8)). */
export function filterPart({ device, handle, key, remote, network }: Filter): Part {
  const protocol = innerProtocol(network);
  const at = ["dev", device, "ingress", "protocol", protocol, "pref", String(FILTER_PREFERENCES[protocol])];
  return {
    id: `filter ${device} ${protocol} ${handle}`,
    tool: "tc",
    words: [
      ...["filter", "replace", ...at, "handle", `0x${handle.toString(16)}`, "flower"],
      ...["enc_key_id", String(key), "enc_src_ip", remote, "src_ip", network, "action", "ok"],
    ],
  };
}

/** The last filter of a device: whatever no other let in. */
export function lastFilterWords(device: string, action: "drop" | "ok"): readonly string[] {
  const at = ["dev", device, "ingress", "protocol", "all", "pref", String(FILTER_PREFERENCES.last)];
  return ["filter", "replace", ...at, "handle", "0x1", "flower", "action", action];
}

/** The words that delete a part, by its id. */
export function deletion(id: string): Pick<Part, "tool" | "words"> {
  const [what = "", one = "", two = "", three = ""] = id.split(" ");
  switch (what) {
    case "nexthop":
      return { tool: "ip", words: ["nexthop", "del", "id", one] };
    case "route":
      return { tool: "ip", words: ["route", "del", one, "nhid", two, "proto", PROTOCOL] };
    case "local":
      return {
        tool: "ip",
        words: ["route", "del", "local", one, "dev", two, "table", MAIN, "proto", PROTOCOL],
      };
    default: {
      const pref = String(two === "ipv6" ? FILTER_PREFERENCES.ipv6 : FILTER_PREFERENCES.ip);
      const at = ["dev", one, "ingress", "protocol", two, "pref", pref];
      return {
        tool: "tc",
        words: ["filter", "del", ...at, "handle", `0x${Number(three).toString(16)}`, "flower"],
      };
    }
  }
}

/** The device that carries a tunnel, by the family of its outer packets. */
export const deviceFor = ({ device, device6 }: Pick<Pool, "device" | "device6">, remote: string): string =>
  familyOf(remote) === 6 ? (device6 ?? device) : device;

/** All parts of a tunnel as they are to be, in the order in which they can be made. */
export function partsOf(pool: Pool, number: number, tunnel: Tunnel): readonly Part[] {
  const { ttl, checksum, checkSource } = pool;
  const { remote, key = number, addresses = [], prefixes } = tunnel;
  const device = deviceFor(pool, remote);
  const local = familyOf(remote) === 6 ? pool.local6 : pool.local;
  const families = ([4, 6] as const).filter((family) => prefixes.some((one) => familyOf(one) === family));
  const parts: Part[] = families.map((family) =>
    nexthopPart({
      id: nexthopId(pool, number, family),
      family,
      remote,
      ...(local !== undefined && { local }),
      key,
      ttl,
      checksum,
      device,
    }),
  );
  for (const network of prefixes)
    parts.push(routePart(network, nexthopId(pool, number, familyOf(network) ?? 4)));
  for (const address of addresses) parts.push(ownAddressPart(address, device));
  if (!checkSource) return parts;
  prefixes.forEach((network, index) => {
    parts.push(filterPart({ device, handle: number * 2 ** HANDLE_BITS + index, key, remote, network }));
  });
  return parts;
}
