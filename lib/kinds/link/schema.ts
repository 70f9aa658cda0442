import { z } from "zod";
import * as s from "../schemas";

/** The kinds of link: `ip link add … type KIND` (ip-link(8)), and `physical` for one that is there already. */
export const linkKinds = [
  "veth",
  "bridge",
  "dummy",
  "ifb",
  "gre",
  "gretap",
  "ip6gre",
  "ip6gretap",
  "ipip",
  "sit",
  "geneve",
  "vxlan",
  "vlan",
  "physical",
] as const;

/** What sort of link it is. */
export type LinkKind = (typeof linkKinds)[number];

const none = (what: string, range: z.ZodNumber) =>
  z.union([range, z.literal("none")], { error: `must be ${what}, or "none"` });

const key = () => none("a whole number from 0 to 4294967295", s.u32);

const endpoint = () =>
  s.text(
    (value) =>
      value === "any" || s.familyOf(value) !== undefined ? undefined : `${s.quoted(value)} is no IP address`,
    (value) => (["0.0.0.0", "::"].includes(s.canonicalAddress(value)) ? "any" : s.canonicalAddress(value)),
  );

const master = () => s.text((value) => (value === "" ? undefined : s.interfaceNameProblem(value)));

const settingName = s.text((name) =>
  /^(ipv4|ipv6)\/(neigh\/)?[a-z0-9_]+$|^mpls\/[a-z0-9_]+$/.test(name)
    ? undefined
    : `${s.quoted(name)} is no setting of a link: write "ipv4/rp_filter", "ipv6/neigh/gc_stale_time" or "mpls/input"`,
);

const sysctls = () =>
  z.record(settingName, s.sysctlValue, {
    error: (issue) =>
      issue.code === "invalid_key" ? issue.issues[0]?.message : "must be values of settings by their names",
  });

const sysctlsDoc =
  "Kernel settings of this link by their name below net/<family>/conf/<link> (`ipv4/rp_filter`), or below " +
  "net/<family>/neigh/<link> (`ipv4/neigh/gc_stale_time`). A setting that is taken out keeps its value on a link " +
  "that we made.";

const mtuDoc =
  "MTU in bytes, 68 to 65535. IPv6 needs 1280: a link that is smaller gets them when it has IPv6 addresses and no " +
  "MTU is given.";

const addressesDoc =
  "Addresses with prefix length, in any order. All static ones of global scope: others are removed. What the " +
  "kernel adds by itself (fe80::/10, SLAAC) is left alone unless it is listed. Not looked at when absent.";

/** The other end of a veth pair. */
const peer = z.strictObject(
  {
    netns: s.netnsName.optional().describe("Namespace of the other end; the host's initial one when absent."),
    name: s.interfaceName.describe("Name of the other end, 1 to 15 bytes."),
    mtu: s.mtu.optional().describe(mtuDoc),
    up: z.boolean().default(true).describe("Whether the other end is up."),
    addresses: s.set(s.cidr).optional().describe(addressesDoc),
    mac: s.mac.optional().describe("Link-layer address of the other end."),
    master: master().optional().describe('Bridge that the other end is a port of; "" for none.'),
    sysctls: sysctls().optional().describe(sysctlsDoc),
  },
  { error: (issue) => (issue.code === "invalid_type" ? "must be an end of a veth pair" : undefined) },
);

const encap = z.strictObject({
  type: z.enum(["fou", "gue", "none"], { error: 'must be "fou", "gue" or "none"' }),
  sourcePort: z
    .union([s.port, z.literal("auto")], { error: 'must be a port from 1 to 65535, or "auto"' })
    .default("auto"),
  destinationPort: s.port.optional(),
  checksum: z.boolean().default(false),
});

/** One link of any kind, with its addresses. */
export const linkSchema = z.strictObject({
  netns: s.netnsName.optional().describe("Namespace of the link; the host's initial one when absent."),
  name: s.interfaceName.describe("Name of the link, 1 to 15 bytes (IFNAMSIZ)."),
  kind: z
    .enum(linkKinds, { error: `must be one of ${linkKinds.join(", ")}` })
    .describe(
      "`ip link`'s type; `physical` is a link that is there already, which is configured and never made.",
    ),
  mtu: s.mtu.optional().describe(mtuDoc),
  up: z.boolean().default(true).describe("Whether the link is up."),
  addresses: s.set(s.cidr).optional().describe(addressesDoc),
  mac: s.mac.optional().describe("Link-layer address; kinds that carry Ethernet frames only."),
  master: master().optional().describe('Bridge that the link is a port of; "" for none.'),
  txQueueLength: s.u32.optional().describe("Length of the transmit queue in packets (`txqueuelen`)."),
  sysctls: sysctls().optional().describe(sysctlsDoc),

  peer: peer.optional().describe("veth: the other end."),
  index: s
    .whole(1, 0x7fff_ffff)
    .optional()
    .describe("veth: interface number of this end, 1 to 2147483647. Default: the kernel picks one."),
  rxQueues: s.whole(1, 4096).optional().describe("veth: receive queues of each end, 1 to 4096."),
  txQueues: s.whole(1, 4096).optional().describe("veth: transmit queues of each end, 1 to 4096."),

  local: endpoint()
    .optional()
    .describe('Tunnels and vxlan: own address of the outer packets; "any" for whichever fits the route.'),
  remote: endpoint()
    .optional()
    .describe(
      'Tunnels, geneve, vxlan: the other end\'s address; "any" for many. vxlan takes a multicast group too.',
    ),
  key: key()
    .optional()
    .describe("gre: key of both directions, 0 to 4294967295 (RFC 2890). It hides nothing."),
  inputKey: key().optional().describe("gre: key that packets must come with, where the directions differ."),
  outputKey: key().optional().describe("gre: key that packets are sent with, where the directions differ."),
  checksum: z.boolean().optional().describe("gre: checksums in both directions (RFC 2784), 4 bytes."),
  sequence: z
    .boolean()
    .optional()
    .describe("gre: sequence numbers in both directions (RFC 2890), 4 bytes; late packets are dropped."),
  ttl: z
    .union([s.whole(1, 255), z.literal("inherit"), z.literal("auto")], {
      error: 'must be a whole number from 1 to 255, "inherit" or (geneve, vxlan) "auto"',
    })
    .optional()
    .describe(
      'Hop limit of the outer packets: 1 to 255, "inherit" from the inner one, or (geneve, vxlan) "auto" for the ' +
        "route's. Kept as it is when taken out.",
    ),
  tos: z
    .union(
      [
        s.whole(0, 254).multipleOf(2, { error: 'must be even: the kernel takes an odd one for "inherit"' }),
        z.literal("inherit"),
      ],
      { error: 'must be an even number from 0 to 254, or "inherit"' },
    )
    .optional()
    .describe('Traffic class of the outer packets, even, 0 to 254; or "inherit" from the inner ones.'),
  pathMtuDiscovery: z
    .boolean()
    .optional()
    .describe("IPv4 tunnels: Don't Fragment on the outer packets. ipip and sit need it with a fixed ttl."),
  encapLimit: none("a whole number from 0 to 255", s.whole(0, 255))
    .optional()
    .describe(
      "ip6gre: tunnel encapsulation limit (RFC 2473), 8 bytes; many routers drop packets that have one.",
    ),
  encap: encap
    .optional()
    .describe(
      "Tunnels: UDP around the outer packet (ip-fou(8)); `fou` adds 8 bytes, `gue` 12. The receiving side needs `ip " +
        "fou add` for the destination port. `sourcePort: auto` spreads flows.",
    ),
  external: z
    .boolean()
    .optional()
    .describe(
      "Tunnels, geneve, vxlan: ends and key come with each packet (routes with `encap ip`, tc, BPF).",
    ),
  link: s.interfaceName
    .optional()
    .describe(
      "The link below, in the same namespace: vlan's parent; where a tunnel's outer packets must leave.",
    ),
  linkNetns: z
    .union([s.netnsName, z.literal("")], { error: 'must be a namespace, or "" for the initial one' })
    .optional()
    .describe(
      "Tunnels: namespace that the outer packets travel in, where it is not the link's own; \"\" for the host's " +
        "initial one. The link is made there and sent to its own namespace (`link-netns` of ip-link(8)).",
    ),
  vni: s.whole(0, 0xff_ffff).optional().describe("geneve, vxlan: virtual network identifier, 0 to 16777215."),
  port: s.port.optional().describe("geneve, vxlan: UDP destination port; 6081 and 4789 when absent."),
  learning: z.boolean().optional().describe("vxlan: learn which end a MAC address is behind."),
  vlanId: s.whole(1, 4094).optional().describe("vlan: identifier of the VLAN, 1 to 4094."),
  protocol: z
    .enum(["802.1Q", "802.1ad"], { error: 'must be "802.1Q" or "802.1ad"' })
    .optional()
    .describe("vlan: tag protocol; 802.1Q when absent."),
  stp: z.boolean().optional().describe("bridge: spanning tree (the kernel's own STP)."),
  vlanFiltering: z.boolean().optional().describe("bridge: keep VLANs apart."),
  forwardDelay: s
    .whole(0, 3000)
    .optional()
    .describe("bridge: forward delay in hundredths of a second; 200 to 3000 with stp."),
  ageingTime: s
    .whole(0, 100_000_000)
    .optional()
    .describe("bridge: how long a MAC address is remembered, in hundredths of a second."),
  priority: s
    .whole(0, 65535)
    .optional()
    .describe("bridge: priority in the spanning tree, the lowest is root."),
  multicastSnooping: z.boolean().optional().describe("bridge: send multicast only where it is asked for."),
});

/** A link as it is wanted, in canonical form. */
export type LinkSpec = z.output<typeof linkSchema>;

/** A link as a program may write it. */
export type LinkInput = z.input<typeof linkSchema>;

/** A link as far as it is named, or as far as it could be read. */
export type PartialLink = Partial<LinkSpec>;

/** The other end of a veth pair. */
export type PeerSpec = NonNullable<LinkSpec["peer"]>;

/** What both ends of a veth pair, and every other link, have. */
export type EndSpec = Partial<
  Pick<LinkSpec, "mtu" | "up" | "addresses" | "mac" | "master" | "txQueueLength" | "sysctls">
>;

/** UDP around an outer packet. */
export type Encap = z.output<typeof encap>;

/** No UDP around the outer packet, as the schema puts it. */
export const noEncap: Encap = { type: "none", sourcePort: "auto", checksum: false };
