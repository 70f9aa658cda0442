import type { Construct } from "constructs";
import type { Finding } from "../../lib/kinds/kind";
import { tunnelPool, type TunnelPoolInput } from "../../lib/kinds/tunnel-pool";
import type { IPlace } from "../../lib/synth";
import { addFindings, Composite, definePlace, enclosing, interfaceName, KernelObject } from "../../lib/synth";
import { Firewall } from "../firewall";
import { Link } from "../link";
import { StaticRoutes, type StaticRoute } from "../static-routes";
import { GreSubscriberTunnel } from "./gre-subscriber-tunnel";
import type { Subscriber } from "./model";
import { subscriberPolicy, SUBSCRIBER_PREFIX, type PolicyMember } from "./subscriber-policy";
import type { Subscribers } from "./subscribers";
import type { TunnelAddresses, TunnelAllocation } from "./tunnel-addresses";

/** What carries the tunnels of a pool. */
export type TunnelPoolMode = "device" | "metadata";

/** Subscribers' tunnels, all of them. */
export interface TunnelPoolProps {
  /**
   * The namespace that the tunnels end in.
   * @default - the nearest Namespace or Host around the construct
   */
  readonly namespace?: IPlace;
  /**
   * The namespace that the outer packets travel in; a `Host` stands for its initial one.
   * @default - the namespace that the tunnels end in
   */
  readonly underlay?: IPlace;
  /**
   * Own address of the outer IPv4 packets: what clients send to.
   * @default - the one that fits the route; clients may send to any
   */
  readonly local?: string;
  /**
   * Own address of the outer IPv6 packets.
   * @default - the one that fits the route
   */
  readonly local6?: string;
  /** Who is served. One without a `client` has no tunnel. */
  readonly subscribers: Subscribers;
  /** Their line numbers and addresses. */
  readonly allocation: TunnelAllocation;
  /**
   * `device`: a link for each tunnel. `metadata`: one link for all of them, and a nexthop object for each. `auto`
   * chooses by the number of tunnels. Changing it makes every tunnel anew; clients need not change.
   * @default "auto"
   */
  readonly mode?: TunnelPoolMode | "auto";
  /**
   * The most tunnels that `auto` gives a link each.
   * @default 64
   */
  readonly threshold?: number;
  /**
   * GRE checksums (RFC 2784); the clients must agree.
   * @default false
   */
  readonly checksum?: boolean;
  /**
   * Hop limit of the outer packets, 1 to 255.
   * @default 64
   */
  readonly ttl?: number;
  /**
   * MTU in bytes of the way to the clients.
   * @default 1500
   */
  readonly underlayMtu?: number;
  /**
   * Lets in only what comes from a subscriber's own addresses, through its own tunnel; the rest is dropped and counted.
   * @default true
   */
  readonly checkSource?: boolean;
  /**
   * Lets subscribers reach each other, unshaped: `true` for all, or pairs of ids.
   * @default false
   */
  readonly reachEachOther?: boolean | readonly (readonly [string, string])[];
  /**
   * Where nexthop ids begin (`metadata`); another pool in the same namespace needs another.
   * @default 1048576
   */
  readonly firstNexthop?: number;
}

/** Up to this many tunnels a link for each is no burden, and easier to look at. */
const THRESHOLD = 64;

/**
 * Tunnels of one resource. Their line numbers say which, so that a subscriber who comes or goes moves nobody to
 * another.
 */
const SHARD = 1024;

/** Bytes that GRE with a key adds over IPv4 and over IPv6 (RFC 2784, RFC 2890, RFC 7676). */
const OVERHEAD = { 4: 20 + 4 + 4, 6: 40 + 4 + 4 } as const;

interface Line {
  readonly subscriber: Subscriber;
  readonly remote: string;
  readonly fou: boolean;
  readonly key: number;
  readonly ends: TunnelAddresses;
  /** The subscriber's own addresses inside the tunnel. */
  readonly sources: readonly string[];
}

const bare = (address: string) => address.replace(/\/.*/, "");
const isV6 = (address: string) => address.includes(":");

/**
 * The server's ends of all subscribers' tunnels, with their source checks, their isolation from each other and TCP
 * segments that fit. Few tunnels are links of their own; many share one link in metadata mode, where one more costs
 * the host a nexthop, a route and a filter.
 *
 * @example
 * new TunnelPool(served, "tunnels", { underlay: edge, subscribers, allocation: TunnelAllocation.of(subscribers.all, { ipv4: "10.64.0.0/16" }) });
 */
export class TunnelPool extends Composite {
  /** What carries the tunnels. */
  readonly mode: TunnelPoolMode;
  /** Why it is so, for people. */
  readonly reason: string;
  readonly #lines: readonly Line[];
  readonly #props: TunnelPoolProps;

  constructor(scope: Construct, id: string, props: TunnelPoolProps) {
    super(scope, id);
    const { mode = "auto", threshold = THRESHOLD, subscribers, allocation } = props;
    const findings: Finding[] = [];
    addFindings(this, () => findings);
    this.#props = props;
    this.#lines = linesOf(subscribers, allocation, findings);
    const count = this.#lines.length;
    const many = count > threshold;
    this.mode = mode === "auto" ? (many ? "metadata" : "device") : mode;
    this.reason =
      mode === "auto"
        ? `${count} tunnels ${many ? "are more than" : "are not more than"} the threshold of ${threshold}`
        : `mode is "${mode}"`;
    const namespace = props.namespace ?? enclosing(this);
    if (namespace === undefined) {
      findings.push({ path: ["namespace"], message: "is on no host: create it inside a Host or Namespace" });
      return;
    }
    if (props.namespace !== undefined) definePlace(this, namespace.place);
    for (const [index, pair] of pairsOf(props).entries()) {
      for (const [side, one] of pair.entries()) {
        if (this.#lines.some(({ subscriber }) => subscriber.id === one)) continue;
        const message = `names ${JSON.stringify(one)}, and no subscriber with a tunnel has that id`;
        findings.push({ path: ["reachEachOther", index, side], message });
      }
    }
    if (findings.length === 0 && count > 0) this.#build(namespace);
  }

  /** What the client of a subscriber needs to make its end: `GreSubscriberTunnel.client(scope, id, these)`. */
  clientOf(subscriber: string) {
    const line = this.#lines.find((one) => one.subscriber.id === subscriber);
    if (line === undefined) return undefined;
    const { ipv4, ipv6 } = line.ends;
    const server = isV6(line.remote) ? this.#props.local6 : this.#props.local;
    return {
      local: line.remote,
      ...(server !== undefined && { remote: server }),
      key: line.key,
      checksum: this.#props.checksum ?? false,
      addresses: [ipv4?.client, ipv6?.client].filter((end) => end !== undefined),
    };
  }

  protected override outputs(): Readonly<Record<string, unknown>> {
    return { tunnels: this.#lines.length, mode: this.mode, reason: this.reason };
  }

  #build(namespace: IPlace): void {
    const { allocation, checkSource = true, reachEachOther = false } = this.#props;
    const own = (line: Line) => this.mode === "device" || line.fou;
    const device = (line: Line) => (own(line) ? nameOf(line) : this.#device(isV6(line.remote) ? 6 : 4));
    const members = this.#lines.map((line): PolicyMember => ({
      id: line.subscriber.id,
      interface: device(line),
      ownInterface: own(line),
      sources: line.sources,
    }));
    const policy = new Firewall(this, "policy", {
      namespace,
      table: `${this.node.id}-subscribers`,
      // Those that share a link are checked by the link's own filters.
      ...subscriberPolicy({ members, checkSource, reachEachOther }),
    });
    const links = this.#lines.filter(own).map((line) => {
      const tunnel = this.#link(line, namespace);
      // Nothing of a subscriber comes in before the policy is there.
      tunnel.node.addDependency(policy);
      return tunnel;
    });
    const shared = this.#lines.filter((line) => !own(line));
    if (shared.length > 0) this.#metadata(shared, namespace, policy);
    const unreachable = allocation.pools.map((destination): StaticRoute => ({
      destination,
      type: "unreachable",
    }));
    // An address of the pool that nobody has goes nowhere, rather than to the Internet and back.
    const behind = this.#lines.filter(own).flatMap((line) => routesBehind(line));
    const routes = new StaticRoutes(this, "routes", {
      namespace,
      name: `${this.node.id}-routes`,
      routes: [...unreachable, ...behind],
    });
    routes.node.addDependency(...links);
  }

  /** A tunnel that is a link of its own. */
  #link(line: Line, namespace: IPlace): GreSubscriberTunnel {
    const { underlay, local, local6, checksum, ttl, underlayMtu } = this.#props;
    const { ipv4, ipv6 } = line.ends;
    const from = isV6(line.remote) ? local6 : local;
    return GreSubscriberTunnel.server(this, `tunnel-${line.subscriber.id}`, {
      namespace,
      ...(underlay !== undefined && { underlay }),
      name: nameOf(line),
      ...(from !== undefined && { local: from }),
      remote: line.remote,
      key: line.key,
      ...(checksum !== undefined && { checksum }),
      ...(ttl !== undefined && { ttl }),
      ...(underlayMtu !== undefined && { underlayMtu }),
      ...(line.fou && { fou: {} }),
      addresses: [ipv4?.server, ipv6?.server].filter((end) => end !== undefined),
    });
  }

  #device(family: 4 | 6): string {
    return interfaceName(SUBSCRIBER_PREFIX, family === 4 ? "gre" : "gre6");
  }

  /** The links that all others share, and the shards of their tunnels. */
  #metadata(lines: readonly Line[], namespace: IPlace, policy: Firewall): void {
    const { underlay, underlayMtu = 1500, checksum = false, checkSource = true } = this.#props;
    const { local, local6, ttl, firstNexthop } = this.#props;
    const elsewhere = elsewhereOf(namespace, underlay);
    const families: (4 | 6)[] = lines.some(({ remote }) => isV6(remote)) ? [4, 6] : [4];
    const devices = families.map((family) => {
      const device = new Link(this, family === 4 ? "gre" : "gre6", {
        namespace,
        name: this.#device(family),
        kind: family === 4 ? "gre" : "ip6gre",
        external: true,
        mtu: underlayMtu - OVERHEAD[family] - (checksum ? 4 : 0),
        ...(elsewhere !== undefined && { linkNetns: elsewhere }),
      });
      device.node.addDependency(policy);
      return device;
    });
    const shards = new Map<number, Record<string, TunnelPoolInput["tunnels"][string]>>();
    for (const { remote, key, ends, sources } of lines) {
      const shard = Math.floor(ends.number / SHARD);
      const tunnels = shards.get(shard) ?? {};
      shards.set(shard, tunnels);
      const own = [ends.ipv4?.server, ends.ipv6?.server].flatMap((end) =>
        end === undefined ? [] : [bare(end)],
      );
      tunnels[String(ends.number)] = {
        remote,
        ...(key !== ends.number && { key }),
        addresses: own,
        prefixes: [...sources],
      };
    }
    for (const [shard, tunnels] of [...shards].sort(([a], [b]) => a - b)) {
      const pool = new KernelObject(this, `shard-${shard}`, {
        kind: tunnelPool,
        place: namespace.place,
        onBehalfOf: this,
        intent: {
          name: `${this.node.id}-${shard}`,
          device: this.#device(4),
          ...(families.includes(6) && { device6: this.#device(6) }),
          local,
          local6,
          ttl,
          checksum,
          checkSource,
          firstNexthop,
          tunnels,
        } satisfies Partial<Record<keyof TunnelPoolInput, unknown>>,
      });
      pool.node.addDependency(...devices);
    }
  }
}

const nameOf = (line: Line) => interfaceName(SUBSCRIBER_PREFIX, String(line.ends.number));

function pairsOf({ reachEachOther }: TunnelPoolProps): readonly (readonly [string, string])[] {
  return typeof reachEachOther === "object" ? reachEachOther : [];
}

/** The name of the outer packets' namespace as a link takes it; undefined where it is the link's own. */
export function elsewhereOf(namespace: IPlace | undefined, underlay: IPlace | undefined): string | undefined {
  if (underlay === undefined || underlay.place.netns === namespace?.place.netns) return undefined;
  return underlay.place.netns ?? "";
}

/** Every subscriber that has a client; what stands in the way of the others. */
function linesOf(subscribers: Subscribers, allocation: TunnelAllocation, findings: Finding[]): Line[] {
  return subscribers.all.flatMap((subscriber): Line[] => {
    const { id, client } = subscriber;
    const ends = allocation.tunnels.get(id);
    if (client === undefined || ends === undefined) return [];
    if (client.address === undefined) {
      const message =
        `subscriber ${JSON.stringify(id)} has no client.address: the kernel's FOU does not learn where a client is. ` +
        "Give the public address of its NAT, which must keep or forward the UDP port";
      findings.push({ path: ["subscribers"], message });
      return [];
    }
    const inner = [ends.ipv4?.client, ends.ipv6?.client].flatMap((end) =>
      end === undefined ? [] : [bare(end)],
    );
    const sources = [...new Set([...inner, ...allocation.addressesOf(subscriber)])];
    const key = client.key ?? ends.number;
    return [{ subscriber, remote: client.address, fou: client.fou ?? false, key, ends, sources }];
  });
}

/** Routes to what a subscriber has behind its end of the tunnel. */
function routesBehind(line: Line): StaticRoute[] {
  const ends = [line.ends.ipv4?.client, line.ends.ipv6?.client].flatMap((end) =>
    end === undefined ? [] : [bare(end)],
  );
  return line.sources
    .filter((address) => !ends.includes(address))
    .map((address) => ({
      destination: address.includes("/") ? address : `${address}/${isV6(address) ? 128 : 32}`,
      dev: nameOf(line),
    }));
}
