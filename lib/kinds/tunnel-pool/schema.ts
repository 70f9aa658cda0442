import { z } from "zod";
import { defined } from "../found";
import {
  canonicalCidr,
  familyOf,
  interfaceName,
  ip,
  netnsName,
  prefix,
  safeName,
  text,
  u32,
  whole,
} from "../schemas";
import { recordError } from "../records";

/** Nexthop ids are the host's: ours begin far above those that people and routing daemons give out by hand. */
const FIRST_NEXTHOP = 0x10_0000;

/** The largest number of a tunnel: two nexthop ids and sixteen filter handles for each fit 32 bits. */
export const MOST_TUNNELS = 1_000_000;

/** Filters of one tunnel and family share the upper bits of their handles. */
export const MOST_PREFIXES = 16;

const tunnelNumber = text((value) =>
  /^[1-9]\d{0,6}$/.test(value) && Number(value) <= MOST_TUNNELS
    ? undefined
    : `must be the number of a tunnel, from 1 to ${MOST_TUNNELS}`,
);

const withLength = (value: string) =>
  value.includes("/") || familyOf(value) === undefined
    ? value
    : `${value}/${familyOf(value) === 6 ? 128 : 32}`;

/** A network, or one address, which is a network of full length. */
const network = text(
  (value) => prefix.safeParse(withLength(value)).error?.issues[0]?.message,
  (value) => canonicalCidr(withLength(value)),
);

const tunnel = z.strictObject({
  remote: ip.describe("The other end's address, to which outer packets go and from which they must come."),
  key: u32.optional().describe("GRE key of both directions (RFC 2890). Default: the tunnel's number."),
  addresses: z
    .array(ip, { error: "must be a list of addresses" })
    .overwrite((items) => [...new Set(items)].sort())
    .optional()
    .describe("Own addresses at this end of the tunnel: what is sent to them is taken in here."),
  prefixes: z
    .array(network, { error: "must be a list of networks" })
    .min(1, "must hold at least the other end's address")
    .max(MOST_PREFIXES, `holds more than ${MOST_PREFIXES} networks, which is the most for one tunnel`)
    .overwrite((items) => [...new Set(items)].sort())
    .describe(
      "Networks and addresses that are reached through the tunnel, and from which alone packets may come.",
    ),
});

/** One tunnel of a pool. */
export type Tunnel = z.output<typeof tunnel>;

/** The spec of a pool, or of one shard of a pool. */
export const schema = z.strictObject({
  netns: netnsName.optional().describe("Network namespace of the device. Default: the host's initial one."),
  name: safeName.describe("Names the pool in its id; it does not show up on the host."),
  device: interfaceName.describe(
    "Link of type gre (or vxlan) with `external`, that carries the tunnels over IPv4.",
  ),
  device6: interfaceName
    .optional()
    .describe("Link of type ip6gre with `external`, that carries the tunnels over IPv6."),
  local: ip
    .optional()
    .describe("Source address of outer IPv4 packets. Default: the one that fits the route."),
  local6: ip
    .optional()
    .describe("Source address of outer IPv6 packets. Default: the one that fits the route."),
  ttl: whole(1, 255).default(64).describe("Hop limit of the outer packets, 1 to 255."),
  checksum: z.boolean().default(false).describe("GRE checksums in what is sent (RFC 2784), 4 bytes."),
  checkSource: z
    .boolean()
    .default(true)
    .describe(
      "Lets in only packets that come from the tunnel's own remote end, with its key, and from its own prefixes " +
        "(tc-flower(8)); all others are dropped and counted by the last filter of the device's ingress. All pools of " +
        "one device check or none does: a pool that does not leaves a device that another has closed as it is.",
    ),
  firstNexthop: whole(1, 0xf000_0000)
    .default(FIRST_NEXTHOP)
    .describe("Nexthop ids begin here: tunnel N has this plus 2N, and for IPv6 inside one more."),
  tunnels: z
    .record(tunnelNumber, tunnel, { error: recordError("must be tunnels by their numbers") })
    .overwrite((tunnels) =>
      Object.fromEntries(
        Object.entries(tunnels).map(([number, one]) => [
          number,
          defined({ ...one, key: one.key === Number(number) ? undefined : one.key }),
        ]),
      ),
    )
    .describe("The tunnels by number. Other pools on the same device have other numbers."),
});

/** A pool in its canonical form. */
export type TunnelPoolSpec = z.output<typeof schema>;

/** A pool as a program may write it. */
export type TunnelPoolInput = z.input<typeof schema>;

/** A tunnel as it is found: one that is not whole, or not as it is wanted, lists its parts. */
export interface FoundTunnel extends Tunnel {
  /** What there is of it (`nexthop 1048578`), with the words that would make it so; none for what we would not make. */
  readonly found?: Readonly<Record<string, string>>;
}
