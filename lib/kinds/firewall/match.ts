import { z } from "zod";
import { defined } from "../found";
import { ipProtocol, portRange, ports, writePorts, type ProtocolName } from "../protocols";
import { familyOf, interfaceName, ip, prefix, text } from "../schemas";
import { canonicalPrefixes, mergedRanges } from "./sets";

/** States of a connection in the kernel's order of bits (nf_conntrack). */
export const CONNECTION_STATES = ["invalid", "established", "related", "new", "untracked"] as const;

/** Protocols whose packets have ports. */
export const PORT_PROTOCOLS = ["tcp", "udp", "sctp", "dccp", "udplite"] as const;

/** One value or several, a list on the way out. */
function oneOrMany<T>(item: z.ZodType<T, T>, what: string, canonical: (items: readonly T[]) => T[]) {
  const list = z.array(item).min(1, `holds no ${what}: leave it out`);
  return z
    .union([item, list], { error: `must be ${what}, or a list of them` })
    .overwrite((value) => canonical(Array.isArray(value) ? value : [value])) as unknown as z.ZodType<
    T[],
    T | T[]
  >;
}

const sortedTexts = (items: readonly string[]) => [...new Set(items)].sort();

const interfacePattern = text(
  (name) => interfaceName.safeParse(name.replace(/\*$/, "")).error?.issues[0]?.message,
);

const interfaces = oneOrMany<string>(interfacePattern, "an interface name", sortedTexts).superRefine(
  (names, context) => {
    if (names.length > 1 && names.some((name) => name.endsWith("*"))) {
      context.addIssue({
        code: "custom",
        message: 'has a name with "*" among others: write a rule of its own for it',
      });
    }
  },
);

const addressOrPrefix = text(
  (value) => (value.includes("/") ? prefix : ip).safeParse(value).error?.issues[0]?.message,
  (value) => canonicalPrefixes([value])[0] ?? value,
);

/** Addresses and networks of one family, one or several. */
export const addresses = oneOrMany<string>(
  addressOrPrefix,
  "an address or a network",
  canonicalPrefixes,
).superRefine((list, context) => {
  const families = new Set(list.map(familyOf));
  if (families.size > 1) {
    context.addIssue({ code: "custom", message: "mixes IPv4 and IPv6: write a rule for each" });
  } else if (list.some((one) => one.endsWith("/0"))) {
    context.addIssue({
      code: "custom",
      message: `is any address: leave it out, and say ipVersion where one family is meant`,
    });
  }
});

/** Ports, one or several. */
export const portSet = oneOrMany<number | string>(ports, "a port or a range of ports", (items) =>
  mergedRanges(items.map((item) => portRange(item)).filter((range) => range !== undefined)).map(writePorts),
);

const states = oneOrMany<(typeof CONNECTION_STATES)[number]>(
  z.enum(CONNECTION_STATES, { error: `must be one of ${CONNECTION_STATES.join(", ")}` }),
  "a state of a connection",
  (items) => CONNECTION_STATES.filter((state) => items.includes(state)),
);

/** What a packet is held against; all that is given must be so. */
export const matchShape = {
  inInterface: interfaces
    .optional()
    .describe(
      'Interface that it came in by, or several; "ppp*" for all whose name begins so. It need not be there yet.',
    ),
  outInterface: interfaces
    .optional()
    .describe('Interface that it leaves by, or several; "ppp*" for all whose name begins so.'),
  ipVersion: z
    .union([z.literal(4), z.literal(6)], { error: "must be 4 or 6" })
    .optional()
    .describe("4 or 6, in a table of family inet. Default: that of the addresses, else both."),
  source: addresses.optional().describe("Source address or network, or several of one family."),
  notSource: addresses.optional().describe("Source addresses and networks that are left out."),
  destination: addresses.optional().describe("Destination address or network, or several of one family."),
  notDestination: addresses.optional().describe("Destination addresses and networks that are left out."),
  protocol: ipProtocol.optional().describe("IP protocol, by name or number."),
  sourcePort: portSet.optional().describe("Source port or range, or several. Needs a protocol with ports."),
  destinationPort: portSet
    .optional()
    .describe("Destination port or range, or several. Needs a protocol with ports."),
  connectionState: states
    .optional()
    .describe("State of the connection that it belongs to (conntrack), or several: one of them must be so."),
};

/** A match by itself. */
export const matchObject = z.strictObject(matchShape);

/** What a packet is held against, in its canonical form. */
export type Match = z.output<typeof matchObject>;

const ADDRESS_MATCHES = ["source", "notSource", "destination", "notDestination"] as const;

/** The families of the addresses of a match. */
export const versionsOf = (match: Match): (4 | 6)[] =>
  ADDRESS_MATCHES.flatMap((property) => (match[property] ?? []).map(familyOf)).filter(
    (version) => version !== undefined,
  );

/** Which families a protocol of ICMP leaves; nftables itself takes one for the other when it lists. */
const icmpVersion = ({ protocol }: Match): 4 | 6 | undefined =>
  protocol === "icmp" ? 4 : protocol === "icmpv6" ? 6 : undefined;

/** A match with nothing said twice, its properties in one order. */
export function canonicalMatch(given: Match, implied?: 4 | 6): Match {
  const known = implied ?? versionsOf(given)[0] ?? icmpVersion(given);
  const { ipVersion, ...rest } = given;
  const ordered = Object.keys(matchShape).map((key) => [
    key,
    key === "ipVersion" ? (known === ipVersion ? undefined : ipVersion) : rest[key as keyof typeof rest],
  ]);
  return defined(Object.fromEntries(ordered) as Match);
}

const hasPorts = (protocol: ProtocolName | number | undefined) =>
  PORT_PROTOCOLS.some((name) => name === protocol);

/** What is wrong with a rule. */
export interface Problem {
  readonly path: readonly string[];
  readonly message: string;
}

/** What is wrong with a match, with what else tells the family (`implied`). */
export function* matchProblems(match: Match, implied?: 4 | 6): Generator<Problem> {
  const { ipVersion, protocol, sourcePort, destinationPort } = match;
  if ((sourcePort ?? destinationPort) !== undefined && !hasPorts(protocol)) {
    yield {
      path: ["protocol"],
      message: `must be one of ${PORT_PROTOCOLS.join(", ")} where ports are given`,
    };
  }
  const versions = new Set([
    ...versionsOf(match),
    ...[ipVersion, icmpVersion(match), implied].filter((one) => one !== undefined),
  ]);
  if (versions.size > 1) yield { path: [], message: "holds for no packet: it asks for IPv4 and for IPv6" };
}

type Context = { addIssue(issue: { code: "custom"; path: string[]; message: string }): void };

/** Adds problems to what is wrong with a value. */
export const report = (context: Context, problems: Iterable<Problem>) => {
  for (const { path, message } of problems) context.addIssue({ code: "custom", path: [...path], message });
};
