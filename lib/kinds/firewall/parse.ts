import { portRange, protocolName, writePorts, type Range } from "../protocols";
import { canonicalAddress } from "../schemas";
import { canonicalMatch, CONNECTION_STATES, PORT_PROTOCOLS, type Match } from "./match";
import {
  canonicalClamp,
  canonicalMasquerade,
  canonicalPortForward,
  canonicalRule,
  type Clamp,
  type FilterRule,
  type Masquerade,
  type PortForward,
} from "./schema";
import { mergedRanges, prefixes, prefixInterval, rangeInterval } from "./sets";

/**
 * Rules of libnftables-json(5) in the schema's words. The grammar is that of `render.ts` in the spellings that
 * versions of nft have for it; whatever else a rule says makes it one that has no words (undefined).
 */

/** A JSON object, once it is known to be one. */
export type Bag = Readonly<Record<string, unknown>>;

/** Thrown inside this file alone: the rule says something that has no words here. */
class Foreign extends Error {}

const foreign = (): never => {
  throw new Foreign();
};

const bag = (value: unknown): Bag =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Bag) : foreign();

/** The one key of an object, and what is under it. */
function only(value: unknown): [string, unknown] {
  const [entry, ...rest] = Object.entries(bag(value));
  return entry === undefined || rest.length > 0 ? foreign() : entry;
}

/** The properties of an object, which may have no others. */
function fields(value: unknown, ...names: readonly string[]): Bag {
  const object = bag(value);
  return Object.keys(object).every((name) => names.includes(name)) ? object : foreign();
}

const textOf = (value: unknown): string => (typeof value === "string" ? value : foreign());
const numberOf = (value: unknown): number => (typeof value === "number" ? value : foreign());

/** The members of an anonymous set, or the one value that stands alone. */
function members(right: unknown): readonly unknown[] {
  if (typeof right === "object" && right !== null && "set" in right) {
    const { set } = fields(right, "set");
    return Array.isArray(set) ? set : [set];
  }
  return Array.isArray(right) ? right : [right];
}

function addressesOf(right: unknown, version: 4 | 6): string[] {
  const intervals = members(right).map((member) => {
    const found = typeof member === "string" ? prefixInterval(member) : intervalOf(member);
    return found?.version === version ? found.interval : foreign();
  });
  return prefixes({ version, intervals });
}

function intervalOf(member: unknown) {
  const [kind, value] = only(member);
  if (kind === "range" && Array.isArray(value)) return rangeInterval(textOf(value[0]), textOf(value[1]));
  if (kind !== "prefix") return foreign();
  const { addr, len } = fields(value, "addr", "len");
  return prefixInterval(`${textOf(addr)}/${numberOf(len)}`);
}

function portsOf(right: unknown): (number | string)[] {
  const ranges = members(right).map((member): Range => {
    if (typeof member === "number" || typeof member === "string") return portRange(member) ?? foreign();
    const [kind, value] = only(member);
    if (kind !== "range" || !Array.isArray(value)) return foreign();
    return { from: numberOf(value[0]), to: numberOf(value[1]) };
  });
  return mergedRanges(ranges).map(writePorts);
}

/** What a rule is made of so far. A property that comes twice has no words. */
class Reader {
  readonly match: { -readonly [K in keyof Match]: Match[K] } = {};
  counter = false;
  syn = false;

  set<K extends keyof Match>(property: K, value: Match[K]): void {
    if (this.match[property] !== undefined && !(property === "protocol" && this.match[property] === value))
      foreign();
    this.match[property] = value;
  }

  /** Takes one match; after the counter none may come, for it would count others. */
  take(value: unknown): void {
    if (this.counter) foreign();
    const { op, left, right } = fields(value, "op", "left", "right");
    const [kind, what] = only(left);
    if (kind === "meta" && op === "==") this.#meta(textOf(fields(what, "key").key), right);
    else if (kind === "ct" && (op === "in" || op === "==")) this.#state(fields(what, "key").key, right);
    else if (kind === "payload") this.#payload(op, fields(what, "protocol", "field"), right);
    else foreign();
  }

  #meta(key: string, right: unknown): void {
    switch (key) {
      case "iifname":
        return this.set("inInterface", members(right).map(textOf).sort());
      case "oifname":
        return this.set("outInterface", members(right).map(textOf).sort());
      case "nfproto": {
        const version =
          right === "ipv4" || right === 2 ? 4 : right === "ipv6" || right === 10 ? 6 : foreign();
        return this.set("ipVersion", version);
      }
      case "l4proto": {
        const name = typeof right === "string" || typeof right === "number" ? protocolName(right) : undefined;
        return this.set("protocol", name ?? foreign());
      }
      default:
        foreign();
    }
  }

  #state(key: unknown, right: unknown): void {
    const found = members(right).map(textOf);
    if (key !== "state" || !found.every((state) => CONNECTION_STATES.some((one) => one === state))) foreign();
    this.set(
      "connectionState",
      CONNECTION_STATES.filter((state) => found.includes(state)),
    );
  }

  #payload(op: unknown, { protocol, field }: Bag, right: unknown): void {
    if (protocol === "tcp" && field === "flags") {
      if (this.syn || (op !== "in" && op !== "==") || members(right).join() !== "syn") foreign();
      this.syn = true;
      return;
    }
    const isEqual = op === "==" ? true : op === "!=" ? false : foreign();
    if ((protocol === "ip" || protocol === "ip6") && (field === "saddr" || field === "daddr")) {
      const side =
        field === "saddr" ? (isEqual ? "source" : "notSource") : isEqual ? "destination" : "notDestination";
      return this.set(side, addressesOf(right, protocol === "ip" ? 4 : 6));
    }
    const carrier = PORT_PROTOCOLS.find((name) => name === protocol);
    if (carrier === undefined || !isEqual || (field !== "sport" && field !== "dport")) return foreign();
    this.set("protocol", carrier);
    this.set(field === "sport" ? "sourcePort" : "destinationPort", portsOf(right));
  }
}

interface Read {
  readonly match: Match;
  readonly counter: true | undefined;
  readonly syn: boolean;
  /** What is done with the packet: the last statement, by its name. */
  readonly verdict: string;
  readonly value: unknown;
}

function read(expr: unknown): Read {
  if (!Array.isArray(expr)) return foreign();
  const reader = new Reader();
  const statements = expr.map(only);
  const last = statements.pop() ?? foreign();
  for (const [kind, value] of statements) {
    if (kind === "match") reader.take(value);
    else if (kind === "counter" && !reader.counter) reader.counter = true;
    else foreign();
  }
  const [verdict, value] = last;
  return { match: reader.match, counter: reader.counter ? true : undefined, syn: reader.syn, verdict, value };
}

/** What one of the readers below makes of a rule; undefined for one that has no words. */
function words<T>(make: () => T): T | undefined {
  try {
    return make();
  } catch (error) {
    if (error instanceof Foreign) return undefined;
    throw error;
  }
}

function rejection(value: unknown): FilterRule["rejectWith"] {
  if (value === null) return undefined;
  const { type, expr } = fields(value, "type", "expr");
  if (type === "tcp reset" && expr === undefined) return "tcp-reset";
  const isIcmp = type === "icmpx" || type === "icmp" || type === "icmpv6";
  if (isIcmp && (expr === "port-unreachable" || expr === "admin-prohibited")) return expr;
  return foreign();
}

/** A rule of a filter chain. */
export const filterRule = (expr: unknown, comment: string | undefined): FilterRule | undefined =>
  words(() => {
    const { match, counter, syn, verdict, value } = read(expr);
    if (syn) return foreign();
    if (verdict === "reject")
      return canonicalRule({ action: verdict, ...match, rejectWith: rejection(value), counter, comment });
    if ((verdict !== "accept" && verdict !== "drop") || value !== null) return foreign();
    return canonicalRule({ action: verdict, ...match, counter, comment });
  });

function natAddress(value: unknown): string {
  if (typeof value === "string") return canonicalAddress(value);
  const [kind, range] = only(value);
  if (kind !== "range" || !Array.isArray(range)) return foreign();
  return [...new Set(range.map((address) => canonicalAddress(textOf(address))))].join("-");
}

/** A rule of the chain for source NAT. */
export const masqueradeRule = (expr: unknown, comment: string | undefined): Masquerade | undefined =>
  words(() => {
    const { match, counter, syn, verdict, value } = read(expr);
    if (syn || match.inInterface !== undefined || match.connectionState !== undefined) return foreign();
    if (verdict === "masquerade" && value === null)
      return canonicalMasquerade({ ...match, counter, comment });
    if (verdict !== "snat") return foreign();
    const { addr } = fields(value, "family", "addr");
    return canonicalMasquerade({ ...match, toAddresses: natAddress(addr), counter, comment });
  });

/** A rule of the chain for destination NAT. */
export const portForwardRule = (expr: unknown, comment: string | undefined): PortForward | undefined =>
  words(() => {
    const { match, counter, syn, verdict, value } = read(expr);
    const { protocol, destinationPort: port, inInterface, source, notSource, destination, ...rest } = match;
    const carrier = PORT_PROTOCOLS.find((name) => name === protocol);
    const isPlain = Object.keys(rest).length === 0 && !syn;
    if (!isPlain || verdict !== "dnat" || carrier === undefined || port === undefined) return foreign();
    const { addr, port: toPort } = fields(value, "family", "addr", "port");
    return canonicalPortForward({
      ...{ inInterface, source, notSource, destination, protocol: carrier, port },
      toAddress: canonicalAddress(textOf(addr)),
      toPort: toPort === undefined ? undefined : numberOf(toPort),
      ...{ counter, comment },
    });
  });

/** A rule of the chains that make segments smaller. */
export const clampRule = (expr: unknown, comment: string | undefined): Clamp | undefined =>
  words(() => {
    const { match, counter, syn, verdict, value } = read(expr);
    const { inInterface, outInterface, ipVersion, ...rest } = canonicalMatch(match);
    const isPlain = Object.keys(rest).length === 0 && counter === undefined && comment === undefined;
    if (!isPlain || !syn || verdict !== "mangle") return foreign();
    const { key, value: size } = fields(value, "key", "value");
    const { name, field } = fields(fields(key, "tcp option")["tcp option"], "name", "field");
    if (name !== "maxseg" || field !== "size") return foreign();
    const mss =
      typeof size === "number"
        ? size
        : fields(fields(size, "rt").rt, "key").key === "mtu"
          ? "pmtu"
          : foreign();
    return canonicalClamp({ inInterface, outInterface, ipVersion, mss });
  });
