import { parseCidr } from "../../lib/synth";
import type { FilterRule, FirewallProps } from "../firewall";

/** Interfaces that lead to subscribers have names that begin so: what is said of all of them is said of `sub-*`. */
export const SUBSCRIBER_PREFIX = "sub";

/** Every interface that leads to a subscriber. */
export const SUBSCRIBER_INTERFACES = `${SUBSCRIBER_PREFIX}-*`;

/** One subscriber's place behind the tunnels. */
export interface PolicyMember {
  readonly id: string;
  /** The interface that leads to the subscriber. */
  readonly interface: string;
  /** It leads to nobody else, so what comes in by it is the subscriber's. */
  readonly ownInterface: boolean;
  /** Addresses and networks that are the subscriber's. */
  readonly sources: readonly string[];
}

/** What is held of the traffic of subscribers. */
export interface SubscriberPolicy {
  readonly members: readonly PolicyMember[];
  /** Only a subscriber's own addresses may come in by an interface of its own. */
  readonly checkSource: boolean;
  /** Who may reach whom past the shaper. */
  readonly reachEachOther: boolean | readonly (readonly [string, string])[];
}

/** What every host says on its own link: neighbour discovery and multicast listeners (RFC 4291). */
const LINK_LOCAL = "fe80::/10";

const familyOf = (address: string) => parseCidr(address)?.family;

/** Drops what comes by a subscriber's interface from an address that is not the subscriber's. */
function sourceChecks({ id, interface: name, sources }: PolicyMember): FilterRule[] {
  const own = (family: 4 | 6) => sources.filter((address) => familyOf(address) === family);
  const drop = { action: "drop", inInterface: name, counter: true, comment: comment("source", id) } as const;
  const v4 = own(4);
  return [
    { ...drop, ...(v4.length > 0 ? { notSource: v4 } : { ipVersion: 4 }) },
    { ...drop, notSource: [...own(6), LINK_LOCAL] },
  ];
}

/** A subscriber's id in a comment, which takes fewer characters than an id does. */
function comment(what: string, id: string): string {
  return `${what}: ${id.replace(/[^A-Za-z0-9 _.,:@+-]/g, "?")}`.slice(0, 120).trim();
}

/** Lets two subscribers reach each other: by interface where each has one, else by address. */
function allowed(one: PolicyMember, other: PolicyMember): FilterRule[] {
  const way = (from: PolicyMember, to: PolicyMember): FilterRule[] => {
    const interfaces = { action: "accept", inInterface: from.interface, outInterface: to.interface } as const;
    if (from.interface !== to.interface) return [interfaces];
    return ([4, 6] as const).flatMap((family) => {
      const [source, destination] = [from, to].map(({ sources }) =>
        sources.filter((address) => familyOf(address) === family),
      );
      if (source === undefined || destination === undefined) return [];
      return source.length === 0 || destination.length === 0 ? [] : [{ ...interfaces, source, destination }];
    });
  };
  return [...way(one, other), ...way(other, one)];
}

/**
 * The nftables table of subscribers: their own addresses only, no way from one to another unless it is allowed, and
 * TCP segments that fit the tunnels. What is dropped is counted.
 */
export function subscriberPolicy(policy: SubscriberPolicy): Omit<FirewallProps, "table" | "namespace"> {
  const { members, checkSource, reachEachOther } = policy;
  const checks = checkSource ? members.filter(({ ownInterface }) => ownInterface).flatMap(sourceChecks) : [];
  const byId = new Map(members.map((member) => [member.id, member]));
  const pairs = typeof reachEachOther === "boolean" ? [] : reachEachOther;
  const ways = pairs.flatMap(([a, b]) => {
    const [one, other] = [byId.get(a), byId.get(b)];
    return one === undefined || other === undefined ? [] : allowed(one, other);
  });
  const between = { inInterface: SUBSCRIBER_INTERFACES, outInterface: SUBSCRIBER_INTERFACES };
  const isolation: FilterRule[] =
    reachEachOther === true
      ? []
      : [...ways, { action: "drop", ...between, counter: true, comment: "isolation" }];
  return {
    clampMss: [{ mss: "pmtu", outInterface: SUBSCRIBER_INTERFACES }],
    ...(checks.length > 0 && { input: { rules: checks } }),
    ...(checks.length + isolation.length > 0 && { forward: { rules: [...checks, ...isolation] } }),
  };
}
