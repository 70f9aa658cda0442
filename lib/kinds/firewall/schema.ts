import { z } from "zod";
import { defined } from "../found";
import { canonicalAddress, familyOf, ip, netnsName, port, safeName, text, whole } from "../schemas";
import {
  addresses,
  canonicalMatch,
  matchObject,
  matchProblems,
  matchShape,
  PORT_PROTOCOLS,
  portSet,
  report,
} from "./match";
import { rangeInterval } from "./sets";

/** What begins the comment that says whose a rule is; a user's own comment begins otherwise. */
export const OWNER_MARK = "netloom:";

const comment = text((value) => {
  if (!/^[A-Za-z0-9 _.,:;@%+=/()#*?!-]{1,120}$/.test(value) || value !== value.trim()) {
    return "must be 1 to 120 letters, digits, spaces and _ . , : ; @ % + = / ( ) # * ? ! -";
  }
  return value.startsWith(OWNER_MARK)
    ? `begins with "${OWNER_MARK}", which is how we mark our own rules`
    : undefined;
});

const toAddresses = text(
  (value) => {
    const [first = "", last, ...rest] = value.split("-");
    const ok =
      rest.length === 0 &&
      (last === undefined
        ? familyOf(first) !== undefined && !first.includes("/")
        : rangeInterval(first, last) !== undefined);
    return ok ? undefined : "must be an address such as 192.0.2.1, or a range such as 192.0.2.1-192.0.2.8";
  },
  (value) => [...new Set(value.split("-").map(canonicalAddress))].join("-"),
);

const counter = z
  .boolean()
  .optional()
  .describe("Counts packets and bytes (`nft list table`). What is counted is no part of the state.");

const REJECTIONS = ["port-unreachable", "admin-prohibited", "tcp-reset"] as const;

const rule = z
  .strictObject({
    action: z
      .enum(["accept", "drop", "reject"], { error: "must be one of accept, drop, reject" })
      .describe("accept lets it through this table, drop ends it, reject ends it with an answer."),
    ...matchShape,
    rejectWith: z
      .enum(REJECTIONS, { error: `must be one of ${REJECTIONS.join(", ")}` })
      .optional()
      .describe(
        "The answer of reject: an ICMP error, or a TCP reset (protocol tcp). Default: port-unreachable.",
      ),
    counter,
    comment: comment.optional().describe("A word for whoever lists the table, up to 120 characters."),
  })
  .superRefine((value, context) => {
    const { action, rejectWith, protocol } = value;
    report(context, matchProblems(value));
    if (rejectWith !== undefined && action !== "reject") {
      context.addIssue({ code: "custom", path: ["rejectWith"], message: "belongs to the action reject" });
    }
    if (rejectWith === "tcp-reset" && protocol !== "tcp") {
      context.addIssue({
        code: "custom",
        path: ["rejectWith"],
        message: "tcp-reset answers TCP alone: set protocol to tcp",
      });
    }
  })
  .overwrite((value) => canonicalRule(value));

/** One rule of a filter chain. */
export type FilterRule = z.output<typeof rule>;

/** A rule in its canonical form. */
export function canonicalRule({
  action,
  rejectWith,
  counter: counted,
  comment: words,
  ...match
}: FilterRule): FilterRule {
  return defined({
    action,
    ...canonicalMatch(match),
    rejectWith: rejectWith === "port-unreachable" ? undefined : rejectWith,
    counter: counted === true ? true : undefined,
    comment: words,
  });
}

const natShape = matchObject.omit({ inInterface: true, connectionState: true }).shape;

const masquerade = z
  .strictObject({
    ...natShape,
    toAddresses: toAddresses
      .optional()
      .describe(
        "Source address instead of the interface's own, or a range `first-last` (snat). Default: masquerade.",
      ),
    counter,
    comment: comment.optional().describe("A word for whoever lists the table."),
  })
  .superRefine((value, context) => {
    const { toAddresses: to } = value;
    report(context, matchProblems(value, to === undefined ? undefined : familyOf(to.split("-")[0] ?? "")));
    if (value.outInterface === undefined && to === undefined) {
      context.addIssue({
        code: "custom",
        path: ["outInterface"],
        message: "is required: without it all traffic would be masqueraded",
      });
    }
  })
  .overwrite((value) => canonicalMasquerade(value));

/** One rule that gives packets another source address. */
export type Masquerade = z.output<typeof masquerade>;

/** A masquerade rule in its canonical form. */
export function canonicalMasquerade({
  toAddresses: to,
  counter: counted,
  comment: words,
  ...match
}: Masquerade): Masquerade {
  const implied = to === undefined ? undefined : familyOf(to.split("-")[0] ?? "");
  return defined({
    ...canonicalMatch(match, implied),
    toAddresses: to,
    counter: counted === true ? true : undefined,
    comment: words,
  });
}

const portForward = z
  .strictObject({
    inInterface: matchShape.inInterface,
    source: matchShape.source,
    notSource: matchShape.notSource,
    destination: addresses
      .optional()
      .describe("Address that connections are made to, or several. Default: any."),
    protocol: z
      .enum(["tcp", "udp", "sctp", "dccp", "udplite"], {
        error: `must be one of ${PORT_PROTOCOLS.join(", ")}`,
      })
      .describe("Protocol of the port."),
    port: portSet.describe("Port or range that connections are made to, or several."),
    toAddress: ip.describe("Address that they are sent to instead (dnat)."),
    toPort: port.optional().describe("Port there. Default: the same."),
    counter,
    comment: comment.optional().describe("A word for whoever lists the table."),
  })
  .superRefine(({ source, notSource, destination, toAddress }, context) => {
    report(context, matchProblems({ source, notSource, destination }, familyOf(toAddress)));
  })
  .overwrite((value) => canonicalPortForward(value));

/** One rule that gives connections another destination. */
export type PortForward = z.output<typeof portForward>;

/** A port forwarding in its canonical form. */
export function canonicalPortForward(given: PortForward): PortForward {
  const {
    inInterface,
    source,
    notSource,
    destination,
    protocol,
    port: ports_,
    toAddress,
    toPort,
    counter: counted,
    comment: words,
  } = given;
  return defined({
    inInterface,
    source,
    notSource,
    destination,
    protocol,
    port: ports_,
    toAddress,
    toPort,
    counter: counted === true ? true : undefined,
    comment: words,
  });
}

const clampMss = z
  .strictObject({
    inInterface: matchShape.inInterface,
    outInterface: matchShape.outInterface,
    ipVersion: matchShape.ipVersion,
    mss: z
      .union([z.literal("pmtu"), whole(536, 65495)], {
        error: 'must be "pmtu" or a number of bytes from 536 to 65495',
      })
      .describe(
        "Largest TCP segment in bytes, or pmtu: what fits the route's MTU, either way. Smaller ones stay.",
      ),
    output: z
      .boolean()
      .optional()
      .describe("Also for connections of the host itself, not only those it forwards."),
  })
  .superRefine(({ inInterface, output }, context) => {
    if (output === true && inInterface !== undefined) {
      context.addIssue({
        code: "custom",
        path: ["output"],
        message: "what the host itself sends came in by no interface: leave inInterface out",
      });
    }
  })
  .overwrite((value) => canonicalClamp(value));

/** One rule that makes TCP's offers of a segment size smaller. */
export type Clamp = z.output<typeof clampMss>;

/** A clamp in its canonical form. */
export function canonicalClamp({ inInterface, outInterface, ipVersion, mss, output }: Clamp): Clamp {
  return defined({ inInterface, outInterface, ipVersion, mss, output: output === true ? true : undefined });
}

const chain = z
  .strictObject({
    policy: z
      .enum(["accept", "drop"], { error: "must be accept or drop" })
      .default("accept")
      .describe("What becomes of a packet that no rule decides."),
    rules: z
      .array(rule, { error: "must be a list of rules" })
      .default([])
      .describe("The rules, asked in this order."),
  })
  .default({ policy: "accept", rules: [] });

const NO_RULES = "Default: none.";

/** The spec of a table. */
export const schema = z.strictObject({
  netns: netnsName.optional().describe("Network namespace that it is in. Default: the host's initial one."),
  family: z
    .enum(["inet", "ip", "ip6"], { error: "must be one of inet, ip, ip6" })
    .default("inet")
    .describe("inet for both versions of IP, ip for IPv4 alone, ip6 for IPv6 alone."),
  table: safeName.describe(
    "The table's name, unique in its family and namespace. All that is in the table is ours.",
  ),
  masquerade: z
    .array(masquerade, { error: "must be a list of rules" })
    .default([])
    .describe(`Source NAT of what leaves by an interface, asked in this order. ${NO_RULES}`),
  portForward: z
    .array(portForward, { error: "must be a list of rules" })
    .default([])
    .describe(`Destination NAT of connections to a port, asked in this order. ${NO_RULES}`),
  clampMss: z
    .array(clampMss, { error: "must be a list of rules" })
    .default([])
    .describe(`Keeps TCP segments small enough for a tunnel or link. ${NO_RULES}`),
  input: chain.describe("What the host itself receives. Default: accept."),
  forward: chain.describe("What it passes on. Default: accept."),
  output: chain.describe("What it sends itself. Default: accept."),
  unrecognised: z
    .array(z.string(), { error: "must be a list of texts" })
    .max(0, "is what others have put into the table, and is not written")
    .default([])
    .describe(
      "What is in the table and has no words here, as it is found. The next update takes it away; leave it out.",
    ),
});

/** The spec of a table in its canonical form. */
export type FirewallSpec = z.output<typeof schema>;
