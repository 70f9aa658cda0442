import type { Construct } from "constructs";
import {
  type App,
  Bridge,
  Files,
  Firewall,
  GreSiteToSite,
  GreSubscriberTunnel,
  GreTunnel,
  Host,
  HostCommand,
  type IPlace,
  Link,
  Namespace,
  Packages,
  PolicyRules,
  Router,
  StaticRoutes,
  Sysctls,
  SystemdUnit,
  Testing,
  VethPair,
} from "../../../lib";

/** A construct with as many of its props set as go together, for tests that try every one of them. */
export interface Sample {
  readonly name: string;
  /** Props without constructs, so that a test can walk them. */
  readonly props: object;
  /** Makes the construct with these props in a program; returns it. */
  readonly make: (scope: IPlace & Construct, props: never) => Construct;
  /** Props whose text is data: it goes to the host as it is, and is never part of a command. */
  readonly data?: readonly string[];
}

/** An empty program with one host, a namespace `ns` in it and whatever a sample adds. */
export function program(): { app: App; edge: Host; ns: Namespace } {
  const app = Testing.app();
  const edge = new Host(app, "edge");
  return { app, edge, ns: new Namespace(edge, "ns") };
}

const sample = <P extends object>(
  name: string,
  props: P,
  make: (scope: IPlace & Construct, props: P) => Construct,
  data: readonly string[] = [],
): Sample => ({ name, props, make: make, data });

/** One sample of every construct. */
export const samples: readonly Sample[] = [
  sample(
    "Host",
    {
      name: "far",
      address: "192.0.2.1",
      port: 22,
      user: "admin",
      hostKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0",
      jumpHost: "admin@192.0.2.2:22",
    },
    (scope, props) => new Host(scope.node.root as App, "sample", props),
  ),
  sample(
    "Namespace",
    {
      name: "sample",
      sysctls: { "net/ipv4/ip_forward": "1" },
      nameservers: ["9.9.9.9"],
      searchDomains: ["lan.example"],
    },
    (scope, props) => new Namespace(scope.node.scope as Construct, "sample", props),
    ['sysctls["net/ipv4/ip_forward"]'],
  ),
  sample(
    "VethPair",
    {
      a: {
        name: "a0",
        addresses: ["10.1.0.1/24"],
        mtu: 1500,
        mac: "02:00:00:00:00:01",
        sysctls: { "ipv4/rp_filter": "2" },
      },
      b: {
        name: "b0",
        addresses: ["10.2.0.1/24", "2001:db8:2::1/64"],
        mac: "02:00:00:00:00:02",
        sysctls: { "ipv6/accept_ra": "0" },
      },
      queues: 2,
    },
    (scope, props) => new VethPair(scope, "sample", props),
    ['a.sysctls["ipv4/rp_filter"]', 'b.sysctls["ipv6/accept_ra"]'],
  ),
  sample(
    "Bridge",
    { name: "br0", addresses: ["10.3.0.1/24"], mac: "02:00:00:00:00:03", sysctls: { "ipv4/rp_filter": "2" } },
    (scope, props) => new Bridge(scope, "sample", props),
    ['sysctls["ipv4/rp_filter"]'],
  ),
  sample(
    "GreTunnel",
    {
      name: "gre9",
      local: "10.4.0.1",
      remote: "10.4.0.2",
      key: 7,
      dev: "wan9",
      addresses: ["10.5.0.1/30"],
      sysctls: { "ipv4/rp_filter": "2" },
    },
    (scope, props) => new GreTunnel(scope, "sample", props),
    ['sysctls["ipv4/rp_filter"]'],
  ),
  sample(
    "GreSubscriberTunnel",
    {
      name: "sub-9",
      local: "10.4.1.1",
      remote: "10.4.1.2",
      key: 9,
      addresses: ["10.5.1.1/30"],
      sysctls: { "ipv4/rp_filter": "2" },
      sources: ["10.5.1.2", "10.5.8.0/24"],
    },
    (scope, props) => GreSubscriberTunnel.server(scope, "sample", props),
    ['sysctls["ipv4/rp_filter"]'],
  ),
  sample(
    "Link",
    {
      name: "l0",
      kind: "bridge" as const,
      addresses: ["10.6.0.1/24"],
      mac: "02:00:00:00:00:04",
      master: "br9",
    },
    (scope, props) => new Link(scope, "sample", props),
  ),
  sample(
    "StaticRoutes",
    {
      name: "sample",
      routes: [
        { destination: "10.7.0.0/16", via: "10.8.0.1", dev: "eth9", source: "10.8.0.2", onLink: true },
        {
          destination: "10.9.0.0/16",
          nexthops: [
            { via: "10.8.0.3", dev: "eth9", onLink: true },
            { via: "10.8.0.4", dev: "eth9", onLink: true },
          ],
        },
      ],
    },
    // Its links are not of this program: the host's initial namespace.
    (scope, props) => new StaticRoutes(scope.node.scope as Construct, "sample", props),
  ),
  sample(
    "PolicyRules",
    {
      name: "sample",
      rules: [
        {
          priority: 100,
          from: "10.1.0.0/16",
          to: "10.2.0.0/16",
          iif: "eth0",
          oif: "eth1",
          ipProtocol: "udp",
          sourcePort: "1000-2000",
          destinationPort: "53-54",
          table: "main" as const,
        },
      ],
    },
    (scope, props) => new PolicyRules(scope, "sample", props),
  ),
  sample(
    "Sysctls",
    { name: "sample", values: { "net/ipv4/ip_forward": "1" } },
    (scope, props) => new Sysctls(scope, "sample", props),
    ['values["net/ipv4/ip_forward"]'],
  ),
  sample(
    "Files",
    {
      directory: "/etc/sample",
      name: "sample",
      files: { "etc/one.conf": { content: "one\n", mode: "0600", owner: "root:root" } },
    },
    (scope, props) => new Files(scope, "sample", props),
    ["directory", 'files["etc/one.conf"]', 'files["etc/one.conf"].content'],
  ),
  sample(
    "SystemdUnit",
    {
      name: "sample.service",
      content: "[Service]\nExecStart=/bin/true\n",
      restartTriggers: { "etc/sample.conf": "abc" },
    },
    (scope, props) => new SystemdUnit(scope, "sample", props),
    ["content"],
  ),
  sample(
    "Packages",
    { name: "sample", packages: ["ethtool", "bpftool"] },
    (scope, props) => new Packages(scope, "sample", props),
  ),
  sample(
    "HostCommand",
    { command: ["sample", "reload"], directory: "/opt/sample", stdin: "sample" },
    (scope, props) => new HostCommand(scope, "sample", props),
    ["command[0]", "command[1]", "directory", "stdin"],
  ),
  sample(
    "Firewall",
    {
      table: "sample",
      masquerade: [
        { outInterface: "eth0", source: ["10.1.0.0/16", "10.2.0.0/16"], comment: "to the world" },
        { toAddresses: "192.0.2.1-192.0.2.8", notDestination: "10.0.0.0/8" },
      ],
      portForward: [
        {
          protocol: "tcp" as const,
          port: "80-81",
          toAddress: "10.1.0.5",
          inInterface: ["eth0"],
          destination: "192.0.2.1",
        },
      ],
      clampMss: [{ mss: "pmtu" as const, outInterface: "gre*" }],
      forward: {
        policy: "drop" as const,
        rules: [
          {
            action: "accept" as const,
            inInterface: "eth1",
            destination: "10.1.0.0/16",
            protocol: "udp",
            destinationPort: ["53-54", "1000-2000"],
            connectionState: ["new" as const],
          },
        ],
      },
    },
    (scope, props) => new Firewall(scope, "sample", props),
    ["masquerade[0].comment"],
  ),
  sample(
    "Router",
    { masquerade: ["eth0"], clampMss: ["gre1"], table: "sample" },
    (scope, props) => new Router(scope, "sample", props),
  ),
  sample(
    "GreSiteToSite",
    {
      sites: [
        {
          name: "a",
          wanInterface: "eth0",
          wanAddress: "192.0.2.1",
          lans: ["172.16.1.0/24", "2001:db8:1::/64"],
          tunnelInterface: "gre1",
        },
        { name: "b", wanInterface: "eth0", wanAddress: "192.0.2.2", lans: ["172.16.2.0/24"] },
      ],
      topology: { hub: "a" },
      tunnelPool: "10.255.0.0/16",
      leakProtection: "drop" as const,
      pairs: [{ between: ["a", "b"] as [string, string], tunnelSubnet: "192.168.1.0/30" }],
    },
    (scope, { sites, ...props }) =>
      new GreSiteToSite(scope.node.root as App, "sample", {
        ...props,
        sites: sites.map((site, index) => ({
          ...site,
          host: new Host(scope.node.root as App, `router${index}`),
        })),
      }),
  ),
];
