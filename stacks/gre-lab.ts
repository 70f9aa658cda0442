/**
 * Two LANs joined by a GRE tunnel, all of it in network namespaces of one host:
 *
 *     lan1 ── site1 ══ wan0 ══ site2 ── lan2
 *               └───── gre1 ─────┘
 *
 * wan0 knows neither LAN: without the tunnel (`tunnel: false`) a packet from lan1 to lan2 goes no further than site1.
 */
import * as pulumi from "@pulumi/pulumi";
import { App, GreSiteToSite, Host, Namespace, StaticRoutes, VethPair } from "netloom";

const config = new pulumi.Config("netloom");
const greKey = config.getSecretNumber("greKey");

const app = new App();
const edge = new Host(app, "edge", {
  address: config.get("host"),
  port: config.getNumber("port"),
  user: config.get("user"),
  hostKey: config.get("hostKey"),
});

const wan0 = new Namespace(edge, "wan0", { forwarding: true });
const site1 = new Namespace(edge, "site1", { forwarding: true });
const site2 = new Namespace(edge, "site2", { forwarding: true });
const lan1 = new Namespace(edge, "lan1");
const lan2 = new Namespace(edge, "lan2");

new VethPair(edge, "wan0-site1", {
  a: { namespace: wan0, name: "eth1", addresses: ["10.100.0.254/16"] },
  b: { namespace: site1, name: "eth0", addresses: ["10.100.0.1/16"] },
});
new VethPair(edge, "wan0-site2", {
  a: { namespace: wan0, name: "eth2", addresses: ["10.200.0.254/16"] },
  b: { namespace: site2, name: "eth0", addresses: ["10.200.0.1/16"] },
});
new VethPair(edge, "site1-lan1", {
  a: { namespace: site1, name: "eth1", addresses: ["172.16.100.254/24"] },
  b: { namespace: lan1, name: "eth0", addresses: ["172.16.100.1/24"] },
});
new VethPair(edge, "site2-lan2", {
  a: { namespace: site2, name: "eth1", addresses: ["172.16.200.254/24"] },
  b: { namespace: lan2, name: "eth0", addresses: ["172.16.200.1/24"] },
});

new StaticRoutes(site1, "wan", { routes: [{ destination: "default", via: "10.100.0.254" }] });
new StaticRoutes(site2, "wan", { routes: [{ destination: "default", via: "10.200.0.254" }] });
new StaticRoutes(lan1, "gateway", { routes: [{ destination: "default", via: "172.16.100.254" }] });
new StaticRoutes(lan2, "gateway", { routes: [{ destination: "default", via: "172.16.200.254" }] });

if (config.getBoolean("tunnel") ?? true) {
  new GreSiteToSite(edge, "vpn", {
    sites: [
      {
        name: "site1",
        namespace: site1,
        wanInterface: "eth0",
        wanAddress: "10.100.0.1",
        lans: ["172.16.100.0/24"],
        tunnelInterface: "gre1",
      },
      {
        name: "site2",
        namespace: site2,
        wanInterface: "eth0",
        wanAddress: "10.200.0.1",
        lans: ["172.16.200.0/24"],
        tunnelInterface: "gre1",
      },
    ],
    pairs: [{ between: ["site1", "site2"], tunnelSubnet: "192.168.1.0/30" }],
    ttl: 255,
    ...(greKey !== undefined && { key: greKey }),
  });
}

export const outputs = app.deploy();
