import { inPlace, replace, type PropertyPolicy } from "../kind";
import { noEncap, type LinkSpec } from "./schema";

const fixed = (what: string) => replace(`${what} is fixed when a link is made`);

/**
 * How a change of each property reaches the host. What the kernel can change is in the `changelink` of each
 * driver: net/ipv4/ip_gre.c, ipip.c, net/ipv6/sit.c, ip6_gre.c, drivers/net/geneve.c, vxlan/vxlan_core.c.
 */
export const linkPolicy: { readonly [K in keyof LinkSpec]-?: PropertyPolicy } = {
  netns: replace("a link in another namespace is another link"),
  name: replace("a link of another name is another link"),
  kind: replace("a link cannot change its kind"),
  mtu: inPlace(),
  up: inPlace({ traffic: "brief" }),
  addresses: inPlace({ traffic: "brief", unset: [] }),
  mac: inPlace({ traffic: "brief" }),
  master: inPlace({ traffic: "brief", unset: "" }),
  txQueueLength: inPlace(),
  sysctls: inPlace(),
  peer: inPlace({ traffic: "brief" }),
  index: fixed("the interface number"),
  rxQueues: fixed("the number of queues"),
  txQueues: fixed("the number of queues"),
  local: inPlace({ traffic: "brief", unset: "any" }),
  remote: inPlace({ traffic: "brief", unset: "any" }),
  key: inPlace({ traffic: "brief", unset: "none" }),
  inputKey: inPlace({ traffic: "brief", unset: "none" }),
  outputKey: inPlace({ traffic: "brief", unset: "none" }),
  checksum: inPlace({ traffic: "brief", unset: false }),
  sequence: inPlace({ traffic: "brief", unset: false }),
  ttl: inPlace(),
  tos: inPlace({ unset: 0 }),
  pathMtuDiscovery: inPlace({ unset: true }),
  encapLimit: inPlace({ unset: "none" }),
  encap: inPlace({ traffic: "brief", unset: noEncap }),
  external: fixed("whether a tunnel's ends come with each packet"),
  link: fixed("the link below"),
  linkNetns: fixed("the namespace of the outer packets"),
  vni: fixed("the VNI"),
  port: fixed("the UDP port"),
  learning: inPlace({ unset: true }),
  vlanId: fixed("the VLAN identifier"),
  protocol: fixed("the tag protocol"),
  stp: inPlace({ traffic: "brief", unset: false }),
  vlanFiltering: inPlace({ traffic: "brief", unset: false }),
  forwardDelay: inPlace({ unset: 1500 }),
  ageingTime: inPlace({ unset: 30000 }),
  priority: inPlace({ unset: 32768 }),
  multicastSnooping: inPlace({ traffic: "brief", unset: true }),
};
