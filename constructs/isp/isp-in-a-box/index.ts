import type { Construct } from "constructs";
import type { IPlace } from "../../../lib/synth";
import {
  addFindings,
  Composite,
  definePlace,
  formatAddress,
  interfaceName,
  parseCidr,
} from "../../../lib/synth";
import { Firewall } from "../../firewall";
import type { NamespaceProps } from "../../namespace";
import { Namespace } from "../../namespace";
import { StaticRoutes } from "../../static-routes";
import { VethPair } from "../../veth-pair";
import { SubscribersError } from "../findings";
import { NatNamespace } from "../nat-namespace";
import { PortBlocks } from "../port-blocks";
import { ShapingPath, TO_SUBSCRIBERS } from "../shaping-path";
import type { TunnelPools } from "../tunnel-addresses";
import { TunnelAllocation } from "../tunnel-addresses";
import { TunnelPool } from "../tunnel-pool";
import { findingsOfProps, TRANSIT } from "./findings";
import type { IspInABoxProps, IspNat } from "./props";

export type { IspInABoxProps, IspNat, Rates } from "./props";

/** Mbit/s, for a machine that says nothing of its uplink. */
const UPLINK_RATE = { download: 1000, upload: 1000 };
const TO_UPLINK = "to-uplink";

/**
 * One Linux machine as an ISP: every subscriber has a GRE tunnel to it, is held to its plan on the way between two
 * namespaces, and goes to the Internet behind one NAT.
 *
 *     subscriber ══ GRE ══ [subscribers] ── side A │ side B ── [internet] ── uplink ── Internet
 *                            namespace        shaped, bridged   namespace     NAT
 *
 * @example
 * new IspInABox(edge, "isp", {
 *   uplink: "eno2",
 *   tunnelPool: "192.168.11.0/24",
 *   subscribers: Subscribers.of([
 *     { id: "home-1", plan: { downloadMax: 50, uploadMax: 10 }, client: { address: "198.51.100.7" } },
 *   ]),
 *   shaper: Shaper.native(),
 *   bridge: "linux",
 * });
 */
export class IspInABox extends Composite {
  /** Line numbers and addresses by subscriber; undefined when the pool does not fit the subscribers. */
  readonly allocation: TunnelAllocation | undefined;

  constructor(host: IPlace & Construct, id: string, props: IspInABoxProps) {
    super(host, id);
    definePlace(this, host.place);
    const findings = findingsOfProps(props);
    addFindings(this, () => findings);
    this.allocation = this.#allocate(props, (message) => findings.push({ path: ["tunnelPool"], message }));
    // What is built on wrong props would only repeat what is wrong with them.
    if (this.allocation !== undefined && findings.length === 0) this.#build(host, props, this.allocation);
  }

  protected override outputs(): Readonly<Record<string, unknown>> | undefined {
    const { allocation } = this;
    if (allocation === undefined) return undefined;
    return { subscribers: allocation.tunnels.size };
  }

  #allocate({ tunnelPool, subscribers, nat }: IspInABoxProps, wrong: (message: string) => void) {
    try {
      const pools = typeof tunnelPool === "string" ? poolOf(tunnelPool) : tunnelPool;
      const limits =
        nat?.addresses === undefined ? [] : [new PortBlocks(blockOptions(nat, nat.addresses)).limit];
      return TunnelAllocation.of(subscribers.all, { ...pools, limits: [...(pools.limits ?? []), ...limits] });
    } catch (error) {
      if (!(error instanceof SubscribersError)) throw error;
      for (const { path, message } of error.findings)
        wrong(path === undefined ? message : `${path}: ${message}`);
      return undefined;
    }
  }

  #build(host: IPlace & Construct, props: IspInABoxProps, allocation: TunnelAllocation): void {
    const { bridge, queues, onAStick, nameservers, shaper, subscribers, uplinkRate = UPLINK_RATE } = props;
    const { address, subscribersReachEachOther: reachEachOther } = props;
    const named = (role: string) => ({
      name: `${this.node.id}-${role}`,
      ...(nameservers !== undefined && { nameservers }),
    });
    const served = new Namespace(this, "subscribers", { ...named("subscribers"), forwarding: true });
    const internet = this.#internet(props, allocation, named("internet"));
    const shaping = ends(props.transit?.shaping ?? TRANSIT.shaping);
    const path = new ShapingPath(this, "shaping", {
      host,
      subscribers: served,
      internet,
      bridge,
      addresses: { subscribers: [shaping.first], internet: [shaping.second] },
      ...(queues !== undefined && { queues }),
      ...(onAStick !== undefined && { onAStick }),
    });
    const { subscriberSide, internetSide } = path;
    shaper.attach(
      path,
      { subscriberSide, internetSide, bridge, uplink: uplinkRate },
      { subscribers, allocation },
    );
    this.#uplink(host, internet, props, shaping.first);
    new StaticRoutes(served, "default", { routes: [{ destination: "default", via: bare(shaping.second) }] });
    new TunnelPool(this, "tunnels", {
      namespace: served,
      underlay: host,
      subscribers,
      allocation,
      ...(address !== undefined && (address.includes(":") ? { local6: address } : { local: address })),
      ...(reachEachOther !== undefined && { reachEachOther }),
    });
  }

  /** The namespace between the shaper and the uplink; with public addresses of its own it is the NAT. */
  #internet({ nat, uplink }: IspInABoxProps, allocation: TunnelAllocation, named: NamespaceProps): Namespace {
    if (nat?.addresses !== undefined) {
      const subscribers = [...allocation.tunnels.values()].map(({ number, ipv4 }) => ({
        number,
        sources: ipv4 === undefined ? [] : [bare(ipv4.client)],
      }));
      const portBlocks = { ...blockOptions(nat, nat.addresses), subscribers };
      return new NatNamespace(this, "internet", { ...named, uplink: TO_UPLINK, portBlocks });
    }
    if (nat?.legacy === true)
      return new NatNamespace(this, "internet", { ...named, uplink: TO_UPLINK, legacy: { uplink } });
    return new Namespace(this, "internet", { ...named, forwarding: true });
  }

  /** From the second namespace to the Internet, behind the one NAT. */
  #uplink(
    host: IPlace & Construct,
    internet: Namespace,
    props: IspInABoxProps,
    subscribersEnd: string,
  ): void {
    const { uplink, tunnelPool } = props;
    const way = ends(props.transit?.uplink ?? TRANSIT.uplink);
    const outside = interfaceName("net", this.node.id);
    new VethPair(this, "uplink", {
      a: { namespace: internet, name: TO_UPLINK, addresses: [way.first] },
      b: { namespace: host, name: outside, addresses: [way.second] },
    });
    const pools =
      typeof tunnelPool === "string" ? [tunnelPool] : [tunnelPool.ipv4 ?? [], tunnelPool.ipv6 ?? []].flat();
    const back = (via: string, dev: string) =>
      pools.map((destination) => ({ destination, via: bare(via), dev }));
    new StaticRoutes(internet, "ways", {
      routes: [{ destination: "default", via: bare(way.second) }, ...back(subscribersEnd, TO_SUBSCRIBERS)],
    });
    const routed = [...back(way.first, outside), ...publicAddresses(props, way.first, outside)];
    new StaticRoutes(this, "to-subscribers", { routes: routed });
    if (props.nat?.addresses !== undefined || props.nat?.legacy === true) return host.enableForwarding();
    // The uplink's own address is the machine's: what comes back for it can be translated here alone.
    const nat = new Firewall(this, "nat", {
      table: `${this.node.id}-nat`,
      masquerade: [{ outInterface: uplink, source: pools }],
    });
    host.enableForwarding(nat);
  }
}

/** What public addresses of the NAT are routed by. */
function publicAddresses({ nat }: IspInABoxProps, via: string, dev: string) {
  return (nat?.addresses ?? []).map((address) => ({
    destination: address.includes("/") ? address : `${address}/32`,
    via: bare(via),
    dev,
  }));
}

function blockOptions({ portsPerSubscriber }: IspNat, addresses: readonly string[]) {
  return { addresses, ...(portsPerSubscriber !== undefined && { portsPerSubscriber }) };
}

/** A pool of the family that it is written in. */
function poolOf(pool: string): TunnelPools {
  return pool.includes(":") ? { ipv6: pool } : { ipv4: pool };
}

/** The two ends of a subnet, with its prefix length. */
function ends(subnet: string): { readonly first: string; readonly second: string } {
  const cidr = parseCidr(subnet);
  if (cidr === undefined) throw new Error(`${subnet} is no subnet`);
  const end = (offset: bigint) => `${formatAddress(cidr.family, cidr.address + offset)}/${cidr.prefix}`;
  return { first: end(1n), second: end(2n) };
}

const bare = (address: string) => address.replace(/\/.*/, "");
