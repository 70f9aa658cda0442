import type { Construct } from "constructs";
import type { ClientEndpoint, IPlace, LinkHandle, TunnelAddresses } from "netloom";
import {
  ClientRouting,
  Composite,
  Firewall,
  GreSubscriberTunnel,
  Namespace,
  StaticRoutes,
  VethPair,
} from "netloom";

/** A subscriber's place in the world. */
export interface HomeProps {
  /** The machine that plays the world. */
  readonly host: IPlace;
  /** The far end of the subscriber's tunnel, which has a public address in 203.0.113.0/24. */
  readonly client: ClientEndpoint & { readonly address: string };
  /** The tunnel's inner addresses. */
  readonly ends: TunnelAddresses;
}

const GATEWAY = "203.0.113.1";
/** Where a router translates: the subscriber's own network has a private address (RFC 1918). */
const PRIVATE = { router: "10.99.0.1", home: "10.99.0.2" } as const;

/**
 * A namespace that everything goes through the ISP's tunnel from. Its public address is its own, or, where the client
 * sends GRE inside UDP, that of a router before it, which translates.
 */
export class Home extends Composite {
  /** The end of the cable towards the world, in the machine's initial namespace. */
  readonly cable: LinkHandle;

  constructor(scope: Construct, id: string, { host, client, ends }: HomeProps) {
    super(scope, id);
    const { address, key, fou = false } = client;
    const home = new Namespace(this, "home", { name: id });
    const outside = fou ? this.#router(home, id) : home;
    this.cable = new VethPair(this, "cable", {
      a: { namespace: host, name: `to-${id}` },
      b: { namespace: outside, name: fou ? "wan" : "eth0", addresses: [`${address}/24`] },
    }).a;
    new StaticRoutes(outside, "gateway", { routes: [{ destination: "default", via: GATEWAY }] });
    const inner = [ends.ipv4?.client, ends.ipv6?.client].filter((end) => end !== undefined);
    const tunnel = GreSubscriberTunnel.client(home, "gre1", {
      local: fou ? PRIVATE.home : address,
      remote: "198.51.100.2",
      addresses: inner,
      ...(key !== undefined && { key }),
      ...(fou && { fou: {} }),
    });
    new ClientRouting(home, "routing", {
      mode: "default",
      tunnel,
      gateway: fou ? PRIVATE.router : GATEWAY,
      uplink: "eth0",
      ipVersions: ends.ipv6 === undefined ? [4] : [4, 6],
    });
  }

  /** A router with the public address, and the home behind it. */
  #router(home: Namespace, id: string): Namespace {
    const router = new Namespace(this, "router", { name: `${id}-router`, forwarding: true });
    new VethPair(this, "lan", {
      a: { namespace: router, name: "lan", addresses: [`${PRIVATE.router}/30`] },
      b: { namespace: home, name: "eth0", addresses: [`${PRIVATE.home}/30`] },
    });
    new StaticRoutes(home, "gateway", { routes: [{ destination: "default", via: PRIVATE.router }] });
    new Firewall(router, "nat", {
      table: "nat",
      masquerade: [{ outInterface: "wan", source: `${PRIVATE.home}/32` }],
    });
    return router;
  }
}
