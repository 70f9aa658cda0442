import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { sliceRules } from "../../../constructs/isp/client-routing/slice";
import {
  type App,
  ClientRouting,
  type ClientRoutingProps,
  Host,
  Link,
  Namespace,
  Testing,
} from "../../../lib";
import { deploy, type Deployment } from "../../support/deploy";
import { closeShared } from "../../support/host";

/**
 * The five modes in namespaces: a client with an uplink and a default route, and a server that is the rest of the
 * world. VXLAN stands for GRE, which this kernel may not have; the constructs take any link.
 */

const prefix = `nlt-${process.pid}-`;
const [client, server] = [`${prefix}client`, `${prefix}server`];
const [uplink, tunnelled, outside] = ["10.1.0.2", "192.168.11.2", "203.0.113.1"];
const [port, made] = [7000, `${prefix}made`];
let world: ChildProcess;

const ip = (...args: string[]) => execFileSync("ip", args, { encoding: "utf8" });
const inside = (netns: string, ...argv: string[]) => ip("netns", "exec", netns, ...argv);

beforeAll(async () => {
  for (const netns of [client, server]) {
    ip("netns", "add", netns);
    ip("-n", netns, "link", "set", "lo", "up");
  }
  // An IPv6 address that is still being looked for on the link would settle between two looks.
  inside(client, "sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0");
  ip("link", "add", "up0", "netns", client, "type", "veth", "peer", "name", "up0", "netns", server);
  for (const [netns, address] of [[client, uplink] as const, [server, "10.1.0.1"] as const]) {
    ip("-n", netns, "address", "add", `${address}/24`, "dev", "up0");
    ip("-n", netns, "link", "set", "up0", "up");
  }
  ip("-n", client, "route", "add", "default", "via", "10.1.0.1", "metric", "100");
  inside(client, "sysctl", "-qw", "net.ipv4.conf.all.rp_filter=1");
  // The other end of the tunnel, the world behind it, and somebody who comes in from far away.
  ip(
    ...["-n", server, "link", "add", "tun", "type", "vxlan", "id", "11"],
    ...["local", "10.1.0.1", "remote", uplink, "dstport", "4789"],
  );
  ip("-n", server, "address", "add", "192.168.11.1/30", "dev", "tun");
  ip("-n", server, "link", "set", "tun", "up");
  for (const address of [outside, "203.0.113.2", "198.51.100.9"])
    ip("-n", server, "address", "add", `${address}/32`, "dev", "lo");
  const source = `require("net").createServer((s) => s.end(s.remoteAddress)).listen(${port}, () => console.log("up"))`;
  world = spawn("ip", ["netns", "exec", server, process.execPath, "-e", source]);
  await once(world.stdout!, "data");
});

afterAll(async () => {
  world.kill();
  await closeShared();
  for (const netns of [client, server, made]) spawnSync("ip", ["netns", "del", netns]);
});

/** The program of a client: its tunnel, and what uses it. */
function program(props: object): App {
  const app = Testing.app();
  const host = new Host(app, "here");
  const home = Namespace.existing(host, client);
  const tunnel = new Link(home, "tun", {
    kind: "vxlan",
    vni: 11,
    local: uplink,
    remote: "10.1.0.1",
    addresses: [`${tunnelled}/30`],
  });
  new ClientRouting(home, "use", { tunnel, ...props } as unknown as ClientRoutingProps);
  return app;
}

/** The source address that the world sees of a connection; what went wrong when there is none. */
function seen(netns: string, how: readonly string[] = [], address: string = outside): string {
  // Not `ip netns exec`, which mounts another /sys: control groups could not be entered from there.
  const connect = `exec 3<>/dev/tcp/${address}/${port} && cat <&3`;
  const { stdout, stderr } = spawnSync(
    "nsenter",
    [`--net=/run/netns/${netns}`, ...how, "timeout", "3", "bash", "-c", connect],
    { encoding: "utf8" },
  );
  return stdout.replace("::ffff:", "") || stderr.trim().split("\n")[0] || "no answer";
}

/** All that the client is configured to be. */
const state = () =>
  [
    ["ip", "-d", "link"],
    ["ip", "address"],
    ["ip", "rule"],
    ["ip", "-6", "rule"],
    ["ip", "route", "show", "table", "all"],
    ["nft", "list", "ruleset"],
    ["sysctl", "net.ipv4.ip_forward", "net.ipv4.conf.all.rp_filter"],
  ].map(([tool = "", ...args]) => inside(client, tool, ...args));

const running: Deployment[] = [];

async function using(app: App): Promise<Deployment> {
  const deployment = await deploy(app);
  running.push(deployment);
  return deployment;
}

afterEach(async () => {
  for (const deployment of running.splice(0)) await deployment.remove();
});

/** Deploys, looks, removes; the client is then as it was. */
async function during(app: App, look: () => void): Promise<void> {
  const before = state();
  await using(app);
  look();
  await running.pop()?.remove();
  expect(state()).toEqual(before);
  expect(seen(client)).toBe(uplink);
}

test("without a use of the tunnel, everything goes by the uplink", async () => {
  await during(program({ mode: "application" }), () => void expect(seen(client)).toBe(uplink));
});

describe("the tunnel as default route", () => {
  test("carries everything but its own outer packets and what has a route of its own", async () => {
    await during(program({ mode: "default" }), () => {
      expect(seen(client)).toBe(tunnelled);
      expect(seen(client, [], "203.0.113.2")).toBe(tunnelled);
      // Connected networks go on by the link that they are on; so does the way to the tunnel's other end.
      expect(seen(client, [], "10.1.0.1")).toBe(uplink);
      expect(ip("-n", client, "route", "get", outside)).toContain("dev tun");
      expect(ip("-n", client, "route", "get", "198.51.100.9", "from", uplink)).toContain(
        "via 10.1.0.1 dev up0",
      );
    });
  });

  test("leaves the host within reach of whoever comes in from far away", async () => {
    const listen = `require("net").createServer((s) => s.end("hello")).listen(22022, () => console.log("up"))`;
    const sshd = spawn("ip", ["netns", "exec", client, process.execPath, "-e", listen]);
    try {
      await once(sshd.stdout, "data");
      const ask = `require("net").connect({host:"${uplink}",port:22022,localAddress:"198.51.100.9",timeout:3000})
        .on("data",(d)=>console.log(String(d))).on("error",(e)=>console.log(e.message)).on("timeout",()=>process.exit())`;
      const answer = () => inside(server, process.execPath, "-e", ask).trim();
      await during(program({ mode: "default" }), () => {
        expect(seen(client)).toBe(tunnelled);
        expect(answer()).toBe("hello");
        // Without its rule the answer would go into the tunnel, and come out as somebody else's.
        const [underlay] = ip("-n", client, "rule")
          .split("\n")
          .filter((rule) => rule.includes(`from ${uplink}`));
        expect(underlay).toContain("lookup main");
      });
    } finally {
      sshd.kill();
    }
  });

  test("can be pinned to a gateway that is named", async () => {
    const pinned = { mode: "default", gateway: "10.1.0.1", uplink: "up0" };
    await during(program(pinned), () => {
      expect(seen(client)).toBe(tunnelled);
      expect(ip("-n", client, "route", "get", "10.1.0.1")).toContain("dev up0");
    });
  });

  test("refuses packets while the tunnel is down, or lets them go by the uplink where that is asked for", async () => {
    await during(program({ mode: "default" }), () => {
      ip("-n", client, "link", "set", "tun", "down");
      expect(seen(client)).toMatch(/No route to host|Network is unreachable|Host is unreachable/);
    });
    await during(program({ mode: "default", whenDown: "main" }), () => {
      ip("-n", client, "link", "set", "tun", "down");
      expect(seen(client)).toBe(uplink);
    });
  });
});

describe("chosen networks", () => {
  test("are reached through the tunnel, and others are not", async () => {
    await during(program({ mode: "networks", destinations: [`${outside}/32`] }), () => {
      expect(seen(client)).toBe(tunnelled);
      expect(seen(client, [], "203.0.113.2")).toBe(uplink);
    });
  });

  test("may hold the tunnel's own other end", async () => {
    await during(program({ mode: "networks", destinations: ["203.0.113.0/24", "10.1.0.0/24"] }), () => {
      expect(seen(client)).toBe(tunnelled);
      expect(seen(client, [], "10.1.0.1")).toBe(uplink);
    });
  });

  test("may be chosen by the source", async () => {
    const from = (address: string) =>
      inside(
        client,
        process.execPath,
        "-e",
        `require("net").connect({host:"${outside}",port:${port},localAddress:"${address}",timeout:3000})
          .on("data",(d)=>console.log(String(d))).on("error",(e)=>console.log(e.message)).on("timeout",()=>process.exit())`,
      )
        .trim()
        .replace("::ffff:", "");
    ip("-n", server, "route", "add", "172.20.0.0/16", "dev", "tun");
    ip("-n", client, "address", "add", "172.20.0.1/32", "dev", "lo");
    const counted = () => Number(/tun:\s+\d+\s+(\d+)/.exec(inside(server, "cat", "/proc/net/dev"))?.[1] ?? 0);
    await during(program({ mode: "networks", sources: ["172.20.0.0/16"] }), () => {
      const before = counted();
      expect(from("172.20.0.1")).toBe("172.20.0.1");
      expect(counted()).toBeGreaterThan(before);
      expect(seen(client)).toBe(uplink);
    });
    ip("-n", client, "address", "del", "172.20.0.1/32", "dev", "lo");
    ip("-n", server, "route", "del", "172.20.0.0/16");
  });
});

describe("one application", () => {
  test("uses the tunnel by its user, and no other user does", async () => {
    const as = (uid: number) => ["setpriv", "--reuid", String(uid), "--clear-groups"];
    await during(program({ mode: "application", users: [4242, { from: 5000, to: 5009 }] }), () => {
      for (const uid of [4242, 5000, 5009]) expect(seen(client, as(uid))).toBe(tunnelled);
      for (const uid of [0, 4241, 5010]) expect(seen(client, as(uid))).toBe(uplink);
    });
  });

  test("uses the tunnel by binding to its device", async () => {
    const bound = ["-c", "1", "-W", "2", "-I", "tun", outside];
    expect(spawnSync("ip", ["netns", "exec", client, "ping", ...bound]).status).not.toBe(0);
    await during(program({ mode: "application" }), () => {
      expect(inside(client, "ping", ...bound)).toContain(`from ${tunnelled} tun`);
      expect(seen(client)).toBe(uplink);
    });
  });
});

describe("one application by its control group", () => {
  const group = `nlt${process.pid}.slice`;
  // Where the control groups of version 2 are, on a host with systemd and on one without.
  const mounts = readFileSync("/proc/mounts", "utf8");
  const root = /^\S+ (\S+) cgroup2 /m.exec(mounts)?.[1];
  const it = root === undefined ? test.skip : test;

  it("uses the tunnel, with the tunnel's address and segments that fit; what is outside of it does not", async () => {
    const folder = join(root ?? "", group);
    mkdirSync(folder);
    const rules = sliceRules({ name: "kernel-test", slice: group, mark: 77, dev: "tun" });
    try {
      await during(program({ mode: "application", table: 77 }), () => {
        ip("-n", client, "rule", "add", "to", "10.1.0.1", "lookup", "main", "priority", "76");
        ip("-n", client, "rule", "add", "fwmark", "77", "lookup", "77", "priority", "77");
        // nft looks for the path below /sys/fs/cgroup, which is another mount here; ip netns exec would hide it.
        const load = `mount --bind ${root} /sys/fs/cgroup && nsenter --net=/run/netns/${client} nft -f -`;
        const loaded = spawnSync("unshare", ["-m", "sh", "-c", load], { input: rules, encoding: "utf8" });
        expect(loaded.stderr).toBe("");
        const joined = ["sh", "-c", `echo $$ > ${folder}/cgroup.procs && exec "$@"`, "sh"];
        expect(seen(client, joined)).toBe(tunnelled);
        expect(seen(client)).toBe(uplink);
        for (const priority of ["76", "77"]) ip("-n", client, "rule", "del", "priority", priority);
        const [table] = /(?<=table inet )\S+/.exec(rules) ?? [""];
        inside(client, "nft", "delete", "table", "inet", table);
      });
    } finally {
      rmdirSync(folder);
    }
  });
});

describe("containers on a bridge", () => {
  test("have the tunnel as their default way and nothing else, hidden behind its address", async () => {
    const docker = { mode: "docker", subnet: "172.30.0.0/16", bridge: "br-tun" };
    await during(program(docker), () => {
      attach("br-tun", "172.30.0.5/16", "172.30.0.1");
      expect(seen(made)).toBe(tunnelled);
      expect(seen(client)).toBe(uplink);
      ip("-n", client, "link", "set", "tun", "down");
      expect(seen(made)).toMatch(/unreachable|No route/);
      ip("netns", "del", made);
    });
  });

  test("are not reached by whoever is at the other end of the tunnel", async () => {
    ip("-n", server, "route", "add", "172.30.0.0/16", "via", tunnelled);
    const reach = () => spawnSync("ip", ["netns", "exec", server, "ping", "-c1", "-W1", "172.30.0.5"]).status;
    await during(program({ mode: "docker", subnet: "172.30.0.0/16", bridge: "br-tun" }), () => {
      attach("br-tun", "172.30.0.5/16", "172.30.0.1");
      expect(inside(client, "ping", "-c1", "-W1", "172.30.0.5")).toContain("1 received");
      expect(reach()).not.toBe(0);
      ip("netns", "del", made);
    });
    ip("-n", server, "route", "del", "172.30.0.0/16");
  });
});

/** A container is a namespace with a cable to the bridge, whoever makes it. */
function attach(bridge: string, address: string, gateway: string): void {
  ip("netns", "add", made);
  ip("link", "add", "eth0", "netns", made, "type", "veth", "peer", "name", "c0", "netns", client);
  ip("-n", client, "link", "set", "c0", "master", bridge, "up");
  ip("-n", made, "address", "add", address, "dev", "eth0");
  ip("-n", made, "link", "set", "eth0", "up");
  ip("-n", made, "route", "add", "default", "via", gateway);
}

describe("a namespace", () => {
  test("with the tunnel inside has no other way, while the outer packets travel in the namespace around", async () => {
    const app = Testing.app();
    const host = new Host(app, "here");
    Namespace.existing(host, client);
    const home = new Namespace(host, "made", { name: made });
    const tunnel = new Link(home, "tun", {
      kind: "vxlan",
      vni: 11,
      linkNetns: client,
      local: uplink,
      remote: "10.1.0.1",
      addresses: [`${tunnelled}/30`],
    });
    const use = new ClientRouting(host, "use", { tunnel, mode: "namespace" });
    expect(use.namespace).toBe(home);
    await during(app, () => {
      expect(seen(made)).toBe(tunnelled);
      expect(seen(client)).toBe(uplink);
    });
  });

  test("is tied by a cable to a tunnel that is outside", async () => {
    const app = program({ mode: "namespace", name: made, subnet: "172.31.0.0/30" });
    await during(app, () => {
      expect(seen(made)).toBe(tunnelled);
      expect(seen(client)).toBe(uplink);
    });
  });
});
