import type { Finding } from "../../lib/kinds/kind";
import type { Cidr, Input } from "../../lib/synth";
import {
  contains,
  formatAddress,
  formatCidr,
  hash32,
  networkOf,
  overlaps,
  parseCidr,
  subnetAt,
  subnetCount,
} from "../../lib/synth";
import type { GreSitePair, GreSiteToSiteProps } from "./props";

/** Where tunnel addresses come from unless told: 16,384 subnets of four addresses. */
export const DEFAULT_POOL = "10.255.0.0/16";

/** One tunnel between two sites, `a` being the one whose name sorts first. */
export interface TunnelPlan {
  readonly a: string;
  readonly b: string;
  /** The subnet of both ends. */
  readonly subnet: Cidr;
  /** Address of each end without prefix length, by the site's name. */
  readonly address: Readonly<Record<string, string>>;
  readonly key: Input<number> | undefined;
}

/** The tunnels of a set of sites, and what stands in the way of the others. */
export interface TunnelsPlan {
  readonly tunnels: readonly TunnelPlan[];
  readonly findings: readonly Finding[];
}

/** The pairs of sites that a topology joins, each in order and once. */
export function pairsOf(
  props: Pick<GreSiteToSiteProps, "sites" | "topology">,
): readonly (readonly [string, string])[] {
  const names = [...new Set(props.sites.map((site) => site.name))].sort();
  const { topology = "full-mesh" } = props;
  const all = names.flatMap((a, index) => names.slice(index + 1).map((b) => [a, b] as const));
  return topology === "full-mesh" ? all : all.filter(([a, b]) => a === topology.hub || b === topology.hub);
}

/**
 * Gives each pair of sites its subnet. It depends on the two names and the pool alone, never on the other sites or
 * on the order: that is why two pairs that hit on the same subnet are not moved apart but reported.
 */
export function planTunnels(props: GreSiteToSiteProps): TunnelsPlan {
  const findings: Finding[] = [];
  const pool = parseCidr(props.tunnelPool ?? DEFAULT_POOL);
  if (pool === undefined) return { tunnels: [], findings };
  const prefix = props.tunnelPrefix ?? (pool.family === 4 ? 30 : 127);
  const allowed = pool.family === 4 ? [30, 31] : [126, 127];
  if (!allowed.includes(prefix)) {
    const message = `must be ${allowed.join(" or ")} for an IPv${pool.family} pool`;
    return { tunnels: [], findings: [{ path: ["tunnelPrefix"], message }] };
  }

  const pairs = pairsOf(props);
  const slots = subnetCount(pool, prefix);
  const drawn = pairs.filter(([a, b]) => exception(props, a, b)?.pair.tunnelSubnet === undefined);
  if (BigInt(drawn.length) > slots) {
    const message =
      `${formatCidr(pool)} holds ${slots} subnets of /${prefix}, and ${drawn.length} tunnels need one; ` +
      `take a larger pool`;
    return { tunnels: [], findings: [{ path: ["tunnelPool"], message }] };
  }

  const wanted: TunnelPlan[] = [];
  for (const [a, b] of pairs) {
    const own = exception(props, a, b);
    const given = own?.pair.tunnelSubnet;
    const subnet = given === undefined ? subnetAt(pool, prefix, slotOf(a, b, slots)) : parseCidr(given);
    if (subnet === undefined) continue;
    const problem = given === undefined ? undefined : notPointToPoint(subnet, given);
    if (own !== undefined && problem !== undefined) {
      findings.push({ path: ["pairs", own.index, "tunnelSubnet"], message: problem });
      continue;
    }
    wanted.push({ a, b, subnet, address: ends(a, b, subnet), key: keyOf(props, a, b) });
  }
  const clashes = clashing(wanted);
  for (const [tunnel, other] of clashes) {
    const given = [tunnel, other].some(({ a, b }) => exception(props, a, b)?.pair.tunnelSubnet !== undefined);
    findings.push(
      given
        ? explicitClash(props, tunnel, other)
        : { path: ["tunnelPool"], message: collision(tunnel, other, pool, wanted, slots) },
    );
  }
  return { tunnels: wanted.filter((tunnel) => !clashes.has(tunnel)), findings };
}

/** The tunnels whose subnet overlaps that of another, each with the other. */
function clashing(tunnels: readonly TunnelPlan[]): ReadonlyMap<TunnelPlan, TunnelPlan> {
  const byAddress = [...tunnels].sort((x, y) => {
    if (x.subnet.family !== y.subnet.family) return x.subnet.family - y.subnet.family;
    const [p, q] = [networkOf(x.subnet), networkOf(y.subnet)];
    return p < q ? -1 : p > q ? 1 : x.subnet.prefix - y.subnet.prefix;
  });
  const clashes = new Map<TunnelPlan, TunnelPlan>();
  let before: TunnelPlan | undefined;
  for (const tunnel of byAddress) {
    if (before !== undefined && overlaps(before.subnet, tunnel.subnet)) clashes.set(tunnel, before);
    else before = tunnel;
  }
  return clashes;
}

/** What the program says of one pair in particular. */
export function exception(
  props: GreSiteToSiteProps,
  a: string,
  b: string,
): { readonly index: number; readonly pair: GreSitePair } | undefined {
  const index = (props.pairs ?? []).findIndex(
    ({ between: [x, y] }) => (x === a && y === b) || (x === b && y === a),
  );
  const pair = props.pairs?.[index];
  return pair === undefined ? undefined : { index, pair };
}

function slotOf(a: string, b: string, slots: bigint): bigint {
  const [high, low] = [hash32("gre-site-to-site", a, b), hash32("gre-site-to-site", a, b, "low")];
  return ((BigInt(high) << 32n) | BigInt(low)) % slots;
}

function ends(a: string, b: string, subnet: Cidr): Readonly<Record<string, string>> {
  // All four addresses of a /30 exist, but the first is the network and the last the broadcast address.
  const first = networkOf(subnet) + (subnet.prefix % 2 === 0 ? 1n : 0n);
  return { [a]: formatAddress(subnet.family, first), [b]: formatAddress(subnet.family, first + 1n) };
}

function keyOf(props: GreSiteToSiteProps, a: string, b: string): Input<number> | undefined {
  const own = exception(props, a, b)?.pair.key;
  if (own !== undefined) return own;
  return typeof props.key === "function" ? props.key(a, b) : props.key;
}

function notPointToPoint(subnet: Cidr, text: string): string | undefined {
  const allowed = subnet.family === 4 ? [30, 31] : [126, 127];
  return allowed.includes(subnet.prefix)
    ? undefined
    : `must be a /${allowed.join(" or a /")}; ${text} is a /${subnet.prefix}`;
}

function explicitClash(props: GreSiteToSiteProps, tunnel: TunnelPlan, other: TunnelPlan): Finding {
  const own = exception(props, tunnel.a, tunnel.b) ?? exception(props, other.a, other.b);
  const message =
    `${formatCidr(tunnel.subnet)} of ${tunnel.a} and ${tunnel.b} overlaps ` +
    `${formatCidr(other.subnet)} of ${other.a} and ${other.b}`;
  return { path: own === undefined ? ["pairs"] : ["pairs", own.index, "tunnelSubnet"], message };
}

function collision(
  tunnel: TunnelPlan,
  other: TunnelPlan,
  pool: Cidr,
  taken: readonly TunnelPlan[],
  slots: bigint,
): string {
  const { prefix } = tunnel.subnet;
  let index = slotOf(tunnel.a, tunnel.b, slots);
  let free: Cidr | undefined;
  for (let tries = 0n; tries < slots && free === undefined; tries += 1n) {
    index = (index + 1n) % slots;
    const candidate = subnetAt(pool, prefix, index);
    if (contains(pool, candidate) && !taken.some((t) => overlaps(t.subnet, candidate))) free = candidate;
  }
  const hint =
    free === undefined
      ? ""
      : `, or give one of them its own: pairs: [{ between: ["${tunnel.a}", "${tunnel.b}"], tunnelSubnet: "${formatCidr(free)}" }]`;
  return (
    `${tunnel.a} and ${tunnel.b} hit on the same subnet ${formatCidr(tunnel.subnet)} as ${other.a} and ${other.b}; ` +
    `take a larger pool${hint}`
  );
}
