/**
 * Two nodes whose namespaces reach each other through tunnels that XDP pushes and pops:
 *
 *     ns1 ── v-peer1 │ v-eth1 ── node1 ══ Geneve ══ node2 ── v-eth2 │ v-peer2 ── ns2
 *       10.200.1.2                                                    10.200.2.2
 *
 * `node1` and `node2` in the configuration say how each is reached and which of its NICs leads to the other;
 * `protocol` is geneve, vxlan, gre or ipip.
 */
import * as pulumi from "@pulumi/pulumi";
import type { MuxTunnel } from "netloom";
import { App, GeneveMux, Host, Link, Namespace, StaticRoutes, VethPair } from "netloom";
import type { Reach } from "./support/reach";

/** One node in the configuration. */
interface NodeConfig extends Reach {
  /** The NIC that leads to the other node; it gets the node's outer address. */
  readonly interface: string;
}

const config = new pulumi.Config("netloom");
const protocol = config.get<"geneve" | "vxlan" | "gre" | "ipip">("protocol") ?? "geneve";
if (!["geneve", "vxlan", "gre", "ipip"].includes(protocol))
  throw new pulumi.RunError(`netloom:protocol is ${protocol}, and it is geneve, vxlan, gre or ipip`);
const vni = config.getNumber("vni") ?? 4711;
const app = new App();

const outer = { 1: "10.20.20.1", 2: "10.20.20.2" } as const;

/** A node with its namespace, and its end of the tunnel to the other. */
function node(number: 1 | 2, other: 1 | 2): void {
  const { interface: nic, ...reach } = config.requireObject<NodeConfig>(`node${number}`);
  const host = new Host(app, `node${number}`, reach);
  const uplink = new Link(host, "uplink", {
    name: nic,
    kind: "physical",
    adopt: true,
    addresses: [`${outer[number]}/24`],
  });
  const inside = new Namespace(host, `ns${number}`);
  const cable = new VethPair(host, "cable", {
    a: { namespace: host, name: `v-eth${number}`, addresses: [`10.200.${number}.1/24`] },
    b: { namespace: inside, name: `v-peer${number}`, addresses: [`10.200.${number}.2/24`] },
  });
  new StaticRoutes(inside, "gateway", {
    routes: [{ destination: "default", via: `10.200.${number}.1` }],
  });
  const between = { local: outer[number], remote: outer[other] };
  const inner = { interface: cable.a, select: { destinations: [`10.200.${other}.0/24`] } };
  const name = `node${other}`;
  const tunnels: Record<typeof protocol, MuxTunnel> = {
    geneve: { protocol: "geneve", name, vni, ...between, ...inner },
    vxlan: { protocol: "vxlan", name, vni, ...between, ...inner },
    gre: { protocol: "gre", name, key: vni, ...between, ...inner },
    ipip: { protocol: "ipip", name, ...between, ...inner },
  };
  new GeneveMux(host, "mux", { uplink: uplink.link, tunnels: [tunnels[protocol]] });
}

node(1, 2);
node(2, 1);

export const outputs = app.deploy();
