import type { Construct } from "constructs";
import type { IPlace, IspInABox, Subscribers } from "netloom";
import {
  Bridge,
  ClientRouting,
  Composite,
  GreTunnel,
  Link,
  Namespace,
  StaticRoutes,
  VethPair,
} from "netloom";

/** The rest of the world of one ISP. */
export interface InternetProps {
  /** The NIC that leads to the ISP. */
  readonly interface: string;
  /** The ISP; its uplink has the address 198.51.100.2. */
  readonly isp: IspInABox;
  /** Whose routers are made: those with an IPv4 address in 203.0.113.0/24. */
  readonly subscribers: Subscribers;
}

/**
 * A machine that plays the rest of the world, in documentation addresses (RFC 5737): it routes between the ISP
 * (198.51.100.0/24), a server (192.0.2.2) and the subscribers' own networks (203.0.113.0/24). It has no route to what is
 * inside the tunnels.
 */
export class Internet extends Composite {
  constructor(host: IPlace & Construct, id: string, { interface: nic, isp, subscribers }: InternetProps) {
    super(host, id);
    new Link(this, "isp", { name: nic, kind: "physical", adopt: true, addresses: ["198.51.100.1/24"] });
    host.enableForwarding();
    const server = new Namespace(this, "server");
    new VethPair(this, "server-cable", {
      a: { namespace: host, name: "server", addresses: ["192.0.2.1/24"] },
      b: { namespace: server, name: "eth0", addresses: ["192.0.2.2/24"] },
    });
    new StaticRoutes(server, "default", { routes: [{ destination: "default", via: "192.0.2.1" }] });

    const access = new Bridge(this, "access", { addresses: ["203.0.113.1/24"] });
    for (const { id: name, client } of subscribers.all) {
      const tunnel = isp.allocation?.tunnels.get(name)?.ipv4;
      if (client?.address === undefined || tunnel === undefined) continue;
      const home = new Namespace(this, name);
      const cable = new VethPair(this, `${name}-cable`, {
        a: { namespace: host, name: `to-${name}` },
        b: { namespace: home, name: "eth0", addresses: [`${client.address}/24`] },
      });
      access.addPort(cable.a);
      const gre = new GreTunnel(home, "gre1", {
        local: client.address,
        remote: "198.51.100.2",
        addresses: [tunnel.client],
        ...(client.key !== undefined && { key: client.key }),
      });
      new StaticRoutes(home, "gateway", { routes: [{ destination: "default", via: "203.0.113.1" }] });
      new ClientRouting(home, "routing", {
        mode: "default",
        tunnel: gre,
        gateway: "203.0.113.1",
        uplink: "eth0",
      });
    }
  }
}
