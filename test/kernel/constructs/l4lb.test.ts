import { once } from "node:events";
import { LbForward, LbPolicy, type L4LbService } from "../../../lib";
import { closeShared } from "../../support/host";
import { backends, L4lbNetwork, service, VIP } from "../../support/l4lb-net";

/** A client, a balancer and four backends that answer, each in a namespace of this machine. */

const network = new L4lbNetwork("lb");

/** Every backend answers HTTP and UDP with its own name. */
const answering = (nth: number) => `
  const http = require("http").createServer({ keepAliveTimeout: 120000 }, (q, s) => s.end("b${nth}"));
  http.listen({ port: 80, host: "::", backlog: 4096 }, () => {
    const udp = require("dgram").createSocket({ type: "udp6" });
    udp.on("message", (m, from) => udp.send("b${nth}", from.port, from.address));
    udp.bind(53, () => console.log("up"));
  });`;

/** Connections that stay open; each line of input asks over all of them, and how many answered what is printed. */
const connections = (count: number) => `
  const http = require("http");
  const agents = Array.from({ length: ${count} }, () => new http.Agent({ keepAlive: true, maxSockets: 1 }));
  const names = new Array(${count});
  const ask = (nth) => new Promise((done) => {
    const request = http.get({ host: "${VIP}", agent: agents[nth], timeout: 8000 }, (answer) => {
      let text = "";
      const isOld = request.reusedSocket;
      answer.on("data", (data) => (text += data)).on("end", () => done([nth, text, isOld]));
    });
    request.on("timeout", () => request.destroy()).on("error", (error) => done([nth, error.code ?? "gone", false]));
  });
  const round = async () => {
    const counts = {};
    for (const [nth, text, isOld] of await Promise.all(agents.map((_, nth) => ask(nth)))) {
      const moved = names[nth] !== undefined && (names[nth] !== text || !isOld);
      names[nth] ??= text;
      const key = moved ? "moved from " + names[nth] : text;
      counts[key] = (counts[key] ?? 0) + 1;
    }
    console.log(JSON.stringify(counts));
  };
  process.stdin.on("data", round);
  round();`;

type Counts = Record<string, number>;
const total = (counts: Counts) => Object.values(counts).reduce((sum, count) => sum + count, 0);

/** Opens connections through the VIP; each look asks over the same ones again. */
async function open(count: number) {
  const child = network.spawn("client", connections(count));
  const read = async () => JSON.parse(String((await once(child.stdout!, "data"))[0])) as Counts;
  const first = await read();
  return {
    first,
    async again(): Promise<Counts> {
      child.stdin!.write("again\n");
      return read();
    },
    close: () => child.kill(),
  };
}

/** Who answers each of so many new UDP flows. */
async function flows(count: number, vip = VIP): Promise<Counts> {
  const script = `
    const counts = {}; let open = ${count};
    const over = (name) => {
      counts[name] = (counts[name] ?? 0) + 1;
      if (--open === 0) { console.log(JSON.stringify(counts)); process.exit(); }
    };
    for (let n = 0; n < ${count}; n += 1) {
      const socket = require("dgram").createSocket("udp4");
      const timer = setTimeout(() => { socket.close(); over("nobody"); }, 3000);
      socket.on("message", (m) => { clearTimeout(timer); socket.close(); over(String(m)); });
      socket.send("?", 53, "${vip}");
    }`;
  return JSON.parse((await network.lines("client", script)).join("")) as Counts;
}

const web = (props: Partial<L4LbService> = {}) => service({ policy: LbPolicy.roundRobin(), ...props });
const dns = (props: Partial<L4LbService> = {}) =>
  service({ protocol: "udp", port: 53, policy: LbPolicy.roundRobin(), ...props });

beforeAll(async () => {
  await network.up([web(), dns()]);
  await Promise.all([1, 2, 3, 4].map((nth) => network.start(`b${nth}`, answering(nth))));
});

afterAll(async () => {
  await network.remove();
  await closeShared();
});

test("a thousand HTTP connections at once are answered, evenly, and stay where they are while one is drained and one removed", async () => {
  const held = await open(1000);
  try {
    expect(total(held.first)).toBe(1000);
    // Each CPU takes its own turns: a few more or less.
    for (const name of ["b1", "b2", "b3", "b4"])
      expect(Math.abs((held.first[name] ?? 0) - 250)).toBeLessThan(13);
    expect(await held.again()).toEqual(held.first);

    const draining = backends().map((one, nth) => (nth === 1 ? { ...one, state: "draining" as const } : one));
    const steps = await network.up([web({ backends: draining }), dns()]);
    // Its entry, and the turns of the others: nothing is loaded or attached.
    expect(new Set(steps.map(({ tool }) => tool))).toEqual(new Set(["bpftool"]));
    expect(steps.length).toBeLessThanOrEqual(4);
    expect(await held.again()).toEqual(held.first);
    const fresh = await open(40);
    fresh.close();
    expect(total(fresh.first)).toBe(40);
    expect(fresh.first.b2).toBeUndefined();

    // b2's connections go elsewhere, where nobody knows them; everybody else's stay.
    await network.up([web({ backends: backends(1, 3, 4) }), dns()]);
    const after = await held.again();
    for (const name of ["b1", "b3", "b4"]) expect(after[name]).toBe(held.first[name]);
    expect(after.b2).toBeUndefined();
  } finally {
    held.close();
    await network.up([web(), dns()]);
  }
});

test("UDP flows are answered, by weight", async () => {
  const weighted = backends().map((one, nth) => ({ ...one, weight: nth + 1 }));
  await network.up([web(), dns({ policy: LbPolicy.weighted(), backends: weighted })]);
  const counts = await flows(400);
  expect(total(counts)).toBe(400);
  [1, 2, 3, 4].forEach((nth) =>
    expect(Math.abs((counts[`b${nth}`] ?? 0) / (40 * nth) - 1)).toBeLessThan(0.15),
  );
});

test("IPIP is unwrapped by the backends, who answer to the client", async () => {
  for (const forward of [
    LbForward.ipip({ next: "mac" }),
    LbForward.ipip({ next: "mac", source: { perFlow: "10.9.0.0" } }),
  ]) {
    await network.up([web({ forward }), dns({ forward })]);
    const counts = await flows(40);
    expect(counts.nobody).toBeUndefined();
    const held = await open(40);
    held.close();
    expect(Object.keys(held.first).sort()).toEqual(["b1", "b2", "b3", "b4"]);
  }
});

test("what is no service's passes to the balancer's own namespace", () => {
  expect(network.within("client", "ping", "-c", "2", "-i", "0.1", "-W", "1", "10.8.0.254")).toContain(
    " 2 received",
  );
  // Echo requests to the VIP are answered by the program itself.
  expect(network.within("client", "ping", "-c", "2", "-i", "0.1", "-W", "1", VIP)).toContain(" 2 received");
});

test("a VIP that is the balancer's own address is refused, and the services go on", async () => {
  await network.up([web(), dns()]);
  network.run("ip", "-n", network.netns("lb"), "address", "add", "192.0.2.99/32", "dev", "lo");
  await expect(network.up([web(), dns(), web({ vip: "192.0.2.99" })])).rejects.toThrow(
    /192\.0\.2\.99 of the service tcp 192\.0\.2\.99:80 is an address of this host's own, on lo/,
  );
  const counts = await flows(20);
  expect(counts.nobody).toBeUndefined();
});

describe("the health service", () => {
  const check = { type: "http", intervalMs: 200, timeoutMs: 100, fall: 2, rise: 2 } as const;
  const echo = { ...check, type: "tcp", port: 80 } as const;
  const services = [web({ healthCheck: check }), dns({ healthCheck: echo })];

  test("takes a backend out that no longer answers, and takes it in again; nobody else's connections notice", async () => {
    // systemd does not run here: the service is run as its unit would.
    await network.up([web(), dns()]);
    const health = network.health(services);
    const said: string[] = [];
    health.stdout?.on("data", (data) => said.push(...String(data).trim().split("\n")));
    const heard = async (what: RegExp) => {
      while (said.filter((line) => what.test(line)).length < 2) await once(health.stdout!, "data");
    };
    const held = await open(200);
    try {
      network.stop("b3");
      await heard(/^10\.8\.0\.13 of (tcp|udp) 192\.0\.2\.80 port (80|53) is down$/);
      const after = await held.again();
      for (const name of ["b1", "b2", "b4"]) expect(after[name]).toBe(held.first[name]);
      const fresh = await open(40);
      fresh.close();
      expect(Object.keys(fresh.first).sort()).toEqual(["b1", "b2", "b4"]);
      expect(await flows(40)).toMatchObject({ b1: expect.any(Number), b2: expect.any(Number) });
      await network.start("b3", answering(3));
      await heard(/^10\.8\.0\.13 of (tcp|udp) 192\.0\.2\.80 port (80|53) is up$/);
      const again = await open(40);
      again.close();
      expect(again.first.b3).toBeGreaterThan(0);
    } finally {
      held.close();
      health.kill();
    }
  });
});
