import { setTimeout as sleep } from "node:timers/promises";
import { XDP } from "../../support/bpf";
import { encapsulated, frame, outer4, outer6, tunnels } from "../../support/bpf-cases";
import { Mux } from "../../support/bpf-mux";
import { mac } from "../../support/packets";
import { execa } from "execa";

/* Next hops from the kernel's own routing table, in the test's namespace. */

let mux: Mux;
let smac: string;
beforeAll(async () => {
  mux = await Mux.start(["nic0"]);
  const { namespace } = mux.run;
  const sysctl = ["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"];
  await execa("ip", ["netns", "exec", namespace, "sysctl", "-qw", ...sysctl]);
  await mux.run.ip("link", "set", "lo", "up");
  await mux.run.ip("addr", "add", "192.0.2.1/24", "dev", "nic0");
  await mux.run.ip("addr", "add", "2001:db8::1/64", "dev", "nic0", "nodad");
  await mux.run.ip("route", "add", "198.51.100.0/24", "via", "192.0.2.254");
  await mux.run.ip("route", "add", "2001:db8:ffff::/48", "via", "2001:db8::fe");
  const { stdout } = await execa("ip", ["-n", namespace, "-j", "link", "show", "nic0"]);
  smac = (JSON.parse(stdout) as { address: string }[])[0]!.address;
});
afterAll(() => mux.close());

const via = { 4: "192.0.2.254", 6: "2001:db8::fe" } as const;
const neighbour = (family: 4 | 6, lladdr: string) =>
  mux.run.ip("neigh", "replace", via[family], "lladdr", lladdr, "dev", "nic0", "nud", "permanent");
const forget = (family: 4 | 6) =>
  mux.run.ip("neigh", "flush", "to", via[family], "nud", "permanent").catch(() => undefined);

describe.each([4, 6] as const)("a hop of IPv%d whose way the routing table knows", (family) => {
  const tunnel = tunnels.find(({ name }) => name === `geneve over IPv${family}`)!;
  const addresses = family === 4 ? outer4 : outer6;

  async function start(hold: number) {
    await mux.reset();
    await mux.port({ ifindex: 2, flags: ["ALL"], end: 0 });
    await mux.end(0, { ...tunnel.end, flags: ["REDIRECT", "DF"], hold });
    await mux.device(2, 2);
  }
  const send = () => mux.send("mux_push", frame(4), 2);

  it("gets egress and both MACs from it", async () => {
    await neighbour(family, "02:dd:00:00:00:01");
    await start(0);
    const sent = await send();
    expect([sent.verdict, sent.reason]).toEqual([XDP.redirect, "PUSH_REDIRECT"]);
    expect(sent.packet.subarray(0, 12)).toEqual(Buffer.concat([mac("02:dd:00:00:00:01"), mac(smac)]));
    const flowLabel = family === 6 ? sent.packet.readUInt32BE(14) & 0xfffff : 0;
    expect(sent.packet.subarray(14)).toEqual(
      encapsulated(tunnel, 4, frame(4), { ...addresses, df: true, flowLabel }).subarray(14),
    );
  });

  it("follows a change at once, or when its time is over", async () => {
    const first = async () => (await send()).packet.subarray(0, 6).toString("hex");
    await neighbour(family, "02:dd:00:00:00:01");
    await start(0);
    expect(await first()).toBe("02dd00000001");
    await neighbour(family, "02:dd:00:00:00:02");
    expect(await first()).toBe("02dd00000002");
    await start(100); // at least 0.1 s, whatever the kernel's HZ
    expect(await first()).toBe("02dd00000002");
    await neighbour(family, "02:dd:00:00:00:03");
    expect(await first()).toBe("02dd00000002");
    await sleep(1100);
    expect(await first()).toBe("02dd00000003");
  });

  it("drops while the neighbour is not known, and where there is no route or no device for it", async () => {
    await forget(family);
    await start(0);
    expect(await send()).toMatchObject({ verdict: XDP.drop, reason: "NO_NEIGHBOUR", packet: frame(4) });
    await neighbour(family, "02:dd:00:00:00:01");
    expect((await send()).reason).toBe("PUSH_REDIRECT");
    await mux.run.unset("mux_devs", Buffer.from("02000000", "hex"));
    expect(await send()).toMatchObject({ verdict: XDP.drop, reason: "NO_EGRESS", packet: frame(4) });
    await mux.end(0, {
      ...tunnel.end,
      remote: family === 4 ? "203.0.113.1" : "2001:db9::1",
      flags: ["DF"],
      hold: 0,
    });
    expect(await send()).toMatchObject({ verdict: XDP.drop, reason: "NO_ROUTE", packet: frame(4) });
  });
});
