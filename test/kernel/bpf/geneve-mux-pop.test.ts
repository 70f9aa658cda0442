import { XDP } from "../../support/bpf";
import {
  encapsulated,
  etherType,
  frame,
  inner,
  innerMacs,
  outer4,
  outer6,
  outerMacs,
  payload,
  tunnels,
  type Outer,
  type TunnelCase,
} from "../../support/bpf-cases";
import { Mux, type End } from "../../support/bpf-mux";
import { ETH, ethernet, geneve, gre, ipv4, ipv6, PROTO, udp, vxlan } from "../../support/packets";

let mux: Mux;
beforeAll(async () => {
  mux = await Mux.start(["pod0"]);
});
afterAll(() => mux.close());

const kept = (tunnel: TunnelCase) =>
  (tunnel.end.flags ?? []).filter((flag) => ["L3", "CSUM_ZERO"].includes(flag));

/** End 1 pops what `tunnel` pushes; what comes out has the inner MACs. */
async function pops(
  tunnel: TunnelCase,
  more: Partial<End> = {},
  keyless: "by source" | "by list" = "by source",
) {
  await mux.reset();
  await mux.port({ ifindex: 1, flags: ["POP"] });
  await mux.end(1, {
    protocol: tunnel.end.protocol,
    remote: tunnel.end.local,
    dmac: innerMacs.dst,
    smac: innerMacs.src,
    ...more,
    flags: [...kept(tunnel), ...(more.flags ?? [])],
  });
  await mux.slot(keyless === "by list" ? { ...tunnel.key, a: undefined } : tunnel.key, 1);
}

const body = (tunnel: TunnelCase, whole: Buffer) => (tunnel.l3 ? whole.subarray(14) : whole);
const arriving = (tunnel: TunnelCase, family: 4 | 6 = 4, outer: Outer = {}, whole = frame(family)) =>
  encapsulated(tunnel, family, body(tunnel, whole), outer);

const lists = (reason: string) => (reason === "WRONG_SOURCE" ? XDP.drop : XDP.pass);

describe.each(tunnels)("popping $name", (tunnel) => {
  const isUdp = tunnel.end.protocol === "geneve" || tunnel.end.protocol === "vxlan";

  it("leaves the inner packet exactly, of either family", async () => {
    await pops(tunnel);
    for (const family of [4, 6] as const) {
      const result = await mux.send("mux_pop", arriving(tunnel, family));
      expect(result).toEqual({ verdict: XDP.pass, reason: "POP_PASS", packet: frame(family) });
    }
  });

  it("redirects to its device when told to", async () => {
    await pops(tunnel, { flags: ["REDIRECT"], egress: 77 });
    await mux.device(77, 2);
    const result = await mux.send("mux_pop", arriving(tunnel));
    expect(result).toEqual({ verdict: XDP.redirect, reason: "POP_REDIRECT", packet: frame(4) });
  });

  it("drops, unchanged, what has no device to go to", async () => {
    await pops(tunnel, { flags: ["REDIRECT"], egress: 78 });
    const result = await mux.send("mux_pop", arriving(tunnel));
    expect(result).toEqual({ verdict: XDP.drop, reason: "NO_EGRESS", packet: arriving(tunnel) });
  });

  it("passes a frame cut short at any length as it came", async () => {
    await pops(tunnel);
    const whole = arriving(tunnel);
    for (let length = 14; length < whole.length; length++) {
      const cut = whole.subarray(0, length);
      const result = await mux.send("mux_pop", cut);
      expect({ length, ...result }).toEqual({ length, verdict: XDP.pass, reason: "SHORT", packet: cut });
    }
    expect((await mux.counted(1)).packets).toBe(0n);
  });

  it("takes nothing away where the inner packet is cut short inside a whole outer one", async () => {
    await pops(tunnel);
    const inside = body(tunnel, frame(4));
    for (let length = 0; length < Math.min(inside.length, 54); length++) {
      const whole = encapsulated(tunnel, 4, inside.subarray(0, length));
      const result = await mux.send("mux_pop", whole);
      // A frame of a header's length is whole, whatever it says it carries.
      if (!tunnel.l3 && length >= 14) {
        expect({ length, ...result }).toEqual({
          length,
          verdict: XDP.pass,
          reason: "POP_PASS",
          packet: inside.subarray(0, length),
        });
        continue;
      }
      expect({ length, packet: result.packet }).toEqual({ length, packet: whole });
      // Shorter than the smallest packet there is, it cannot be told from a cut one.
      expect(["INNER_BAD", "SHORT"]).toContain(result.reason);
      expect(result.verdict).toBe(result.reason === "SHORT" ? XDP.pass : XDP.drop);
    }
  });

  it("removes padding behind the outer packet", async () => {
    await pops(tunnel);
    const padded = Buffer.concat([arriving(tunnel), Buffer.alloc(9, 0xee)]);
    expect(await mux.send("mux_pop", padded)).toEqual({
      verdict: XDP.pass,
      reason: "POP_PASS",
      packet: frame(4),
    });
  });

  it("refuses any other source, and takes those that are listed", async () => {
    const others =
      tunnel.outer === 4 ? ["203.0.113.9", "203.0.113.0/24"] : ["2001:db8:9::9", "2001:db8:9::/48"];
    await pops(tunnel, {}, "by list");
    const stranger = encapsulated(tunnel, 4, body(tunnel, frame(4)), { src: others[0] });
    // The checksum of the builder's UDP header is for the usual source.
    const trusting = isUdp ? { flags: ["CSUM_TRUST"] } : {};
    await pops(tunnel, trusting, "by list");
    expect(await mux.send("mux_pop", arriving(tunnel))).toMatchObject({ reason: "POP_PASS" });
    expect(await mux.send("mux_pop", stranger)).toEqual({
      verdict: lists("WRONG_SOURCE"),
      reason: "WRONG_SOURCE",
      packet: stranger,
    });
    expect(await mux.drops(1, "WRONG_SOURCE")).toBe(1);
    await mux.source(1, others[1]!);
    expect(await mux.send("mux_pop", stranger)).toMatchObject({ reason: "POP_PASS" });
    await pops(tunnel, { flags: ["ANY_SOURCE", ...(trusting.flags ?? [])] }, "by list");
    expect(await mux.send("mux_pop", stranger)).toMatchObject({ reason: "POP_PASS" });
  });

  it("passes what belongs to no tunnel: another destination, key or table", async () => {
    await pops(tunnel);
    const there = tunnel.outer === 4 ? { dst: "198.51.100.8" } : { dst: "2001:db8:ffff::8" };
    const elsewhere = encapsulated(tunnel, 4, body(tunnel, frame(4)), there as Outer);
    expect(await mux.send("mux_pop", elsewhere)).toEqual({
      verdict: XDP.pass,
      reason: "UNKNOWN",
      packet: elsewhere,
    });
    await mux.reset();
    await mux.port({ ifindex: 1, flags: ["POP"], table: 3 });
    await mux.slot(tunnel.key, 1);
    expect(await mux.send("mux_pop", arriving(tunnel))).toMatchObject({
      verdict: XDP.pass,
      reason: "UNKNOWN",
    });
    if (tunnel.key.vni !== undefined) {
      await mux.reset();
      await mux.port({ ifindex: 1, flags: ["POP"] });
      await mux.slot({ ...tunnel.key, vni: tunnel.key.vni - 1 }, 1);
      expect(await mux.send("mux_pop", arriving(tunnel))).toMatchObject({
        verdict: XDP.pass,
        reason: "UNKNOWN",
      });
    }
  });

  it("drops for a line that is not there", async () => {
    await pops(tunnel);
    await mux.reset();
    await mux.port({ ifindex: 1, flags: ["POP"] });
    await mux.slot(tunnel.key, 9);
    expect(await mux.send("mux_pop", arriving(tunnel))).toMatchObject({
      verdict: XDP.drop,
      reason: "NO_END",
    });
  });

  it("passes fragments, which only the host can put together", async () => {
    await pops(tunnel);
    const parts =
      tunnel.outer === 4
        ? [arriving(tunnel, 4, { mf: true }), arriving(tunnel, 4, { offset: 3 })]
        : [
            ethernet(
              { ...outerMacs, type: ETH.ipv6 },
              ipv6(
                { ...outer6, next: PROTO.fragment },
                Buffer.concat([Buffer.from("2f00000100000001", "hex"), payload]),
              ),
            ),
          ];
    for (const part of parts) {
      expect(await mux.send("mux_pop", part)).toEqual({
        verdict: XDP.pass,
        reason: "FRAGMENT",
        packet: part,
      });
    }
  });

  it("skips what stands between the outer IP header and the tunnel's", async () => {
    await pops(tunnel);
    if (tunnel.outer === 4) {
      for (const options of [Buffer.from("01010101", "hex"), Buffer.alloc(40, 1)]) {
        expect(await mux.send("mux_pop", arriving(tunnel, 4, { options }))).toMatchObject({
          reason: "POP_PASS",
          packet: frame(4),
        });
      }
    } else {
      // Destination options with a tunnel encapsulation limit, as the kernel's ip6tnl and ip6gre send them.
      const l4 = tunnel.wrap(body(tunnel, frame(4)), ETH.ipv4);
      const options = Buffer.concat([
        Buffer.from([tunnel.protocol(ETH.ipv4), 0]),
        Buffer.from("040104010100", "hex"),
      ]);
      const packet = ipv6({ ...outer6, next: PROTO.dstopts }, Buffer.concat([options, l4]));
      const result = await mux.send("mux_pop", ethernet({ ...outerMacs, type: ETH.ipv6 }, packet));
      expect(result).toEqual({ verdict: XDP.pass, reason: "POP_PASS", packet: frame(4) });
    }
  });

  if (tunnel.outer === 4) {
    it("passes a wrong outer header checksum", async () => {
      await pops(tunnel);
      for (const options of [undefined, Buffer.alloc(8, 1)]) {
        const spoilt = arriving(tunnel, 4, { options });
        spoilt.writeUInt16BE(spoilt.readUInt16BE(24) ^ 0x0100, 24);
        expect(await mux.send("mux_pop", spoilt)).toEqual({
          verdict: XDP.pass,
          reason: "BAD_HEADER_CSUM",
          packet: spoilt,
        });
      }
    });
  }

  it("passes another IP version", async () => {
    await pops(tunnel);
    const wrong = arriving(tunnel);
    wrong.writeUInt8((wrong.readUInt8(14) & 0x0f) | 0x50, 14);
    expect(await mux.send("mux_pop", wrong)).toEqual({
      verdict: XDP.pass,
      reason: "BAD_VERSION",
      packet: wrong,
    });
  });

  it("carries what is not IP, or drops it where only IP may come", async () => {
    await pops(tunnel);
    if (tunnel.end.protocol === "ipip") return;
    const arp = ethernet(
      { dst: "ff:ff:ff:ff:ff:ff", src: innerMacs.src, type: ETH.arp },
      Buffer.alloc(28, 7),
    );
    const l4 = tunnel.wrap(tunnel.l3 ? arp.subarray(14) : arp, ETH.arp);
    const packet =
      tunnel.outer === 4
        ? ipv4({ ...outer4, protocol: tunnel.protocol(ETH.arp) }, l4)
        : ipv6({ ...outer6, next: tunnel.protocol(ETH.arp) }, l4);
    const whole = ethernet({ ...outerMacs, type: etherType(tunnel.outer) }, packet);
    expect(await mux.send("mux_pop", whole)).toEqual(
      tunnel.l3
        ? { verdict: XDP.drop, reason: "PROTO_TYPE", packet: whole }
        : { verdict: XDP.pass, reason: "POP_PASS", packet: arp },
    );
  });
});

/** A frame with any L4 from the usual outer source. */
const from4 = (protocol: number, l4: Buffer) =>
  ethernet({ ...outerMacs, type: ETH.ipv4 }, ipv4({ ...outer4, protocol }, l4));
const from6 = (protocol: number, l4: Buffer) =>
  ethernet({ ...outerMacs, type: ETH.ipv6 }, ipv6({ ...outer6, next: protocol }, l4));
const named = (name: string) => tunnels.find((tunnel) => tunnel.name === name)!;

describe("Geneve", () => {
  const tunnel = named("geneve over IPv4");
  const vni = 0xabc123;
  const wrap = (header: Parameters<typeof geneve>[0]) =>
    udp({ sport: 50000, dport: 6081 }, geneve(header, frame(4)));

  it("skips options of every length", async () => {
    await pops(tunnel);
    for (let words = 0; words <= 63; words++) {
      const packet = from4(PROTO.udp, wrap({ vni, options: Buffer.alloc(words * 4, words) }));
      const result = await mux.send("mux_pop", packet);
      expect({ words, ...result }).toEqual({
        words,
        verdict: XDP.pass,
        reason: "POP_PASS",
        packet: frame(4),
      });
    }
  });

  it("passes options that would reach beyond the packet", async () => {
    await pops(tunnel);
    const packet = from4(
      PROTO.udp,
      udp({ sport: 1, dport: 6081 }, geneve({ vni, optionWords: 63 }, Buffer.alloc(40))),
    );
    expect(await mux.send("mux_pop", packet)).toEqual({ verdict: XDP.pass, reason: "SHORT", packet });
  });

  it("passes other versions and control messages, and drops critical options it does not know", async () => {
    await pops(tunnel);
    for (const version of [1, 2, 3]) {
      const packet = from4(PROTO.udp, wrap({ vni, version }));
      expect(await mux.send("mux_pop", packet)).toEqual({ verdict: XDP.pass, reason: "BAD_VERSION", packet });
    }
    const control = from4(PROTO.udp, wrap({ vni, control: true }));
    expect(await mux.send("mux_pop", control)).toEqual({
      verdict: XDP.pass,
      reason: "CONTROL",
      packet: control,
    });
    const critical = from4(PROTO.udp, wrap({ vni, critical: true, options: Buffer.alloc(8) }));
    expect(await mux.send("mux_pop", critical)).toEqual({
      verdict: XDP.drop,
      reason: "CRITICAL",
      packet: critical,
    });
  });
});

describe("VXLAN", () => {
  it("passes a header without the VNI bit", async () => {
    await pops(named("vxlan over IPv4"));
    const packet = from4(
      PROTO.udp,
      udp({ sport: 1, dport: 4789 }, vxlan({ vni: 0xabc123, flags: 0 }, frame(4))),
    );
    expect(await mux.send("mux_pop", packet)).toEqual({ verdict: XDP.pass, reason: "CONTROL", packet });
  });
});

describe("GRE", () => {
  const tunnel = named("gre over IPv4 L3 KEY");
  const key = 0xdeadbeef;

  it("skips a sequence number", async () => {
    await pops(tunnel);
    const packet = from4(PROTO.gre, gre({ type: ETH.ipv4, key, sequence: 99 }, inner(4)));
    expect(await mux.send("mux_pop", packet)).toEqual({
      verdict: XDP.pass,
      reason: "POP_PASS",
      packet: frame(4),
    });
  });

  it("passes version 1, routing and reserved bits", async () => {
    await pops(tunnel);
    for (const header of [{ version: 1 }, { bits: 0x4000 }, { bits: 0x0400 }, { bits: 0x0008 }]) {
      const packet = from4(PROTO.gre, gre({ type: ETH.ipv4, key, ...header }, inner(4)));
      expect(await mux.send("mux_pop", packet)).toEqual({ verdict: XDP.pass, reason: "BAD_VERSION", packet });
    }
  });

  it("drops a wrong checksum, unless the NIC is trusted with it", async () => {
    const spoilt = from4(PROTO.gre, gre({ type: ETH.ipv4, key, checksum: true, spoil: 1 }, inner(4)));
    await pops(tunnel);
    expect(await mux.send("mux_pop", spoilt)).toEqual({
      verdict: XDP.drop,
      reason: "BAD_CSUM",
      packet: spoilt,
    });
    await pops(tunnel, { flags: ["CSUM_TRUST"] });
    expect(await mux.send("mux_pop", spoilt)).toMatchObject({ reason: "POP_PASS", packet: frame(4) });
  });

  it("tells a tunnel without a key from one with the key 0", async () => {
    const keyless = named("gre over IPv4 L3");
    await pops(keyless);
    const packet = from4(PROTO.gre, gre({ type: ETH.ipv4, key: 0 }, inner(4)));
    expect(await mux.send("mux_pop", packet)).toEqual({ verdict: XDP.pass, reason: "UNKNOWN", packet });
  });
});

describe("UDP checksums", () => {
  const l4 = (family: 4 | 6, spoil: number | undefined, bytes = frame(4)) => {
    const between = family === 4 ? outer4 : outer6;
    const packet = udp({ sport: 1, dport: 6081, between, spoil }, geneve({ vni: 0xabc123 }, bytes));
    return (family === 4 ? from4 : from6)(PROTO.udp, packet);
  };

  it.each([4, 6] as const)(
    "over IPv%d are verified at every length, unless the NIC is trusted",
    async (family) => {
      const tunnel = named(`geneve over IPv${family}`);
      await pops(tunnel);
      for (const size of [0, 1, 2, 3, 37, 200, 201, 202, 203, 255, 256, 511, 1023, 1400, 2999]) {
        const bytes = ethernet({ ...innerMacs, type: ETH.arp }, Buffer.alloc(size, 0xa7));
        expect(await mux.send("mux_pop", l4(family, undefined, bytes))).toMatchObject({
          reason: "POP_PASS",
          packet: bytes,
        });
        const spoilt = l4(family, 1, bytes);
        expect(await mux.send("mux_pop", spoilt)).toEqual({
          verdict: XDP.drop,
          reason: "BAD_CSUM",
          packet: spoilt,
        });
      }
      await pops(tunnel, { flags: ["CSUM_TRUST"] });
      expect(await mux.send("mux_pop", l4(family, 1))).toMatchObject({
        reason: "POP_PASS",
        packet: frame(4),
      });
    },
  );

  it("may be absent over IPv4, and over IPv6 only by agreement", async () => {
    const packet = from6(PROTO.udp, udp({ sport: 1, dport: 6081 }, geneve({ vni: 0xabc123 }, frame(4))));
    await pops(named("geneve over IPv6"));
    expect(await mux.send("mux_pop", packet)).toEqual({ verdict: XDP.drop, reason: "ZERO_CSUM", packet });
    await pops(named("geneve over IPv6"), { flags: ["CSUM_ZERO"] });
    expect(await mux.send("mux_pop", packet)).toMatchObject({ reason: "POP_PASS", packet: frame(4) });
  });
});

describe("what is none of our protocols", () => {
  it.each([
    ["TCP", from4(PROTO.tcp, Buffer.alloc(40))],
    [
      "ICMP whose checksum reads 6081",
      from4(PROTO.icmp, Buffer.from("080017c117c117c1".padEnd(96, "0"), "hex")),
    ],
    ["UDP to another port", from4(PROTO.udp, udp({ sport: 6081, dport: 53 }, Buffer.alloc(40)))],
    ["ICMPv6", from6(PROTO.icmpv6, Buffer.alloc(40))],
    ["ARP", ethernet({ ...outerMacs, type: ETH.arp }, Buffer.alloc(46))],
  ])("passes as it came: %s", async (_, packet) => {
    await pops(tunnels[0]!);
    expect(await mux.send("mux_pop", packet)).toEqual({ verdict: XDP.pass, reason: "NOT_TUNNEL", packet });
  });
});

describe("MAC addresses after popping", () => {
  it("of a packet are the outer frame's where none are given", async () => {
    const tunnel = named("ipip over IPv4");
    await pops(tunnel, { dmac: undefined, smac: undefined });
    expect((await mux.send("mux_pop", arriving(tunnel))).packet).toEqual(
      ethernet({ ...outerMacs, type: ETH.ipv4 }, inner(4)),
    );
  });

  it("of a frame are replaced when asked to", async () => {
    const tunnel = named("geneve over IPv4");
    const macs = { dmac: "02:cc:00:00:00:09", smac: "02:cc:00:00:00:08" };
    await pops(tunnel, { ...macs, flags: ["DMAC"] });
    expect((await mux.send("mux_pop", arriving(tunnel))).packet).toEqual(
      ethernet({ ...innerMacs, dst: macs.dmac, type: ETH.ipv4 }, inner(4)),
    );
    await pops(tunnel, { ...macs, flags: ["SMAC"] });
    expect((await mux.send("mux_pop", arriving(tunnel))).packet).toEqual(
      ethernet({ ...innerMacs, src: macs.smac, type: ETH.ipv4 }, inner(4)),
    );
  });
});
