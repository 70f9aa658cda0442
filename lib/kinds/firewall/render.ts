import { protocolNumber } from "../protocols";
import { portRange } from "../protocols";
import { familyOf } from "../schemas";
import type { Match } from "./match";
import {
  OWNER_MARK,
  type Clamp,
  type FilterRule,
  type FirewallSpec,
  type Masquerade,
  type PortForward,
} from "./schema";

/** A statement or expression of libnftables-json(5). */
export type Json = Readonly<Record<string, unknown>>;

/** Chains of our tables: where the kernel calls them, and in which order among those of others. */
export const CHAINS = {
  prerouting: { type: "nat", hook: "prerouting", prio: -100 },
  postrouting: { type: "nat", hook: "postrouting", prio: 100 },
  mss_forward: { type: "filter", hook: "forward", prio: -150 },
  mss_output: { type: "filter", hook: "output", prio: -150 },
  input: { type: "filter", hook: "input", prio: 0 },
  forward: { type: "filter", hook: "forward", prio: 0 },
  output: { type: "filter", hook: "output", prio: 0 },
} as const;

/** The name of one of our chains. */
export type ChainName = keyof typeof CHAINS;

/** The chains that a user's rules are in. */
export const FILTER_CHAINS = ["input", "forward", "output"] as const;

const match = (left: Json, right: unknown, op = "=="): Json => ({ match: { op, left, right } });
const meta = (key: string): Json => ({ meta: { key } });
const payload = (protocol: string, field: string): Json => ({ payload: { protocol, field } });

/** One value as it is, several as an anonymous set. */
const oneOrSet = (values: readonly unknown[]): unknown => (values.length === 1 ? values[0] : { set: values });

function prefixJson(text: string): unknown {
  const [addr = "", length = ""] = text.split("/");
  const isHost = Number(length) === (familyOf(addr) === 6 ? 128 : 32);
  return isHost ? addr : { prefix: { addr, len: Number(length) } };
}

function portJson(ports: number | string): unknown {
  const { from, to } = portRange(ports) ?? { from: 0, to: 0 };
  return from === to ? from : { range: [from, to] };
}

function addressMatch(field: string, list: readonly string[] | undefined, op: string): Json[] {
  if (list === undefined) return [];
  const protocol = familyOf(list[0] ?? "") === 6 ? "ip6" : "ip";
  return [match(payload(protocol, field), oneOrSet(list.map(prefixJson)), op)];
}

function portMatch(protocol: Match["protocol"], field: string, list: Match["sourcePort"]): Json[] {
  if (list === undefined) return [];
  return [match(payload(String(protocol), field), oneOrSet(list.map(portJson)))];
}

/** The expressions that a packet must pass. */
export function matchJson(given: Match): Json[] {
  const { inInterface, outInterface, ipVersion, protocol, sourcePort, destinationPort, connectionState } =
    given;
  const withPorts = (sourcePort ?? destinationPort) !== undefined;
  return [
    ...(ipVersion === undefined ? [] : [match(meta("nfproto"), `ipv${ipVersion}`)]),
    ...(inInterface === undefined ? [] : [match(meta("iifname"), oneOrSet(inInterface))]),
    ...(outInterface === undefined ? [] : [match(meta("oifname"), oneOrSet(outInterface))]),
    ...addressMatch("saddr", given.source, "=="),
    ...addressMatch("saddr", given.notSource, "!="),
    ...addressMatch("daddr", given.destination, "=="),
    ...addressMatch("daddr", given.notDestination, "!="),
    // A port names its protocol; as a number, for a host need not have /etc/protocols.
    ...(protocol === undefined || withPorts ? [] : [match(meta("l4proto"), protocolNumber(protocol))]),
    ...portMatch(protocol, "sport", sourcePort),
    ...portMatch(protocol, "dport", destinationPort),
    ...(connectionState === undefined
      ? []
      : [
          match(
            { ct: { key: "state" } },
            connectionState.length === 1 ? connectionState[0] : connectionState,
            "in",
          ),
        ]),
  ];
}

type TableFamily = FirewallSpec["family"];

const ICMP: Readonly<Record<TableFamily, string>> = { inet: "icmpx", ip: "icmp", ip6: "icmpv6" };

function verdictJson({ action, rejectWith = "port-unreachable" }: FilterRule, family: TableFamily): Json {
  if (action !== "reject") return { [action]: null };
  return {
    reject: rejectWith === "tcp-reset" ? { type: "tcp reset" } : { type: ICMP[family], expr: rejectWith },
  };
}

const counterJson = (counter: boolean | undefined): Json[] =>
  counter === true ? [{ counter: { packets: 0, bytes: 0 } }] : [];

/** In a table of both families NAT says which one it is for. */
const natFamily = (family: TableFamily, address: string): Json =>
  family === "inet" ? { family: familyOf(address) === 6 ? "ip6" : "ip" } : {};

function sourceNatJson({ toAddresses }: Masquerade, family: TableFamily): Json {
  if (toAddresses === undefined) return { masquerade: null };
  const [first = "", last] = toAddresses.split("-");
  return {
    snat: { ...natFamily(family, first), addr: last === undefined ? first : { range: [first, last] } },
  };
}

const destinationNatJson = ({ toAddress, toPort }: PortForward, family: TableFamily): Json => ({
  dnat: { ...natFamily(family, toAddress), addr: toAddress, ...(toPort !== undefined && { port: toPort }) },
});

/** Both packets that open a connection carry the flag, SYN and SYN with ACK. The kernel never makes an MSS larger. */
const clampJson = ({ mss }: Clamp): Json[] => [
  match(payload("tcp", "flags"), "syn", "in"),
  {
    mangle: {
      key: { "tcp option": { name: "maxseg", field: "size" } },
      value: mss === "pmtu" ? { rt: { key: "mtu" } } : mss,
    },
  },
];

interface RenderedRule {
  readonly chain: ChainName;
  readonly expr: readonly Json[];
  readonly comment?: string;
}

function* rulesOf(spec: FirewallSpec): Generator<RenderedRule> {
  const { family } = spec;
  for (const one of spec.portForward) {
    const { port, ...rest } = one;
    const expr = [
      ...matchJson({ ...rest, destinationPort: port }),
      ...counterJson(one.counter),
      destinationNatJson(one, family),
    ];
    yield { chain: "prerouting", expr, comment: one.comment };
  }
  for (const one of spec.masquerade) {
    const expr = [...matchJson(one), ...counterJson(one.counter), sourceNatJson(one, family)];
    yield { chain: "postrouting", expr, comment: one.comment };
  }
  for (const one of spec.clampMss) {
    const expr = [...matchJson(one), ...clampJson(one)];
    yield { chain: "mss_forward", expr };
    if (one.output === true) yield { chain: "mss_output", expr };
  }
  for (const chain of FILTER_CHAINS) {
    for (const one of spec[chain].rules) {
      const expr = [...matchJson(one), ...counterJson(one.counter), verdictJson(one, family)];
      yield { chain, expr, comment: one.comment };
    }
  }
}

/** Bytes that nftables keeps of a comment, without the closing NUL (NFTNL_UDATA_COMMENT_MAXLEN). */
const LONGEST_COMMENT = 127;

/**
 * The commands that make a table as it is wanted, whatever it was before, in one transaction: no packet meets half
 * of it. The owner is in the table's comment where nft takes one from JSON (newer than 1.0.6, which passes over
 * it), and in the comment of each rule that has none of its own.
 */
export function tableCommands(spec: FirewallSpec, owner: string): readonly object[] {
  const { family, table } = spec;
  const mark = (owner.startsWith(OWNER_MARK) ? owner : `${OWNER_MARK}${owner}`).slice(0, LONGEST_COMMENT);
  const add = (what: Json) => ({ add: what });
  const rules = [...rulesOf(spec)];
  const policyOf = (chain: ChainName) =>
    chain === "input" || chain === "forward" || chain === "output" ? spec[chain].policy : "accept";
  const chains = (Object.keys(CHAINS) as ChainName[]).filter(
    (chain) => policyOf(chain) === "drop" || rules.some((rule) => rule.chain === chain),
  );
  return [
    add({ table: { family, name: table, comment: mark } }),
    { delete: { table: { family, name: table } } },
    add({ table: { family, name: table, comment: mark } }),
    ...chains.map((name) => add({ chain: { family, table, name, ...CHAINS[name], policy: policyOf(name) } })),
    ...rules.map(({ chain, expr, comment = mark }) => add({ rule: { family, table, chain, expr, comment } })),
  ];
}

/** The command that takes a table away with all that is in it. */
export const deleteCommands = ({
  family,
  table,
}: Pick<FirewallSpec, "family" | "table">): readonly object[] => [
  { delete: { table: { family, name: table } } },
];
