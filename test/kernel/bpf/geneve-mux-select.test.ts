import { XDP } from "../../support/bpf";
import { frame, inner, innerMacs, outer4, outerMacs } from "../../support/bpf-cases";
import { Mux, type End } from "../../support/bpf-mux";
import { ETH, ethernet, ipv4, ipv6, PROTO, udp } from "../../support/packets";

let mux: Mux;
beforeAll(async () => {
  mux = await Mux.start(["nic0", "nic1"]);
});
afterAll(() => mux.close());
beforeEach(() => mux.reset());

const end = (vni: number, more: Partial<End> = {}): End => ({
  protocol: "geneve",
  vni,
  local: outer4.src,
  remote: outer4.dst,
  mtu: 1500,
  dmac: outerMacs.dst,
  smac: outerMacs.src,
  flags: ["DF"],
  ...more,
});

const to = (dst: string, src = dst.includes(":") ? "fd00::1" : "10.0.0.1", bytes = Buffer.alloc(30, 5)) => {
  const body = udp({ sport: 4000, dport: 53 }, bytes);
  return dst.includes(":")
    ? ethernet({ ...innerMacs, type: ETH.ipv6 }, ipv6({ src, dst, next: PROTO.udp }, body))
    : ethernet({ ...innerMacs, type: ETH.ipv4 }, ipv4({ src, dst, protocol: PROTO.udp }, body));
};

/** The VNI a packet left with; undefined if it did not. */
const vni = async (packet: Buffer, ifindex = 1) => {
  const sent = await mux.send("mux_push", packet, ifindex);
  if (sent.reason !== "PUSH_PASS") {
    expect(sent).toEqual({ verdict: XDP.pass, reason: sent.reason, packet });
    return sent.reason;
  }
  return sent.packet.readUInt32BE(46) >>> 8;
};

describe.each([
  ["IPv4", "10.1.2.3", "10.0.0.1", "10.1.2.0/24", "10.1.0.0/16", "10.1.2.4", "10.1.9.9", "10.9.9.9"],
  ["IPv6", "fd01:2::3", "fd00::1", "fd01:2::/64", "fd01::/16", "fd01:2::4", "fd01:9::9", "fd09::9"],
])("selection by %s addresses", (_, host, source, narrow, broad, inNarrow, inBroad, outside) => {
  it("prefers the pair, then the host, then the longest prefix, then the interface", async () => {
    await mux.port({ ifindex: 1, flags: ["PAIR", "HOST", "PREFIX", "ALL"], end: 0 });
    for (const id of [0, 1, 2, 3, 4]) await mux.end(id, end(100 + id));
    await mux.slot({ scope: "pair", a: source, b: host }, 4);
    await mux.slot({ scope: "host", b: host }, 3);
    await mux.prefix(narrow, 2);
    await mux.prefix(broad, 1);
    const other = source.replace(/1$/, "77");
    expect(await vni(to(host, source))).toBe(104);
    expect(await vni(to(host, other))).toBe(103);
    expect(await vni(to(inNarrow))).toBe(102);
    expect(await vni(to(inBroad))).toBe(101);
    expect(await vni(to(outside))).toBe(100);
  });

  it("looks only where the interface says", async () => {
    await mux.end(1, end(1));
    await mux.slot({ scope: "pair", a: source, b: host }, 1);
    await mux.slot({ scope: "host", b: host }, 1);
    await mux.prefix(narrow, 1);
    for (const flag of ["PAIR", "HOST", "PREFIX"] as const) {
      await mux.port({ ifindex: 1, flags: [flag] });
      expect(await vni(to(host, source))).toBe(1);
    }
    await mux.port({ ifindex: 1, flags: ["POP"] });
    expect(await vni(to(host, source))).toBe("NO_MATCH");
    expect(await vni(to(host, source), 2)).toBe("NO_CONFIG");
  });

  it("keeps tables apart", async () => {
    await mux.port({ ifindex: 1, flags: ["PAIR", "HOST", "PREFIX"], table: 7 });
    await mux.port({ ifindex: 2, flags: ["PAIR", "HOST", "PREFIX"], table: 8 });
    await mux.end(1, end(71));
    await mux.end(2, end(82));
    await mux.slot({ scope: "host", b: host, table: 7 }, 1);
    await mux.slot({ scope: "host", b: host, table: 8 }, 2);
    await mux.prefix(broad, 2, 8);
    expect(await vni(to(host), 1)).toBe(71);
    expect(await vni(to(host), 2)).toBe(82);
    expect(await vni(to(inBroad), 1)).toBe("NO_MATCH");
    expect(await vni(to(inBroad), 2)).toBe(82);
  });

  it("passes what no tunnel wants as it came", async () => {
    await mux.port({ ifindex: 1, flags: ["PAIR", "HOST", "PREFIX"] });
    const sent = await mux.send("mux_push", to(host));
    expect(sent).toEqual({ verdict: XDP.pass, reason: "NO_MATCH", packet: to(host) });
  });
});

describe("the table", () => {
  it("finds every one of 400 hosts, where it was found by the same hash here, and none that is not there", async () => {
    await mux.port({ ifindex: 1, flags: ["HOST"] });
    const address = (n: number) => `10.${n % 7}.${n >> 8}.${n & 255}`;
    for (let n = 0; n < 400; n++)
      await mux.keyed({ scope: "host", b: address(n) }, end(n, { dmac: undefined, smac: undefined }));
    for (let n = 0; n < 400; n++) expect(await vni(to(address(n)))).toBe(n);
    for (let n = 400; n < 500; n++) expect(await vni(to(address(n)))).toBe("NO_MATCH");
  });

  it("goes on behind an entry that has been taken out", async () => {
    await mux.port({ ifindex: 1, flags: ["HOST"] });
    // Scattered: the hash spreads neighbours so evenly that they would hardly ever meet.
    const scattered = (n: number) => Math.imul(n + 1, 0x2545f491) >>> 8;
    const hosts = [...Array(400).keys()].map(
      (n) => `10.${scattered(n) & 255}.${(scattered(n) >> 8) & 255}.${n & 255}`,
    );
    const where: number[] = [];
    for (const [n, host] of hosts.entries())
      where.push(await mux.keyed({ scope: "host", b: host }, end(n, { dmac: undefined, smac: undefined })));
    // The first of two neighbours goes; the second may have been placed behind it.
    const neighbours = hosts.flatMap((_, n) => (where.includes(where[n]! + 1) ? [n] : []));
    expect(neighbours.length).toBeGreaterThan(5);
    for (const n of neighbours) await mux.remove(where[n]!);
    for (const [n, host] of hosts.entries()) {
      expect(await vni(to(host))).toBe(neighbours.includes(n) ? "NO_MATCH" : n);
    }
  });

  it("counts in the line it found", async () => {
    await mux.port({ ifindex: 1, flags: ["HOST"] });
    const line = await mux.keyed({ scope: "host", b: "10.1.1.1" }, end(9));
    await vni(to("10.1.1.1"));
    await vni(to("10.1.1.1"));
    expect(await mux.counted(0, line)).toEqual({ packets: 2n, bytes: 2n * BigInt(to("10.1.1.1").length) });
  });

  it("drops, as it came, what is selected by a line that is empty", async () => {
    await mux.port({ ifindex: 1, flags: ["HOST"] });
    await mux.slot({ scope: "host", b: "10.1.1.1" }, 5);
    const packet = to("10.1.1.1");
    expect(await mux.send("mux_push", packet)).toEqual({ verdict: XDP.drop, reason: "NO_END", packet });
  });
});

describe("redirection", () => {
  it("goes through the entry of the tunnel's own hop, and drops where there is none", async () => {
    await mux.port({ ifindex: 1, flags: ["HOST"] });
    await mux.keyed({ scope: "host", b: "10.1.1.1" }, end(1, { flags: ["DF", "REDIRECT"], egress: 1001 }));
    await mux.keyed({ scope: "host", b: "10.1.1.2" }, end(2, { flags: ["DF", "REDIRECT"], egress: 1002 }));
    await mux.device(1001, 2);
    const good = await mux.send("mux_push", to("10.1.1.1"));
    expect([good.verdict, good.reason]).toEqual([XDP.redirect, "PUSH_REDIRECT"]);
    expect(good.packet.subarray(0, 12).toString("hex")).toBe("02bb0000000202bb00000001");
    const bad = await mux.send("mux_push", to("10.1.1.2"));
    expect(bad).toEqual({ verdict: XDP.drop, reason: "NO_EGRESS", packet: to("10.1.1.2") });
    // Taking one tunnel's entry away leaves the other's, though both lead to one device.
    await mux.device(1002, 2);
    await mux.run.unset("mux_devs", Buffer.from("e9030000", "hex"));
    expect((await mux.send("mux_push", to("10.1.1.2"))).reason).toBe("PUSH_REDIRECT");
    expect((await mux.send("mux_push", to("10.1.1.1"))).reason).toBe("NO_EGRESS");
  });
});

describe("an interface with both directions", () => {
  it("pops what is a tunnel's and pushes what a tunnel selects", async () => {
    await mux.port({ ifindex: 1, flags: ["POP", "PREFIX"] });
    await mux.end(0, end(1));
    await mux.prefix("10.200.2.0/24", 0);
    await mux.keyed({ scope: "geneve", vni: 1, b: outer4.dst }, { protocol: "geneve", remote: outer4.src });
    const pushed = await mux.send("mux_both", frame(4));
    expect(pushed.reason).toBe("PUSH_PASS");
    const popped = await mux.send("mux_both", pushed.packet);
    expect(popped).toEqual({ verdict: XDP.pass, reason: "POP_PASS", packet: frame(4) });
    const neither = to("172.16.0.1");
    expect(await mux.send("mux_both", neither)).toEqual({
      verdict: XDP.pass,
      reason: "NO_MATCH",
      packet: neither,
    });
  });
});

describe("a frame cut short", () => {
  it("passes as it came at every length that is less than its header says", async () => {
    await mux.port({ ifindex: 1, flags: ["HOST", "PREFIX"] });
    await mux.prefix("10.200.0.0/16", 1);
    await mux.prefix("fd00:2::/32", 1);
    await mux.end(1, end(1));
    for (const family of [4, 6] as const) {
      for (let length = 14; length < frame(family).length; length++) {
        const cut = frame(family).subarray(0, length);
        const sent = await mux.send("mux_push", cut);
        expect({ length, ...sent }).toEqual({ length, verdict: XDP.pass, reason: "SHORT", packet: cut });
      }
    }
  });

  it("passes another IP version and what is not IP", async () => {
    await mux.port({ ifindex: 1, flags: ["HOST", "PREFIX"] });
    for (const [family, nibble] of [
      [4, 0x6],
      [6, 0x4],
    ] as const) {
      const wrong = Buffer.from(frame(family));
      wrong.writeUInt8((nibble << 4) | 5, 14);
      expect(await mux.send("mux_push", wrong)).toEqual({
        verdict: XDP.pass,
        reason: "BAD_VERSION",
        packet: wrong,
      });
    }
    const arp = ethernet({ ...innerMacs, type: ETH.arp }, Buffer.alloc(46));
    expect(await mux.send("mux_push", arp)).toEqual({ verdict: XDP.pass, reason: "NOT_IP", packet: arp });
  });

  it("is not mistaken for a whole one by the rest of a padded frame", async () => {
    await mux.port({ ifindex: 1, flags: ["PREFIX"] });
    await mux.end(1, { ...end(1), protocol: "ipip", flags: ["L3", "DF"] });
    await mux.prefix("10.0.0.0/8", 1);
    const padded = Buffer.concat([frame(4, inner(4, { body: Buffer.alloc(0) })), Buffer.alloc(10)]);
    const { packet } = await mux.send("mux_push", padded);
    // The outer length is that of the packet; the padding stays behind it.
    expect(packet.readUInt16BE(16)).toBe(20 + 40);
    expect(packet.length).toBe(14 + 20 + 40 + 10);
  });
});
