import { XDP } from "../../support/bpf";
import {
  encapsulated,
  etherType,
  frame,
  inner,
  innerMacs,
  outerMacs,
  tunnels,
} from "../../support/bpf-cases";
import { Mux } from "../../support/bpf-mux";
import { ETH, ethernet, ipv4, PROTO, udp } from "../../support/packets";

let mux: Mux;
beforeAll(async () => {
  mux = await Mux.start();
});
afterAll(() => mux.close());

/** Everything that comes in on lo goes through end 0. */
async function all(end: Parameters<Mux["end"]>[1]) {
  await mux.reset();
  await mux.port({ ifindex: 1, flags: ["ALL"], end: 0 });
  await mux.end(0, { dmac: outerMacs.dst, smac: outerMacs.src, ...end });
}

const flowLabelOf = (packet: Buffer) =>
  packet.readUInt16BE(12) === ETH.ipv6 ? packet.readUInt32BE(14) & 0xfffff : 0;

describe.each(tunnels)("pushing $name", (tunnel) => {
  describe.each([4, 6] as const)("with IPv%d inside", (family) => {
    const carried = (bytes: Buffer) => (tunnel.l3 ? bytes.subarray(14) : bytes);

    it("writes exactly the headers of the RFCs", async () => {
      await all(tunnel.end);
      const sent = await mux.send("mux_push", frame(family));
      expect([sent.verdict, sent.reason]).toEqual([XDP.pass, "PUSH_PASS"]);
      const flowLabel = flowLabelOf(sent.packet);
      expect(sent.packet.toString("hex")).toBe(
        encapsulated(tunnel, family, carried(frame(family)), { flowLabel }).toString("hex"),
      );
      expect(await mux.counted(0)).toEqual({ packets: 1n, bytes: BigInt(frame(family).length) });
    });

    it("copies DSCP, ECN and TTL, or sets DSCP and TTL to what is wanted", async () => {
      const marked = frame(family, inner(family, { tos: 0xb9, ttl: 17 }));
      await all(tunnel.end);
      const copied = (await mux.send("mux_push", marked)).packet;
      expect(copied).toEqual(
        encapsulated(tunnel, family, carried(marked), { tos: 0xb9, ttl: 17, flowLabel: flowLabelOf(copied) }),
      );
      await all({ ...tunnel.end, flags: [...(tunnel.end.flags ?? []), "DSCP"], tos: 0x28, ttl: 200 });
      const fixed = (await mux.send("mux_push", marked)).packet;
      expect(fixed).toEqual(
        encapsulated(tunnel, family, carried(marked), { tos: 0x29, ttl: 200, flowLabel: flowLabelOf(fixed) }),
      );
      await all({ ...tunnel.end, flags: [...(tunnel.end.flags ?? []), "ECN_COMPAT"] });
      const silent = (await mux.send("mux_push", marked)).packet;
      expect(silent).toEqual(
        encapsulated(tunnel, family, carried(marked), { tos: 0xb8, ttl: 17, flowLabel: flowLabelOf(silent) }),
      );
    });

    it("is undone by the pop of the far side", async () => {
      await all(tunnel.end);
      await mux.end(1, {
        protocol: tunnel.end.protocol,
        flags: (tunnel.end.flags ?? []).filter((flag) => ["L3", "CSUM_ZERO"].includes(flag)),
        remote: tunnel.end.local,
        dmac: innerMacs.dst,
        smac: innerMacs.src,
      });
      await mux.slot(tunnel.key, 1);
      const { packet } = await mux.send("mux_push", frame(family));
      await mux.port({ ifindex: 1, flags: ["POP"] });
      const back = await mux.send("mux_pop", packet);
      expect(back).toEqual({ verdict: XDP.pass, reason: "POP_PASS", packet: frame(family) });
      expect(await mux.counted(1)).toEqual({ packets: 1n, bytes: BigInt(packet.length) });
    });

    it("strips VLAN tags of a packet, and keeps those of a frame", async () => {
      await all(tunnel.end);
      const tags = [
        { type: ETH.qinq, tci: 0x2064 },
        { type: ETH.vlan, tci: 0x0065 },
      ];
      for (const some of [tags.slice(1), tags]) {
        await all(tunnel.end);
        const tagged = ethernet(
          { ...innerMacs, type: etherType(family), tags: some },
          inner(family, { tos: 0x02 }),
        );
        const body = tunnel.l3 ? tagged.subarray(14 + 4 * some.length) : tagged;
        const { packet } = await mux.send("mux_push", tagged);
        expect(packet).toEqual(
          encapsulated(tunnel, family, body, { tos: 0x02, flowLabel: flowLabelOf(packet) }),
        );
      }
    });
  });

  it(tunnel.l3 ? "drops what is not IP" : "carries what is not IP", async () => {
    await all(tunnel.end);
    const arp = ethernet(
      { dst: "ff:ff:ff:ff:ff:ff", src: innerMacs.src, type: ETH.arp },
      Buffer.alloc(46, 7),
    );
    const sent = await mux.send("mux_push", arp);
    if (tunnel.l3) {
      expect(sent).toEqual({ verdict: XDP.drop, reason: "NOT_L3", packet: arp });
      expect(await mux.drops(0, "NOT_L3")).toBe(1);
    } else {
      expect(sent.packet).toEqual(encapsulated(tunnel, 4, arp, { flowLabel: flowLabelOf(sent.packet) }));
    }
  });
});

describe("the outer IPv4 header", () => {
  const geneve = tunnels[0]!;

  it("counts its identification where fragments are possible, and is 0 with Don't Fragment", async () => {
    await all(geneve.end);
    for (const id of [0, 1, 2]) {
      const { packet } = await mux.send("mux_push", frame(4));
      expect(packet).toEqual(encapsulated(geneve, 4, frame(4), { id }));
    }
    await all({ ...geneve.end, flags: ["DF"] });
    for (let i = 0; i < 2; i++) {
      const { packet } = await mux.send("mux_push", frame(4));
      expect(packet).toEqual(encapsulated(geneve, 4, frame(4), { df: true }));
    }
  });

  it("inherits Don't Fragment when told to", async () => {
    await all({ ...geneve.end, flags: ["DF_INHERIT"] });
    const free = frame(4, inner(4, { df: false }));
    expect((await mux.send("mux_push", frame(4))).packet).toEqual(
      encapsulated(geneve, 4, frame(4), { df: true }),
    );
    expect((await mux.send("mux_push", free)).packet).toEqual(encapsulated(geneve, 4, free, { id: 1 }));
  });

  it("takes turns in identifications between CPUs that have lines of their own", async () => {
    mux.run.recording = false; // which CPU it is, is not ours to say
    await mux.reset();
    const stride = 2048;
    await mux.port({ ifindex: 1, flags: ["ALL"], end: 0 }, { stride, cpus: 4 });
    for (const nth of [0, 1]) await mux.end(0, { dmac: outerMacs.dst, ...geneve.end }, { nth, stride });
    const ids = [];
    for (let i = 0; i < 4; i++) ids.push((await mux.send("mux_push", frame(4))).packet.readUInt16BE(18));
    expect(new Set(ids).size).toBe(4);
    expect(ids.every((id) => id % 4 < 2)).toBe(true);
    const lines = [await mux.counted(0), await mux.counted(stride)];
    expect(lines[0]!.packets + lines[1]!.packets).toBe(4n);
    mux.run.recording = true;
  });

  it("never inherits a TTL of 0", async () => {
    await all(geneve.end);
    const dead = frame(4, inner(4, { ttl: 0 }));
    expect(await mux.send("mux_push", dead)).toEqual({ verdict: XDP.drop, reason: "TTL", packet: dead });
  });
});

describe("the outer UDP source port", () => {
  const end = { ...tunnels[0]!.end, sport: 0 };
  const flow = (sport: number, more: Partial<Parameters<typeof ipv4>[0]> = {}) => {
    const body = udp({ sport, dport: 53 }, Buffer.alloc(24));
    return ethernet(
      { ...innerMacs, type: ETH.ipv4 },
      ipv4({ src: "10.0.0.1", dst: "10.0.0.2", protocol: PROTO.udp, ...more }, body),
    );
  };
  const port = async (packet: Buffer) => (await mux.send("mux_push", packet)).packet.readUInt16BE(34);

  it("is one for a flow, and spreads flows over 49152 to 65535", async () => {
    await all(end);
    const ports = [];
    for (let i = 0; i < 64; i++) ports.push(await port(flow(1024 + i)));
    expect(ports.every((value) => value >= 49152 && value <= 65535)).toBe(true);
    // 64 of 16,384: all but a few differ
    expect(new Set(ports).size).toBeGreaterThan(60);
    expect(await port(flow(1024))).toBe(ports[0]);
  });

  it("is the same for all fragments of a packet", async () => {
    await all(end);
    const first = await port(flow(1024, { mf: true }));
    expect(await port(flow(2048, { offset: 100 }))).toBe(first);
    expect(await port(flow(4096, { offset: 100, mf: true }))).toBe(first);
  });
});

describe("MAC addresses", () => {
  it("are the frame's own outside where none are given", async () => {
    await all({ ...tunnels[0]!.end, dmac: undefined, smac: undefined });
    const { packet } = await mux.send("mux_push", frame(4));
    expect(packet.subarray(0, 12)).toEqual(frame(4).subarray(0, 12));
  });

  it("are replaced inside when asked to", async () => {
    await all({ ...tunnels[0]!.end, flags: ["DMAC"], innerDmac: "02:cc:00:00:00:09" });
    const once = (await mux.send("mux_push", frame(4))).packet;
    expect(once.subarray(50)).toEqual(
      ethernet({ ...innerMacs, dst: "02:cc:00:00:00:09", type: ETH.ipv4 }, inner(4)),
    );
    await all({
      ...tunnels[0]!.end,
      flags: ["DMAC", "SMAC"],
      innerDmac: "02:cc:00:00:00:09",
      innerSmac: "02:cc:00:00:00:08",
    });
    const both = (await mux.send("mux_push", frame(4))).packet;
    expect(both.subarray(50)).toEqual(
      ethernet({ dst: "02:cc:00:00:00:09", src: "02:cc:00:00:00:08", type: ETH.ipv4 }, inner(4)),
    );
  });
});
