import type { Family, LinkOption } from "./family";
import * as outer from "./outer";

/** IP in IP: `ipip` (RFC 2003; net/ipv4/ipip.c) and `sit`, IPv6 in IPv4 (RFC 4213; net/ipv6/sit.c). */

/**
 * `ip` refuses a fixed hop limit without path MTU discovery, also when one of the two is what the link had: so
 * one that is wanted takes along what must go with it.
 */
const ttlAndPathMtu: LinkOption = {
  of: ["ttl", "pathMtuDiscovery"],
  create: (spec) => [...outer.ttlOption.create(spec), ...outer.pathMtuOption.create(spec)],
  change(merged, _current, desired) {
    if (desired.pathMtuDiscovery === false) return ["ttl", "inherit", "nopmtudisc"];
    const fixed = merged.ttl !== undefined && merged.ttl !== "inherit";
    return [
      ...["ttl", String(merged.ttl ?? "inherit")],
      merged.pathMtuDiscovery === false && !fixed ? "nopmtudisc" : "pmtudisc",
    ];
  },
};

/** `ipip` and `sit`. */
export const iptunnel: Family = {
  kinds: ["ipip", "sit"],
  options: [
    outer.externalOption,
    outer.localOption,
    outer.remoteOption,
    ttlAndPathMtu,
    outer.tosOption,
    outer.underlayOption,
    outer.linkNetnsOption,
    outer.encapOption,
  ],
  required: ({ external }) => (external === true ? [] : ["remote"]),
  parse: (data, link) => outer.parseOuterV4(link.linkinfo?.info_kind ?? "ipip", data),
  overhead: (spec) => 20 + outer.encapOverhead(spec),
};
