import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  Host,
  NatNamespace,
  type NatNamespaceProps,
  StaticRoutes,
  Testing,
  VethPair,
  Namespace,
} from "../../../lib";
import { deploy, type Deployment } from "../../support/deploy";
import { closeShared } from "../../support/host";

/**
 * Two subscribers in namespaces, the NAT between them and the world, and what the world sees of them: the source
 * address and port of every connection.
 */

const prefix = `nlt-${process.pid}-`;
const [inner, nat, world] = [`${prefix}subs`, `${prefix}nat`, `${prefix}world`];
const [outside, port] = ["198.51.100.1", 7001];
/** Subscribers 1, 2 (with a network of its own) and 70, and one without a block. */
const [one, two, twoToo, seventy, nobody] = ["10.9.0.1", "10.9.0.2", "10.9.4.7", "10.9.0.70", "10.9.0.99"];
let listener: ChildProcess | undefined;
let running: Deployment | undefined;

const ip = (...args: string[]) => execFileSync("ip", args, { encoding: "utf8" });
const inside = (netns: string, ...argv: string[]) => ip("netns", "exec", netns, ...argv);

function program(props: Partial<NatNamespaceProps> = {}) {
  const app = Testing.app();
  const host = new Host(app, "here");
  const subscribers = new Namespace(host, "subs", { name: inner });
  const internet = new NatNamespace(host, "nat", { name: nat, uplink: "up", ...props });
  const far = new Namespace(host, "world", { name: world });
  new VethPair(host, "down", {
    a: {
      namespace: subscribers,
      name: "gw",
      addresses: [one, two, twoToo, seventy, nobody].map((a) => `${a}/16`),
    },
    b: { namespace: internet, name: "down", addresses: ["10.9.255.1/16"] },
  });
  new VethPair(host, "up", {
    a: { namespace: internet, name: "up", addresses: ["192.0.2.1/24"] },
    b: { namespace: far, name: "eth0", addresses: ["192.0.2.254/24", `${outside}/32`] },
  });
  new StaticRoutes(subscribers, "out", { routes: [{ destination: "default", via: "10.9.255.1" }] });
  new StaticRoutes(internet, "out", { routes: [{ destination: "default", via: "192.0.2.254" }] });
  new StaticRoutes(far, "back", { routes: [{ destination: "203.0.113.0/24", via: "192.0.2.1" }] });
  return { app, internet };
}

async function up(props?: Partial<NatNamespaceProps>) {
  const { app, internet } = program(props);
  if (running === undefined) running = await deploy(app);
  else await running.update(app);
  if (listener === undefined) {
    const source = `require("net").createServer((s) => s.end(s.remoteAddress + " " + s.remotePort)).listen(${port}, () => console.log("up"))`;
    listener = spawn("ip", ["netns", "exec", world, process.execPath, "-e", source]);
    await once(listener.stdout!, "data");
  }
  return internet;
}

afterEach(async () => {
  listener?.kill();
  listener = undefined;
  await running?.remove();
  running = undefined;
});

afterAll(async () => {
  await closeShared();
  for (const netns of [inner, nat, world]) spawnSync("ip", ["netns", "del", netns]);
});

/** What the world sees of many connections at once from one address: addresses and ports. */
function seen(from: string, connections = 20): { addresses: string[]; ports: number[] } {
  const source = `
    const net = require("net");
    let open = ${connections};
    for (let n = 0; n < ${connections}; n += 1) {
      let text = "";
      const s = net.connect({ host: "${outside}", port: ${port}, localAddress: "${from}" });
      s.setTimeout(3000, () => s.destroy(new Error("no answer")));
      s.on("data", (d) => (text += d)).on("error", (e) => (text = e.message + " 0"));
      s.on("close", () => { console.log(text.replace("::ffff:", "")); if (--open === 0) process.exit(); });
    }`;
  const lines = inside(inner, process.execPath, "-e", source).trim().split("\n");
  return {
    addresses: [...new Set(lines.map((line) => line.split(" ")[0] ?? ""))],
    ports: lines.map((line) => Number(line.split(" ")[1])),
  };
}

const within = (ports: readonly number[], { from, to }: { from: number; to: number }) =>
  ports.filter((one) => one < from || one > to);

const subscribers = [
  { number: 1, sources: [one] },
  { number: 2, sources: [two, "10.9.4.0/24", "2001:db8::/64"] },
  { number: 70, sources: [seventy] },
];
const portBlocks = { addresses: ["203.0.113.0/30"], subscribers };

test("without blocks or a pool, everybody goes under the uplink's own address", async () => {
  await up();
  for (const from of [one, two, nobody]) expect(seen(from, 3).addresses).toEqual(["192.0.2.1"]);
});

test("with a pool, connections go under its addresses, and networks that are not its sources pass as they are", async () => {
  await up({ toAddresses: "203.0.113.8-203.0.113.9", sources: ["10.9.0.1/32"] });
  for (const address of seen(one, 3).addresses) expect(["203.0.113.8", "203.0.113.9"]).toContain(address);
  spawnSync("ip", ["-n", world, "route", "add", "10.9.0.0/16", "via", "192.0.2.1"]);
  expect(seen(two, 3).addresses).toEqual([two]);
});

describe("with port blocks", () => {
  test("each subscriber is seen under its own address and ports, whoever else is there", async () => {
    const internet = await up({ portBlocks });
    const blocks = [1, 2, 70].map((number) => internet.blockOf(number)!);
    expect(blocks).toEqual([
      { address: "203.0.113.0", from: 1024, to: 2047 },
      { address: "203.0.113.0", from: 2048, to: 3071 },
      { address: "203.0.113.1", from: 7168, to: 8191 },
    ]);
    for (const [from, block] of [
      [one, blocks[0]!],
      [two, blocks[1]!],
      [twoToo, blocks[1]!],
      [seventy, blocks[2]!],
    ] as const) {
      const { addresses, ports } = seen(from);
      expect(addresses).toEqual([block.address]);
      expect(ports).toHaveLength(20);
      expect(within(ports, block)).toEqual([]);
    }
  });

  test("who has no block is masqueraded under the uplink's own address", async () => {
    await up({ portBlocks });
    expect(seen(nobody, 3).addresses).toEqual(["192.0.2.1"]);
  });

  test("pings go out under the address, with identifiers of the block", async () => {
    const internet = await up({ portBlocks });
    const block = internet.blockOf(70)!;
    // The world lets in no echo request but those whose identifier is in the block.
    const rule = `icmp type echo-request icmp id < ${block.from} drop; icmp type echo-request icmp id > ${block.to} drop`;
    inside(world, "nft", `table ip t { chain in { type filter hook input priority 0; ${rule}; }; }`);
    const echoes = inside(inner, "ping", "-c", "2", "-i", "0.2", "-W", "2", "-I", seventy, outside);
    expect(echoes).toContain(" 0% packet loss");
    expect(
      spawnSync("ip", ["netns", "exec", inner, "ping", "-c1", "-W1", "-I", one, outside]).status,
    ).not.toBe(0);
  });

  test("a block that is full ends the subscriber's new connections and no other's", async () => {
    await up({ portBlocks: { ...portBlocks, portsPerSubscriber: 64 } });
    const { addresses, ports } = seen(one, 80);
    // Ports of closed connections are in TIME_WAIT: at most 64 are given out.
    expect(new Set(ports.filter((given) => given > 0)).size).toBeLessThanOrEqual(64);
    expect(addresses).toContain("203.0.113.0");
    expect(seen(two, 5).addresses).toEqual(["203.0.113.0"]);
  });

  test("one more subscriber is one transaction of a few commands; open connections of the others stay", async () => {
    await up({ portBlocks });
    const echo = spawn("ip", [
      ...["netns", "exec", world, process.execPath, "-e"],
      `require("net").createServer((s) => { s.write("hello"); s.pipe(s); }).listen(22, () => console.log("up"))`,
    ]);
    try {
      await once(echo.stdout, "data");
      const client = spawn("ip", [
        ...["netns", "exec", inner, process.execPath, "-e"],
        `const s = require("net").connect({ host: "${outside}", port: 22, localAddress: "${one}" });
         s.on("data", (d) => console.log(String(d))); process.stdin.on("data", (d) => s.write(d));`,
      ]);
      expect(String(await once(client.stdout, "data"))).toContain("hello");
      const more = { ...portBlocks, subscribers: [...subscribers, { number: 3, sources: [nobody] }] };
      const { app } = program({ portBlocks: more });
      const steps = (await running!.update(app)).filter((step) => JSON.stringify(step).includes(nobody));
      expect(steps).toHaveLength(1);
      expect((steps[0] as unknown as { commands: object[] }).commands.length).toBeLessThanOrEqual(5);
      client.stdin.write("still there");
      expect(String(await once(client.stdout, "data"))).toContain("still there");
      client.kill();
      expect(within(seen(nobody, 5).ports, { from: 3072, to: 4095 })).toEqual([]);
    } finally {
      echo.kill();
    }
  });
});
