import type { Construct } from "constructs";
import type { IPlace } from "../../../lib/synth";
import { addFindings, Composite, definePlace, interfaceName } from "../../../lib/synth";
import { Firewall } from "../../firewall";
import type { NamespaceProps } from "../../namespace";
import { Namespace } from "../../namespace";
import { StaticRoutes } from "../../static-routes";
import { VethPair } from "../../veth-pair";
import { SubscribersError } from "../findings";
import { NatNamespace } from "../nat-namespace";
import { PortBlocks } from "../port-blocks";
import { ShapingPath, TO_SUBSCRIBERS } from "../shaping-path";
import { TunnelAllocation } from "../tunnel-addresses";
import { TunnelPool } from "../tunnel-pool";
import { findingsOfProps } from "./findings";
import type { IspInABoxProps, IspNat } from "./props";
import type { Ways } from "./ways";
import { bare, isTranslated, poolsOf, waysOf } from "./ways";

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
      const pools = poolsOf({ tunnelPool });
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
    const ways = waysOf(props);
    const path = new ShapingPath(this, "shaping", {
      host,
      subscribers: served,
      internet,
      bridge,
      addresses: {
        subscribers: ways.map(({ shaping }) => shaping.first),
        internet: ways.map(({ shaping }) => shaping.second),
      },
      ...(queues !== undefined && { queues }),
      ...(onAStick !== undefined && { onAStick }),
    });
    const { subscriberSide, internetSide, before } = path;
    shaper.attach(
      path,
      { subscriberSide, internetSide, before, bridge, uplink: uplinkRate },
      { subscribers, allocation },
    );
    this.#uplink(host, internet, props, ways);
    new StaticRoutes(served, "default", {
      routes: ways.map(({ shaping }) => ({
        destination: "default",
        via: bare(shaping.second),
      })),
    });
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
  #internet(props: IspInABoxProps, allocation: TunnelAllocation, named: NamespaceProps): Namespace {
    const { nat, uplink } = props;
    const pool = poolsOf(props).ipv4;
    const ipv4 = pool === undefined ? {} : { sources: [pool] };
    if (nat?.addresses !== undefined) {
      const subscribers = [...allocation.tunnels.values()].map(({ number, ipv4: ends }) => ({
        number,
        sources: ends === undefined ? [] : [bare(ends.client)],
      }));
      // IPv6 has no port blocks, and a public prefix is not translated.
      const portBlocks = { ...blockOptions(nat, nat.addresses), subscribers };
      return new NatNamespace(this, "internet", { ...named, ...ipv4, uplink: TO_UPLINK, portBlocks });
    }
    if (nat?.legacy === true)
      return new NatNamespace(this, "internet", {
        ...named,
        ...ipv4,
        uplink: TO_UPLINK,
        legacy: { uplink },
      });
    return new Namespace(this, "internet", { ...named, forwarding: true });
  }

  /** From the second namespace to the Internet, behind the one NAT. */
  #uplink(host: IPlace & Construct, internet: Namespace, props: IspInABoxProps, ways: readonly Ways[]): void {
    const outside = interfaceName("net", this.node.id);
    new VethPair(this, "uplink", {
      a: { namespace: internet, name: TO_UPLINK, addresses: ways.map(({ uplink }) => uplink.first) },
      b: { namespace: host, name: outside, addresses: ways.map(({ uplink }) => uplink.second) },
    });
    new StaticRoutes(internet, "ways", {
      routes: ways.flatMap(({ pool, shaping, uplink }) => [
        { destination: "default", via: bare(uplink.second) },
        { destination: pool, via: bare(shaping.first), dev: TO_SUBSCRIBERS },
      ]),
    });
    new StaticRoutes(this, "to-subscribers", {
      routes: ways.flatMap(({ family, pool, uplink }) => {
        const via = bare(uplink.first);
        const back = { destination: pool, via, dev: outside };
        return family === 4 ? [back, ...publicAddresses(props, via, outside)] : [back];
      }),
    });
    // The uplink's own address is the machine's: what comes back for it can be translated here alone.
    const elsewhere = props.nat?.addresses !== undefined || props.nat?.legacy === true;
    const here = ways.filter((way) => isTranslated(way) && !(way.family === 4 && elsewhere));
    const nat =
      here.length === 0
        ? []
        : [
            new Firewall(this, "nat", {
              table: `${this.node.id}-nat`,
              masquerade: here.map(({ pool }) => ({ outInterface: props.uplink, source: pool })),
            }),
          ];
    for (const { family } of ways) {
      if (family === 4) host.enableForwarding(...nat);
      else host.enableIpv6Forwarding(...nat);
    }
  }
}

/** What public addresses of the NAT are routed by. */
function publicAddresses({ nat }: IspInABoxProps, via: string, dev: string) {
  return (nat?.addresses ?? []).map((address) => ({
    destination: address.includes("/") ? address : `${address}/32`,
    via,
    dev,
  }));
}

function blockOptions({ portsPerSubscriber }: IspNat, addresses: readonly string[]) {
  return { addresses, ...(portsPerSubscriber !== undefined && { portsPerSubscriber }) };
}
