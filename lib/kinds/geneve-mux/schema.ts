import { z } from "zod";
import { recordError } from "../records";
import { pinName, version } from "../bpf/names";
import * as s from "../schemas";
import { keyProblem } from "./keys";
import { FLAGS, PROTOCOLS, type Flag, type Protocol } from "./layout";

const linkMac = z.union([s.mac, z.strictObject({ netns: s.netnsName.optional(), link: s.interfaceName })], {
  error: "must be a MAC address, or { netns, link } of the link whose it is",
});

/** What the program finds out by itself or from elsewhere is no word of the user's. */
const DERIVED: ReadonlySet<string> = new Set(["v6", "options"]);
const flags = (Object.keys(FLAGS) as Flag[]).filter((flag) => !DERIVED.has(flag)) as [Flag, ...Flag[]];

const hop = z.strictObject({
  hold: s.u32
    .optional()
    .describe("Asks the routing table, and keeps the answer for so many jiffies, instead of what follows."),
  link: s.interfaceName.optional(),
  dmac: linkMac.optional(),
  smac: linkMac.optional(),
});

const inner = z.strictObject({
  dmac: s.mac.optional(),
  smac: s.mac.optional(),
  options: s
    .text((digits) =>
      /^([0-9a-f]{8}){1,16}$/.test(digits)
        ? undefined
        : "must be 4 to 64 bytes of options in hexadecimal digits",
    )
    .optional(),
});

/** One end of a tunnel: what pushes its headers, or what pops them. */
export const endSchema = z.strictObject(
  {
    link: s.interfaceName.describe("The interface where its packets come in."),
    keys: s
      .set(s.text(keyProblem))
      .describe(
        "What it is found by: `all`, `prefix 10.0.0.0/24`, `host …`, `pair … …`, `geneve 7 192.0.2.1`.",
      ),
    direction: z.enum(["push", "pop"], { error: 'must be "push" or "pop"' }),
    protocol: z.enum(Object.keys(PROTOCOLS) as [Protocol, ...Protocol[]], {
      error: `must be one of ${Object.keys(PROTOCOLS).join(", ")}`,
    }),
    flags: s.set(z.enum(flags, { error: `must be among ${flags.join(", ")}` }) as unknown as z.ZodString),
    vni: s.u32.default(0).describe("VNI, GRE key, or tags: the outer TCI times 65536 plus the inner one."),
    ttl: s.whole(0, 255).default(0).describe("TTL of the outer packet; 0 for the inner one's."),
    tos: s.whole(0, 252).default(0).describe("DSCP times 4, with the flag `dscp`."),
    mtu: s.whole(0, 65535).default(0).describe("Largest outer packet; 0 for no check."),
    sourcePort: s.whole(0, 65535).default(0).describe("UDP source port; 0 for a hash of the inner flow."),
    destinationPort: s.whole(0, 65535).default(0).describe("UDP destination port."),
    local: s.ip.optional().describe("push: source of the outer packet."),
    remote: s.ip.optional().describe("push: its destination; pop: the source that it must have."),
    sources: s.set(s.prefix).default([]).describe("pop: more networks that outer sources may be in."),
    hop: hop.optional().describe("Where frames go next, and by which addresses."),
    egress: s.interfaceName.optional().describe("pop, and tags: the interface that frames leave by."),
    inner: inner.optional().describe("push: what is written into the inner frame, and Geneve options."),
  },
  { error: (issue) => (issue.code === "invalid_type" ? "must be an end of a tunnel" : undefined) },
);

const portSchema = z.strictObject({
  address4: s.ipv4.optional().describe("Source of ICMP errors; the inner destination when absent."),
  address6: s.ipv6.optional(),
  genevePort: s.port.default(6081),
  vxlanPort: s.port.default(4789),
  fillChecksums: z
    .boolean()
    .default(false)
    .describe(
      "Completes TCP and UDP checksums that a local sender has left to its NIC (a veth's other end).",
    ),
  askHost: z
    .boolean()
    .default(false)
    .describe("Hands packets to the host's own stack while it does not know the next hop's MAC address."),
});

/** The tunnels of a GeneveMux. */
export const tunnelsSchema = z.strictObject({
  program: pinName.describe("Name of the Program whose maps they are in."),
  version: version
    .optional()
    .describe("The Program's version: when it changes, the maps are looked at again, which may be new ones."),
  capacity: s
    .whole(16, 1_048_576)
    .refine((size) => (size & (size - 1)) === 0, "must be a power of two")
    .describe("What the maps were built for, a power of two: so many ends, and so many keys."),
  links: z
    .record(s.interfaceName, portSchema, { error: recordError("must be an object of settings by interface") })
    .describe("Settings of the interfaces where packets come in."),
  ends: z
    .record(s.safeName, endSchema, { error: recordError("must be an object of ends by name") })
    .describe("Ends of tunnels, by name."),
  numbers: z
    .record(z.string(), z.strictObject({ index: z.number(), mac: z.string().optional() }))
    .optional()
    .describe("Reported, not set: interface numbers and MAC addresses of the links that are named."),
  others: z
    .record(z.string(), z.array(z.string()))
    .optional()
    .describe("Reported, not set: the links that are there, by namespace, where one that is named is not."),
  tables: z
    .record(z.string(), z.record(z.string(), z.string()))
    .optional()
    .describe("Reported, not set: what is in the maps, in hexadecimal digits."),
});

/** The tunnels of a GeneveMux, in canonical form. */
export type Tunnels = z.output<typeof tunnelsSchema>;
/** One end of a tunnel. */
export type End = z.output<typeof endSchema>;
/** MAC address of a hop: as it is, or that of a link. */
export type HopMac = z.output<typeof linkMac>;

/** How a link is named among the numbers. */
export const linkId = ({ netns, link }: { readonly netns?: string; readonly link: string }) =>
  netns === undefined ? link : `${netns}/${link}`;

/** Every link that an end names, each once. */
export function linksOf({ ends = {}, links = {} }: Pick<Tunnels, "ends" | "links">) {
  const named = Object.values(ends).flatMap((end) => [
    { link: end.link },
    ...(end.egress === undefined ? [] : [{ link: end.egress }]),
    ...(end.hop?.link === undefined ? [] : [{ link: end.hop.link }]),
    ...[end.hop?.dmac, end.hop?.smac].flatMap((mac) => (typeof mac === "object" ? [mac] : [])),
  ]);
  const all = [...Object.keys(links).map((link) => ({ link })), ...named];
  return [...new Map(all.map((link) => [linkId(link), link])).values()] as readonly {
    readonly netns?: string;
    readonly link: string;
  }[];
}
