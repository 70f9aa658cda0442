/**
 * A load balancer, four backends that answer and a client, on two machines:
 *
 *     client ── cable ── bridge ─┬─ balancer (XDP)
 *                                └─ b1 … b4, each with the VIP on a link of its own
 *
 * The balancer and its backends are namespaces of `edge`. Packets go to the backends wrapped in IP, which the kernel's
 * ipip device takes off; answers go to the client directly.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import type { L4LbBackend, LbPolicyProps } from "netloom";
import {
  App,
  Bridge,
  Executable,
  Files,
  Host,
  LbPolicy,
  Link,
  Namespace,
  sha256,
  StaticRoutes,
  SystemdUnit,
  VethPair,
  XdpL4Lb,
} from "netloom";
import type { Reach } from "./support/reach";

/** How a machine is reached, and its NIC on the network between the two. */
interface HostConfig extends Reach {
  readonly interface: string;
}

/** The rules for new flows by the words of the configuration. */
const policies: Readonly<Record<string, () => LbPolicyProps>> = {
  legacy: LbPolicy.legacy,
  "round-robin": LbPolicy.roundRobin,
  weighted: LbPolicy.weighted,
  maglev: LbPolicy.maglev,
  "least-flows": LbPolicy.leastFlows,
  "least-bytes": LbPolicy.leastBytes,
  "least-load": LbPolicy.leastLoad,
};

const vip = "192.0.2.80";
const config = new pulumi.Config("netloom");
const app = new App();

const { interface: lan, ...reachEdge } = config.requireObject<HostConfig>("edge");
const { interface: nic, ...reachClient } = config.requireObject<HostConfig>("client");
const policyName = config.get("policy") ?? "least-load";
const policy = policies[policyName]?.();
if (policy === undefined)
  throw new pulumi.RunError(
    `netloom:policy is ${policyName}: it is one of ${Object.keys(policies).join(", ")}`,
  );
const backends =
  config.getObject<L4LbBackend[]>("backends") ?? [1, 2, 3, 4].map((nth) => ({ address: `10.8.0.1${nth}` }));

const edge = new Host(app, "edge", reachEdge);
const bridge = new Bridge(edge, "bridge", { name: "lan0" });
bridge.addPort(new Link(edge, "cable", { name: lan, kind: "physical", adopt: true }).link);

/** A machine on the network, which is a namespace of `edge`. */
function machine(name: string, address: string) {
  const namespace = new Namespace(edge, name, {
    sysctls: { "net/ipv4/conf/all/rp_filter": "0", "net/ipv4/conf/default/rp_filter": "0" },
  });
  const cable = new VethPair(edge, `cable-${name}`, {
    a: { namespace: edge, name: `to-${name}` },
    b: { namespace, name: "eth0", addresses: [`${address}/24`] },
  });
  bridge.addPort(cable.a);
  return { namespace, cable };
}

/** Answers HTTP with its own name, and UDP with what it was sent. */
const answering = `import select, socket, sys
name = sys.argv[1].encode()
web = socket.socket()
web.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
web.bind(("", 80))
web.listen(256)
echo = socket.socket(type=socket.SOCK_DGRAM)
echo.bind(("", 80))
while True:
    for one in select.select([web, echo], [], [])[0]:
        try:
            if one is echo:
                data, sender = echo.recvfrom(2048)
                echo.sendto(data, sender)
                continue
            peer, _ = web.accept()
            peer.settimeout(2)
            peer.recv(4096)
            peer.sendall(b"HTTP/1.0 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(name) + name)
            peer.close()
        except OSError:
            pass
`;
const script = new Files(edge, "answering", {
  directory: "/opt/l4-lb",
  files: { "answer.py": { content: answering } },
});

for (const nth of [1, 2, 3, 4]) {
  const name = `b${nth}`;
  const address = `10.8.0.1${nth}`;
  const { namespace } = machine(name, address);
  new Link(namespace, "decapsulate", { name: "ipip0", kind: "ipip", local: address, remote: "any" });
  new Link(namespace, "vip", { name: "vip0", kind: "dummy", addresses: [`${vip}/32`] });
  const server = new SystemdUnit(edge, `server-${name}`, {
    name: `l4-lb-${name}.service`,
    content: `[Service]
NetworkNamespacePath=/run/netns/${name}
ExecStart=/usr/bin/python3 /opt/l4-lb/answer.py ${name}
Restart=on-failure
[Install]
WantedBy=multi-user.target
`,
    state: "running",
    restartTriggers: { script: sha256(answering) },
  });
  server.node.addDependency(script, namespace);
}

const { namespace: balancer, cable: uplink } = machine("balancer", "10.8.0.254");
const shared = { vip, port: 80, policy, backends } as const;
new XdpL4Lb(balancer, "lb", {
  interface: uplink.b,
  peerStub: uplink.a,
  services: [
    { ...shared, protocol: "tcp", healthCheck: { type: "http", intervalMs: 1000 } },
    { ...shared, protocol: "udp" },
  ],
});

const client = new Host(app, "client", reachClient);
new Link(client, "nic", { name: nic, kind: "physical", adopt: true, addresses: ["10.8.0.1/24"] });
new StaticRoutes(client, "vip", { routes: [{ destination: `${vip}/32`, via: "10.8.0.254" }] });
const here = join(__dirname, "..", "tools", "flows");
const generator = new Executable(client, "flows", {
  folder: existsSync(here) ? here : join(__dirname, "..", "..", "tools", "flows"),
  sources: ["flows.c"],
});

export const outputs = app.deploy();
/** The traffic generator on the client. */
export const flows = generator.path;
