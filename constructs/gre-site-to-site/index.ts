import type { Construct } from "constructs";
import type { IPlace } from "../../lib/synth";
import { addFindings, Composite, definePlace, interfaceName, parseCidr } from "../../lib/synth";
import { Firewall } from "../firewall";
import { GreTunnel } from "../gre-tunnel";
import type { StaticRoute } from "../static-routes";
import { StaticRoutes } from "../static-routes";
import { findingsOfProps } from "./findings";
import type { GreSite, GreSiteToSiteProps } from "./props";
import type { TunnelPlan } from "./tunnels";
import { planTunnels } from "./tunnels";

export type { GreSite, GreSitePair, GreSiteToSiteProps } from "./props";

/**
 * Networks of two or more sites joined by GRE tunnels over a WAN: tunnels with addresses and the MTU that fits,
 * routes to each other's networks, forwarding, MSS clamping, and nothing private on the WAN.
 *
 * GRE hides nothing: on a WAN that is not trusted, carry it in something that encrypts.
 *
 * @example
 * new GreSiteToSite(app, "vpn", {
 *   sites: [
 *     { name: "north", host: north, wanInterface: "eth1", wanAddress: "192.0.2.1", lans: ["172.16.1.0/24"] },
 *     { name: "south", host: south, wanInterface: "eth1", wanAddress: "192.0.2.2", lans: ["172.16.2.0/24"] },
 *   ],
 * });
 */
export class GreSiteToSite extends Composite {
  /** The tunnels, each with the addresses of its two ends. */
  readonly tunnels: readonly TunnelPlan[];
  readonly #props: GreSiteToSiteProps;
  readonly #sites: readonly GreSite[];

  constructor(scope: Construct, id: string, props: GreSiteToSiteProps) {
    super(scope, id);
    this.#props = props;
    const findings = findingsOfProps(props);
    const plan = planTunnels(props);
    addFindings(this, () => [...findings, ...plan.findings]);
    this.tunnels = plan.tunnels;
    // What is built on a wrong site would only repeat what is wrong with it; networks can still be left out.
    this.#sites = props.sites.filter(
      (_, index) => !findings.some(({ path: [a, b, c] }) => a === "sites" && b === index && c !== "lans"),
    );
    for (const site of this.#sites) this.#site(site);
  }

  protected override outputs(): Readonly<Record<string, unknown>> {
    return {
      tunnels: this.tunnels.map(({ a, b, address }) => ({
        [a]: { interface: this.#interface(a, b), address: address[a] },
        [b]: { interface: this.#interface(b, a), address: address[b] },
      })),
    };
  }

  /** What one site has. */
  #site(site: GreSite): void {
    const router = (site.namespace ?? site.host) as IPlace;
    const within = new GreSiteRouter(this, site.name, router);
    const mine = this.tunnels.filter(({ a, b }) => a === site.name || b === site.name);
    if (mine.length === 0) return;
    for (const tunnel of mine) {
      const peer = this.#peer(tunnel, site);
      if (peer !== undefined) this.#end(within, site, peer, tunnel);
    }
    const firewall = this.#firewall(within, site, mine);
    const before = firewall === undefined ? [] : [firewall];
    router.enableForwarding(...before);
    const lans = this.#sites.flatMap((one) => one.lans);
    if (lans.some((lan) => lan.includes(":"))) router.enableIpv6Forwarding(...before);
  }

  /** One end of a tunnel and the routes through it. */
  #end(within: Construct, site: GreSite, peer: GreSite, tunnel: TunnelPlan): void {
    const { checksum, ttl, mtu } = this.#props;
    const name = this.#interface(site.name, peer.name);
    const pathMtus = [site.wanMtu, peer.wanMtu].filter((value) => value !== undefined);
    new GreTunnel(within, peer.name, {
      name,
      local: site.wanAddress,
      remote: peer.wanAddress,
      addresses: [`${tunnel.address[site.name]}/${tunnel.subnet.prefix}`],
      ...(tunnel.key !== undefined && { key: tunnel.key }),
      ...(checksum !== undefined && { checksum }),
      ...(ttl !== undefined && { ttl }),
      ...(mtu !== undefined && { mtu }),
      ...(pathMtus.length > 0 && { underlayMtu: Math.min(...pathMtus) }),
    });
    const routes = this.#behind(site, peer).map((destination): StaticRoute => {
      // A next hop is of the destination's own family; a tunnel has one other end, so the link alone will do.
      const sameFamily = parseCidr(destination)?.family === tunnel.subnet.family;
      return { destination, dev: name, ...(sameFamily && { via: tunnel.address[peer.name] }) };
    });
    if (routes.length > 0)
      new StaticRoutes(within, `to-${peer.name}`, { name: this.#name(peer.name), routes });
  }

  /** What keeps TCP segments small enough for the tunnels, and private packets off the WAN. */
  #firewall(within: Construct, site: GreSite, mine: readonly TunnelPlan[]): Firewall | undefined {
    const { clampMss = true, leakProtection = "drop" } = this.#props;
    const tunnels = mine.flatMap((tunnel) => {
      const peer = this.#peer(tunnel, site);
      return peer === undefined ? [] : [this.#interface(site.name, peer.name)];
    });
    // Of all the sites: a packet from another one that finds the network here gone must not leave either.
    const all = this.#sites.flatMap(networksOf);
    const leaks = ([4, 6] as const)
      .map((family) => all.filter((network) => parseCidr(network)?.family === family))
      .filter((networks) => networks.length > 0)
      .map((source) => ({ source, outInterface: site.wanInterface }));
    const clamps = clampMss && tunnels.length > 0 ? [{ mss: "pmtu" as const, outInterface: tunnels }] : [];
    // Connection tracking does not translate what it takes for invalid: that would leave with its private source.
    const untranslatable = leaks.map((leak) => ({ ...leak, connectionState: "invalid" as const }));
    const dropped = leakProtection === "drop" ? leaks : leakProtection === "masquerade" ? untranslatable : [];
    const masquerade = leakProtection === "masquerade" ? leaks : [];
    if (clamps.length + dropped.length + masquerade.length === 0) return undefined;
    return new Firewall(within, "firewall", {
      table: this.#name(),
      clampMss: clamps,
      masquerade,
      forward: { rules: dropped.map((leak) => ({ action: "drop", ...leak })) },
    });
  }

  /** The networks that a site reaches through a peer: the peer's own, and through the hub all the others'. */
  #behind(site: GreSite, peer: GreSite): readonly string[] {
    const { topology = "full-mesh" } = this.#props;
    const through = topology !== "full-mesh" && topology.hub === peer.name;
    const others = through ? this.#sites.filter((other) => other.name !== site.name) : [peer];
    return others.flatMap(networksOf);
  }

  #peer({ a, b }: TunnelPlan, site: GreSite): GreSite | undefined {
    return this.#sites.find((other) => other.name === (site.name === a ? b : a));
  }

  #interface(site: string, peer: string): string {
    const given = this.#props.sites.find((other) => other.name === site)?.tunnelInterface;
    if (typeof given === "string") return given;
    return given === undefined ? interfaceName("gre", peer) : given(peer);
  }

  /** Names what this construct makes in a namespace that it may share with others of its sort. */
  #name(suffix?: string): string {
    const path = this.node.path.replace(/[^A-Za-z0-9_.-]+/g, "-");
    return suffix === undefined ? path : `${path}-${suffix}`;
  }
}

/** What one site has: the place of its tunnels, routes and firewall table. */
class GreSiteRouter extends Composite {
  constructor(scope: Construct, id: string, router: IPlace) {
    super(scope, id);
    definePlace(this, router.place);
  }
}

/** A site's networks, without those that its findings are about. */
function networksOf(site: GreSite): readonly string[] {
  return site.lans.filter((lan) => parseCidr(lan) !== undefined);
}
