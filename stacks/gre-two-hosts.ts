/**
 * Two LANs joined by a GRE tunnel between two hosts, each its site's router:
 *
 *     lan1 ── west ══ WAN ══ east ── lan2
 *               └──── gre1 ────┘
 *
 * The LANs are namespaces of the hosts. `west` and `east` in the configuration say how each is reached and which of
 * its NICs leads to the WAN.
 */
import * as pulumi from "@pulumi/pulumi";
import type { GreSite } from "netloom";
import { App, GreSiteToSite, Host, Link, Namespace, StaticRoutes, VethPair } from "netloom";
import type { Reach } from "./support/reach";

/** One host in the configuration. */
interface HostConfig extends Reach {
  /** The NIC that leads to the WAN; it gets the site's WAN address. */
  readonly wanInterface: string;
}

const config = new pulumi.Config("netloom");
const greKey = config.getSecretNumber("greKey");
const app = new App();

/** A host that is the router of one site, and the site's LAN with one machine on it. */
function site(name: string, wanAddress: string, lan: string, prefix: string): GreSite {
  const { wanInterface, ...reach } = config.requireObject<HostConfig>(name);
  const host = new Host(app, name, reach);
  new Link(host, "wan", {
    name: wanInterface,
    kind: "physical",
    adopt: true,
    addresses: [`${wanAddress}/24`],
  });
  const machine = new Namespace(host, lan);
  new VethPair(host, `${name}-${lan}`, {
    a: { name: lan, addresses: [`${prefix}.254/24`] },
    b: { namespace: machine, name: "eth0", addresses: [`${prefix}.1/24`] },
  });
  new StaticRoutes(machine, "gateway", { routes: [{ destination: "default", via: `${prefix}.254` }] });
  return { name, host, wanInterface, wanAddress, lans: [`${prefix}.0/24`], tunnelInterface: "gre1" };
}

const west = site("west", "192.0.2.1", "lan1", "172.16.100");
const east = site("east", "192.0.2.2", "lan2", "172.16.200");

if (config.getBoolean("tunnel") ?? true) {
  new GreSiteToSite(app, "vpn", {
    sites: [west, east],
    pairs: [{ between: ["west", "east"], tunnelSubnet: "192.168.1.0/30" }],
    ttl: 255,
    ...(greKey !== undefined && { key: greKey }),
  });
}

export const outputs = app.deploy();
