import type { Construct } from "constructs";
import type { IPlace, IspInABox, Subscribers } from "netloom";
import { Bridge, Composite, Link, Namespace, StaticRoutes, VethPair } from "netloom";
import { Home } from "./home";

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
 * A machine that plays the rest of the world, in documentation addresses (RFC 5737, RFC 3849): it routes between the ISP
 * (198.51.100.0/24, 2001:db8:100::/64), a server (192.0.2.2, 2001:db8:2::2) and the subscribers' own networks
 * (203.0.113.0/24). It has no route to what is inside the tunnels, but for IPv6, where the pool is the ISP's own prefix.
 */
export class Internet extends Composite {
  constructor(host: IPlace & Construct, id: string, { interface: nic, isp, subscribers }: InternetProps) {
    super(host, id);
    const prefix = isp.allocation?.pools.find((pool) => pool.includes(":"));
    const both = (ipv4: string, ipv6: string) => (prefix === undefined ? [ipv4] : [ipv4, ipv6]);
    new Link(this, "isp", {
      name: nic,
      kind: "physical",
      adopt: true,
      addresses: both("198.51.100.1/24", "2001:db8:100::1/64"),
    });
    host.enableForwarding();
    if (prefix !== undefined) {
      host.enableIpv6Forwarding();
      new StaticRoutes(this, "subscribers", { routes: [{ destination: prefix, via: "2001:db8:100::2" }] });
    }
    const server = new Namespace(this, "server");
    new VethPair(this, "server-cable", {
      a: { namespace: host, name: "server", addresses: both("192.0.2.1/24", "2001:db8:2::1/64") },
      b: { namespace: server, name: "eth0", addresses: both("192.0.2.2/24", "2001:db8:2::2/64") },
    });
    new StaticRoutes(server, "default", {
      routes: both("192.0.2.1", "2001:db8:2::1").map((via) => ({ destination: "default", via })),
    });

    const access = new Bridge(this, "access", { addresses: ["203.0.113.1/24"] });
    for (const { id: name, client } of subscribers.all) {
      const ends = isp.allocation?.tunnels.get(name);
      if (client?.address === undefined || ends === undefined) continue;
      const { cable } = new Home(this, name, { host, client: { ...client, address: client.address }, ends });
      access.addPort(cable);
    }
  }
}
