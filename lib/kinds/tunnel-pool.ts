import { defineKind, inPlace, replace, type Claim, type Finding } from "./kind";
import { familyOf } from "./schemas";
import { explainPool } from "./tunnel-pool/explain";
import { observePool, poolQueries } from "./tunnel-pool/observe";
import { planPool } from "./tunnel-pool/plan";
import { schema, type TunnelPoolSpec } from "./tunnel-pool/schema";

export { MOST_PREFIXES, MOST_TUNNELS } from "./tunnel-pool/schema";
export type { Tunnel, TunnelPoolInput, TunnelPoolSpec } from "./tunnel-pool/schema";

const SEGMENT = "tunnels";

/** Two tunnels that the device could not tell apart, or two ways to one network. */
function clashes({ tunnels }: TunnelPoolSpec): Finding[] {
  const findings: Finding[] = [];
  const ends = new Map<string, string>();
  const networks = new Map<string, string>();
  const own = new Map<string, string>();
  for (const [number, tunnel] of Object.entries(tunnels)) {
    const { remote, key = Number(number), addresses = [], prefixes } = tunnel;
    const end = `${remote} key ${key}`;
    const other = ends.get(end);
    if (other === undefined) ends.set(end, number);
    else {
      const message = `tunnel ${other} goes to ${remote} with the same key: give one of them another key`;
      findings.push({ path: ["tunnels", number, "remote"], message });
    }
    for (const [index, address] of addresses.entries()) {
      const holder = own.get(address);
      if (holder === undefined) own.set(address, number);
      else {
        const message = `${address} is tunnel ${holder}'s own: one for all belongs to the device's link`;
        findings.push({ path: ["tunnels", number, "addresses", index], message });
      }
    }
    for (const [index, network] of prefixes.entries()) {
      const holder = networks.get(network);
      if (holder === undefined) networks.set(network, number);
      else {
        const message = `${network} is behind tunnel ${holder}: it can be behind one alone`;
        findings.push({ path: ["tunnels", number, "prefixes", index], message });
      }
    }
  }
  return findings;
}

/**
 * Thousands of tunnels on one device whose ends and keys come with each packet: a nexthop, routes and filters for
 * each, so that one is added, changed or taken away in a few steps while the others carry on.
 */
export const tunnelPool = defineKind({
  token: "netloom:net:TunnelPool",
  description:
    "Tunnels of one device in metadata mode (`external`): a nexthop object, routes and source checks for each.",
  schema,
  policy: {
    netns: replace("tunnels in another namespace are other tunnels"),
    name: replace("the pool is known by its name"),
    device: replace("the tunnels belong to their device"),
    device6: replace("the tunnels belong to their device"),
    local: inPlace({ traffic: "brief" }),
    local6: inPlace({ traffic: "brief" }),
    ttl: inPlace(),
    checksum: inPlace({ traffic: "brief" }),
    checkSource: inPlace(),
    firstNexthop: replace("nexthops of other ids are other nexthops"),
    tunnels: inPlace(),
  },
  ownership: "object",
  identity: ({ netns, name }) => [...(netns === undefined ? [] : [netns]), SEGMENT, name],
  // Which tunnels there are, and on which device, only the program can say: the host has many nexthops.
  locate: () => undefined,
  check(spec) {
    const findings = clashes(spec);
    const { local, local6, device, device6 } = spec;
    if (local !== undefined && familyOf(local) !== 4) {
      findings.push({ path: ["local"], message: `${local} is no IPv4 address: that is local6` });
    }
    if (local6 !== undefined && familyOf(local6) !== 6) {
      findings.push({ path: ["local6"], message: `${local6} is no IPv6 address: that is local` });
    }
    if (device6 === device) findings.push({ path: ["device6"], message: "is the device of IPv4" });
    const v6 = Object.entries(spec.tunnels).find(([, { remote }]) => familyOf(remote) === 6);
    if (v6 !== undefined && device6 === undefined) {
      const message = `is IPv6, and there is no device6 (a link of type ip6gre with external) to carry it`;
      findings.push({ path: ["tunnels", v6[0], "remote"], message });
    }
    return findings;
  },
  queries: poolQueries,
  observe: observePool,
  plan: planPool,
  claims({ netns, device, device6, tunnels }): Claim[] {
    // One route for each device is enough to say that it must be there.
    const [number, first] = Object.entries(tunnels)[0] ?? [];
    const destination = first?.prefixes[0];
    if (number === undefined || destination === undefined) return [];
    return [device, device6].flatMap((dev): Claim[] =>
      dev === undefined
        ? []
        : [
            {
              claim: "route",
              ...(netns !== undefined && { netns }),
              destination,
              dev,
              path: ["device"],
            },
          ],
    );
  },
  explain: explainPool,
});
