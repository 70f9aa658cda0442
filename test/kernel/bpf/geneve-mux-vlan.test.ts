import { XDP } from "../../support/bpf";
import { frame, inner, innerMacs } from "../../support/bpf-cases";
import { Mux } from "../../support/bpf-mux";
import { ETH, ethernet } from "../../support/packets";

let mux: Mux;
beforeAll(async () => {
  mux = await Mux.start(["trunk0", "port0"]);
});
afterAll(() => mux.close());
beforeEach(() => mux.reset());

const single = [{ type: ETH.vlan, tci: 0x6123 }];
const double = [
  { type: ETH.qinq, tci: 0x2045 },
  { type: ETH.vlan, tci: 0x0067 },
];
const cases = [
  ["vlan", single, 0x6123, 0x123],
  ["qinq", double, 0x20450067, 0x00450067],
] as const;

describe.each(cases)("%s", (protocol, tags, tci, key) => {
  const tagged = (family: 4 | 6) =>
    ethernet({ ...innerMacs, type: family === 4 ? ETH.ipv4 : ETH.ipv6, tags }, inner(family));

  it.each([4, 6] as const)(
    "is pushed with its priority, and popped by its VLANs alone (IPv%d)",
    async (family) => {
      await mux.port({ ifindex: 1, flags: ["ALL"], end: 0 });
      await mux.port({ ifindex: 2, flags: ["POP"] });
      await mux.end(0, { protocol, vni: tci });
      await mux.keyed({ scope: protocol, vni: key }, { protocol });
      const pushed = await mux.send("mux_push", frame(family));
      expect(pushed).toEqual({ verdict: XDP.pass, reason: "PUSH_PASS", packet: tagged(family) });
      const popped = await mux.send("mux_pop", pushed.packet, 2);
      expect(popped).toEqual({ verdict: XDP.pass, reason: "POP_PASS", packet: frame(family) });
    },
  );

  it("is redirected, and dropped as it came without a device", async () => {
    await mux.port({ ifindex: 1, flags: ["ALL"], end: 0 });
    await mux.port({ ifindex: 2, flags: ["POP"] });
    await mux.end(0, { protocol, vni: tci, flags: ["REDIRECT"], egress: 5 });
    await mux.keyed({ scope: protocol, vni: key }, { protocol, flags: ["REDIRECT"], egress: 6 });
    expect(await mux.send("mux_push", frame(4))).toEqual({
      verdict: XDP.drop,
      reason: "NO_EGRESS",
      packet: frame(4),
    });
    expect(await mux.send("mux_pop", tagged(4), 2)).toEqual({
      verdict: XDP.drop,
      reason: "NO_EGRESS",
      packet: tagged(4),
    });
    await mux.device(5, 2);
    await mux.device(6, 4);
    expect(await mux.send("mux_push", frame(4))).toEqual({
      verdict: XDP.redirect,
      reason: "PUSH_REDIRECT",
      packet: tagged(4),
    });
    expect(await mux.send("mux_pop", tagged(4), 2)).toEqual({
      verdict: XDP.redirect,
      reason: "POP_REDIRECT",
      packet: frame(4),
    });
  });

  it("has its MACs replaced when asked to, in both directions", async () => {
    const macs = { dmac: "02:cc:00:00:00:09", smac: "02:cc:00:00:00:08" };
    await mux.port({ ifindex: 1, flags: ["ALL"], end: 0 });
    await mux.port({ ifindex: 2, flags: ["POP"] });
    await mux.end(0, { protocol, vni: tci, flags: ["DMAC", "SMAC"], ...macs });
    await mux.keyed({ scope: protocol, vni: key }, { protocol, flags: ["DMAC"], ...macs });
    const { packet } = await mux.send("mux_push", frame(4));
    expect(packet).toEqual(ethernet({ dst: macs.dmac, src: macs.smac, type: ETH.ipv4, tags }, inner(4)));
    const back = await mux.send("mux_pop", tagged(4), 2);
    expect(back.packet).toEqual(ethernet({ ...innerMacs, dst: macs.dmac, type: ETH.ipv4 }, inner(4)));
  });

  it("passes unknown VLANs and tags cut short", async () => {
    await mux.port({ ifindex: 1, flags: ["POP"] });
    expect(await mux.send("mux_pop", tagged(4))).toEqual({
      verdict: XDP.pass,
      reason: "UNKNOWN",
      packet: tagged(4),
    });
    for (let length = 14; length < 14 + 4 * tags.length; length++) {
      const cut = tagged(4).subarray(0, length);
      expect(await mux.send("mux_pop", cut)).toEqual({ verdict: XDP.pass, reason: "SHORT", packet: cut });
    }
  });
});

it("takes a service tag only with a customer tag behind it", async () => {
  await mux.port({ ifindex: 1, flags: ["POP"] });
  await mux.keyed({ scope: "vlan", vni: 0x45 }, { protocol: "vlan" });
  const packet = ethernet({ ...innerMacs, type: ETH.ipv4, tags: [{ type: ETH.qinq, tci: 0x45 }] }, inner(4));
  expect(await mux.send("mux_pop", packet)).toEqual({ verdict: XDP.pass, reason: "NOT_TUNNEL", packet });
});

it("takes the outer tag of two off where that is the tunnel", async () => {
  await mux.port({ ifindex: 1, flags: ["POP"] });
  await mux.keyed({ scope: "vlan", vni: 9 }, { protocol: "vlan" });
  const under = [{ type: ETH.vlan, tci: 10 }];
  const packet = ethernet(
    { ...innerMacs, type: ETH.ipv4, tags: [{ type: ETH.vlan, tci: 9 }, ...under] },
    inner(4),
  );
  expect((await mux.send("mux_pop", packet)).packet).toEqual(
    ethernet({ ...innerMacs, type: ETH.ipv4, tags: under }, inner(4)),
  );
});
