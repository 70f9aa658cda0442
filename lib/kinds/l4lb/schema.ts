import { z } from "zod";
import { pinName, version } from "../bpf/names";
import { recordError } from "../records";
import * as s from "../schemas";

/** How a new flow finds its backend. */
export const POLICIES = [
  "round-robin",
  "weighted",
  "maglev",
  "least-flows",
  "least-bytes",
  "least-load",
  "legacy",
] as const;

/** The port of an endpoint: 0 is every port that has no service of its own. */
const ENDPOINT = /^(tcp|udp) (?:(\d+\.\d+\.\d+\.\d+)|\[([0-9a-f:.]+)\]):(\d{1,5})$/;

/** What a service is known by. */
export interface Endpoint {
  readonly protocol: "tcp" | "udp";
  readonly vip: string;
  readonly port: number;
}

/** `tcp 192.0.2.1:80`, `udp [2001:db8::1]:53`. */
export function formatEndpoint({ protocol, vip, port }: Endpoint): string {
  return `${protocol} ${vip.includes(":") ? `[${vip}]` : vip}:${port}`;
}

/** The parts of an endpoint; undefined for text that is none. */
export function parseEndpoint(text: string): Endpoint | undefined {
  const [, protocol, v4, v6, digits = ""] = ENDPOINT.exec(text) ?? [];
  const vip = v4 ?? v6;
  const port = Number(digits);
  if (vip === undefined || s.familyOf(vip) === undefined || port > 65535) return undefined;
  const endpoint = { protocol: protocol as "tcp" | "udp", vip: s.canonicalAddress(vip), port };
  return formatEndpoint(endpoint) === text ? endpoint : undefined;
}

const endpoint = s.text((value) =>
  parseEndpoint(value) === undefined
    ? `${s.quoted(value)} is no service such as "tcp 192.0.2.1:80" or "udp [2001:db8::1]:53"`
    : undefined,
);

const forward = z.strictObject({
  form: z
    .enum(["ipip", "gue", "mac"], { error: "must be ipip, gue or mac" })
    .describe("`ipip`: any IP in any IP; `gue`: in UDP; `mac`: as it came, with another MAC address."),
  source: z
    .enum(["client", "flow", "own"], { error: "must be client, flow or own" })
    .default("client")
    .describe(
      "Outer source: the client's address, `address` with its last 16 (IPv6: 32) bits by flow, or `address`.",
    ),
  address: s.ip.optional().describe("Outer source address, of the backends' family."),
  next: z
    .enum(["route", "back", "mac"], { error: "must be route, back or mac" })
    .default("route")
    .describe("Next hop: by the routing table, the MAC that the packet came from, or the backend's `mac`."),
  port: s.port.optional().describe("gue: destination port. @default 6080"),
  direct: z.boolean().optional().describe("gue: version 1, the packet right behind the UDP header."),
  noChecksum: z.boolean().optional().describe("gue over IPv6: without a UDP checksum (RFC 6935)."),
  mtu: s.whole(576, 65535).optional().describe("Largest packet as it leaves. @default not checked"),
  ttl: s.whole(1, 255).optional().describe("Outer TTL or hop limit. @default 64"),
  dscp: s.whole(0, 63).optional().describe("Outer DSCP. @default the inner one's"),
});

const backend = z.strictObject({
  weight: s.whole(1, 256).default(1).describe("Its share of new flows, in proportion to the others'."),
  state: z
    .enum(["up", "draining", "down"], { error: "must be up, draining or down" })
    .default("up")
    .describe("draining keeps its flows and gets no new ones; down gets nothing."),
  mac: s.mac.optional().describe("Its link-layer address, where `next` is mac."),
  forward: forward.optional().describe("How packets get to this one. @default the service's"),
});

const service = z.strictObject({
  policy: z.enum(POLICIES, { error: `must be one of ${POLICIES.join(", ")}` }).default("least-load"),
  forward: forward.describe("How packets get to the backends."),
  backends: z
    .record(s.ip, backend, { error: recordError("must be an object of backends by address") })
    .refine((backends) => Object.keys(backends).length > 0, "has no backend: name at least one")
    .overwrite((backends) => sorted(backends)),
  ring: z
    .string()
    .optional()
    .describe("Reported, not set: `altered` when its table is not what it should be."),
});

const seconds = s.whole(1, 604_800).optional();

export const schema = z.strictObject({
  program: pinName.describe("Name of the Program that has the maps."),
  version: version
    .optional()
    .describe("The Program's version: when it changes, the maps are looked at again, which may be new ones."),
  netns: s.netnsName
    .optional()
    .describe("Namespace that the program runs in: none of its own addresses can be a virtual one."),
  services: z
    .record(endpoint, service, { error: recordError("must be an object of services by endpoint") })
    .refine((services) => Object.keys(services).length > 0, "names no service")
    .overwrite((services) => sorted(services))
    .describe(
      'Services by protocol, virtual address and port: `"tcp 192.0.2.1:80"`; port 0 is any other port.',
    ),
  echo: z.boolean().default(true).describe("Whether echo requests to a virtual address are answered."),
  timeouts: z
    .strictObject({
      tcpNew: seconds,
      tcp: seconds,
      tcpClosing: seconds,
      udpNew: seconds,
      udp: seconds,
      fragment: seconds,
    })
    .default({})
    .describe("Seconds of idleness after which a flow ends. @default 10, 3600, 60, 10, 60, 10"),
  decay: s.whole(1, 3600).default(5).describe("least-bytes: seconds until a byte counts a third (1/e)."),
  hold: s
    .whole(10, 240_000)
    .default(1000)
    .describe("Milliseconds that an answer of the routing table is kept."),
  capacity: z
    .strictObject({
      services: s.whole(1, 65_535).describe("Most services."),
      backends: s.whole(1, 8191).describe("Most backends of all services together."),
      ringLines: s.whole(1, 1 << 20).describe("Lines of 32 entries for the tables of all services."),
    })
    .describe("How much the program was built for."),
  tables: z
    .strictObject({
      capacity: z.strictObject({ services: z.number(), backends: z.number(), ringLines: z.number() }),
      control: z.string(),
      services: z.record(z.string(), z.string()),
      backends: z.record(z.string(), z.string()),
      vips: z.record(z.string(), z.number()),
      rings: z.record(z.string(), z.string()),
    })
    .meta({ secret: true })
    .optional()
    .describe("Reported, not set: what is in the maps, by index."),
});

function sorted<T>(record: Record<string, T>): Record<string, T> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}

export type Spec = z.output<typeof schema>;
export type Service = Spec["services"][string];
export type Backend = Service["backends"][string];
export type Forward = Service["forward"];
/** What is in the maps, by index, as hexadecimal digits; of those that are in use. */
export type Tables = NonNullable<Spec["tables"]>;
