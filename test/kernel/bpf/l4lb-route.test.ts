import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { XDP } from "../../support/bpf";
import { Balancer } from "../../support/bpf-l4lb";
import { le32 } from "../../support/bpf-mux";
import { frame, hashes, own, request, server, vip, wrapped, wraps } from "../../support/l4lb-cases";
import { mac } from "../../support/packets";

/* Next hops from the kernel's own routing table, in the test's namespace, and what time does to flows. */

let lb: Balancer;
const links: Record<string, string> = {};
const nic = 2;
beforeAll(async () => {
  lb = await Balancer.start(["nic0", "nic1"]);
  const { namespace } = lb.run;
  const sysctl = ["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"];
  await execa("ip", ["netns", "exec", namespace, "sysctl", "-qw", ...sysctl]);
  await lb.run.ip("link", "set", "lo", "up");
  for (const [index, name] of ["nic0", "nic1"].entries()) {
    await lb.run.ip("addr", "add", `192.0.${2 + index}.1/24`, "dev", name);
    await lb.run.ip("addr", "add", `2001:db8:${2 + index}::1/64`, "dev", name, "nodad");
    const { stdout } = await execa("ip", ["-n", namespace, "-j", "link", "show", name]);
    links[name] = (JSON.parse(stdout) as { address: string }[])[0]!.address;
  }
});
afterAll(() => lb.close());

const families = [4, 6] as const;
const via = (family: 4 | 6, link: 0 | 1) =>
  family === 4 ? `192.0.${2 + link}.254` : `2001:db8:${2 + link}::fe`;
const net = { 4: "10.0.1.0/24", 6: "2001:db8:1::/64" } as const;

const neighbour = (family: 4 | 6, link: 0 | 1, lladdr: string) =>
  lb.run.ip("neigh", "replace", via(family, link), "lladdr", lladdr, "dev", `nic${link}`, "nud", "permanent");
const route = (family: 4 | 6, link: 0 | 1) =>
  lb.run.ip(`-${family}`, "route", "replace", net[family], "via", via(family, link), "dev", `nic${link}`);

async function start(family: 4 | 6, hold: number): Promise<void> {
  await lb.reset({ hold });
  await lb.backend(0, { address: server[family], source: own[family], flags: [] });
  await lb.service(0, { vip: vip[4], port: 80, protocol: "tcp", policy: "maglev", ring: [0] });
}

describe.each(families)("a backend of IPv%d that the routing table knows the way to", (family) => {
  const form = wraps.find(({ name }) => name === `IPIP over IPv${family}`)!;
  const send = () => lb.send(frame(4, request()), nic);
  const macsOf = async () => (await send()).packet.subarray(0, 12).toString("hex");
  const macs = (to: string, link: string) => Buffer.concat([mac(to), mac(links[link]!)]).toString("hex");

  it("gets both MACs from it, and follows a change at once or when its time is over", async () => {
    await route(family, 0);
    await neighbour(family, 0, "02:dd:00:00:00:01");
    await start(family, 0);
    for (let nth = 0; nth < 3; nth++) {
      const sent = await send();
      expect([sent.verdict, sent.reason]).toEqual([XDP.tx, "FORWARDED"]);
      expect(sent.packet.subarray(0, 12).toString("hex")).toBe(macs("02:dd:00:00:00:01", "nic0"));
      expect(sent.packet.subarray(14)).toEqual(
        wrapped(form, 4, request(), hashes(form, sent.packet)).subarray(14),
      );
    }
    await neighbour(family, 0, "02:dd:00:00:00:02");
    expect(await macsOf()).toBe(macs("02:dd:00:00:00:02", "nic0"));
    await start(family, 240_000);
    expect(await macsOf()).toBe(macs("02:dd:00:00:00:02", "nic0"));
    await neighbour(family, 0, "02:dd:00:00:00:03");
    expect(await macsOf()).toBe(macs("02:dd:00:00:00:02", "nic0"));
    // however many jiffies a second has, 100 ms are over after a second
    await start(family, 100);
    expect(await macsOf()).toBe(macs("02:dd:00:00:00:03", "nic0"));
    await neighbour(family, 0, "02:dd:00:00:00:04");
    await sleep(1100);
    expect(await macsOf()).toBe(macs("02:dd:00:00:00:04", "nic0"));
  });

  it("is redirected to another interface where that is allowed, else dropped", async () => {
    await route(family, 1);
    await neighbour(family, 1, "02:dd:00:00:00:05");
    await start(family, 1000);
    for (let nth = 0; nth < 3; nth++)
      expect(await send()).toMatchObject({
        verdict: XDP.drop,
        reason: "NO_EGRESS",
        packet: frame(4, request()),
      });
    await lb.run.set("lb_devs", le32(4), le32(4));
    for (let nth = 0; nth < 3; nth++) {
      const sent = await send();
      expect([sent.verdict, sent.reason]).toEqual([XDP.redirect, "REDIRECTED"]);
      expect(sent.packet.subarray(0, 12).toString("hex")).toBe(macs("02:dd:00:00:00:05", "nic1"));
    }
  });

  it("is dropped while the neighbour is not known, and where there is no route", async () => {
    await route(family, 0);
    await lb.run.ip("neigh", "del", via(family, 0), "dev", "nic0").catch(() => undefined);
    await start(family, 0);
    expect(await send()).toMatchObject({ verdict: XDP.drop, reason: "NO_NEIGHBOUR" });
    await neighbour(family, 0, "02:dd:00:00:00:01");
    expect((await send()).reason).toBe("FORWARDED");
    await lb.run.ip(`-${family}`, "route", "del", net[family]);
    expect(await send()).toMatchObject({ verdict: XDP.drop, reason: "NO_ROUTE" });
    expect((await lb.stat("lb_backend_stats", 0)).dropped).toBe(2);
  });
});

describe("a flow", () => {
  const form = wraps[0]!;
  async function two(control: Parameters<Balancer["reset"]>[0]): Promise<void> {
    await lb.reset(control);
    for (const [id, protocol] of (["tcp", "udp"] as const).entries()) {
      await lb.backend(id, { ...form.backend, service: id });
      await lb.service(id, { vip: vip[4], port: 80, protocol, policy: "roundRobin", ring: [id] });
    }
  }
  const tcp = (flags: string) => lb.send(frame(4, request({ flags })));
  const udp = () => lb.send(frame(4, request({ protocol: "udp" })));

  it("begins with its first packet and closes with FIN or RST, and not before", async () => {
    await two({});
    expect((await tcp("S")).events).toEqual(["FLOW_NEW"]);
    expect(await lb.active(0)).toBe(1);
    for (const flags of ["S", ".", "P.", "S"]) expect((await tcp(flags)).events).toEqual([]);
    for (const end of ["F.", "R"]) {
      expect((await tcp(end)).events).toEqual(["FLOW_CLOSED"]);
      expect(await lb.active(0)).toBe(0);
      // what is still under way goes where it went, and does not open it again
      for (const flags of [".", "F.", "R"]) expect((await tcp(flags)).events).toEqual([]);
      expect(await lb.active(0)).toBe(0);
      // the same ports, another connection
      expect((await tcp("S")).events).toEqual(["FLOW_NEW"]);
      expect(await lb.active(0)).toBe(1);
      expect((await tcp(".")).events).toEqual([]);
    }
    await two({});
    // what ends a connection that is not known begins none
    for (const flags of ["F.", "R"]) expect(await tcp(flags)).toMatchObject({ verdict: XDP.tx, events: [] });
    expect(await lb.active(0)).toBe(0);
  });

  it("ends when it has been idle for its protocol's time, and lives while it is not", async () => {
    await two({ udp: 2, udpNew: 2, tcp: 100, tcpNew: 100 });
    for (let nth = 0; nth < 2; nth++) {
      await tcp(nth === 0 ? "S" : ".");
      await udp();
    }
    for (let nth = 0; nth < 4; nth++) {
      expect((await udp()).events).toEqual([]);
      await sleep(500);
    }
    await sleep(3200);
    expect((await tcp(".")).events).toEqual([]);
    expect((await udp()).events).toEqual(["FLOW_NEW", "FLOW_EXPIRED"]);
    expect([await lb.active(0), await lb.active(1)]).toEqual([1, 1]);
  });
});
