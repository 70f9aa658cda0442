/**
 * An ISP on one Linux machine: a GRE tunnel for each subscriber of `subscribers.csv`, each held to its plan, all behind
 * one NAT. With `netloom:internet` in the configuration there is a second machine that plays the rest of the world: the
 * subscribers' own routers and a server (see support/internet.ts).
 */
import * as pulumi from "@pulumi/pulumi";
import { App, Host, IspInABox, Link, Shaper, StaticRoutes, Subscribers } from "netloom";
import { Internet } from "./support/internet";
import type { Reach } from "./support/reach";

/** How a machine is reached, and its NIC. */
interface HostConfig extends Reach {
  readonly interface: string;
}

const config = new pulumi.Config("netloom");
const app = new App();

const { interface: uplink, ...reach } = config.requireObject<HostConfig>("isp");
const edge = new Host(app, "edge", reach);
const subscribers = Subscribers.fromCsv(config.get("subscribers") ?? "stacks/config/subscribers.csv");

const [ipv4, ipv6] = [config.get("tunnelPool") ?? "192.168.11.0/24", config.get("tunnelPool6")];
const isp = new IspInABox(edge, "isp", {
  uplink,
  tunnelPool: { ipv4, ...(ipv6 !== undefined && { ipv6 }) },
  subscribers,
  shaper: Shaper.native({
    leaf: config.get<"cake" | "fq_codel">("leaf") ?? "cake",
    classifier: config.get<"ebpf" | "flower">("classifier") ?? "flower",
  }),
  bridge: config.get<"linux" | "xdp">("bridge") ?? "linux",
  uplinkRate: {
    download: config.getNumber("uplinkDownload") ?? 1000,
    upload: config.getNumber("uplinkUpload") ?? 1000,
  },
});

const internet = config.getObject<HostConfig>("internet");
if (internet !== undefined) {
  const { interface: nic, ...rest } = internet;
  const world = new Host(app, "internet", rest);
  const [addresses, ways] = [["198.51.100.2/24"], ["198.51.100.1"]];
  if (ipv6 !== undefined) {
    addresses.push("2001:db8:100::2/64");
    ways.push("2001:db8:100::1");
  }
  new Link(edge, "uplink", { name: uplink, kind: "physical", adopt: true, addresses });
  new StaticRoutes(edge, "default", { routes: ways.map((via) => ({ destination: "default", via })) });
  new Internet(world, "world", { interface: nic, isp, subscribers });
}

export const outputs = app.deploy();
