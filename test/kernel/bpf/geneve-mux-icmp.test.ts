import { XDP } from "../../support/bpf";
import { hosts4, hosts6, innerMacs, outer4, outer6, outerMacs } from "../../support/bpf-cases";
import { Mux, type End } from "../../support/bpf-mux";
import {
  ETH,
  ethernet,
  icmp,
  ipv4,
  ipv6,
  PROTO,
  u16,
  u32,
  udp,
  type Ipv4,
  type Tag,
} from "../../support/packets";

let mux: Mux;
beforeAll(async () => {
  mux = await Mux.start();
});
afterAll(() => mux.close());

const gateway = { addr4: "10.200.1.1", addr6: "fd00:1::1" };
const QUOTED = 256;

const big4 = (size: number, header: Partial<Ipv4> = {}, tags: readonly Tag[] = []) => {
  const body = udp({ sport: 4000, dport: 53 }, Buffer.alloc(size - 28, 0x5a));
  const packet = ipv4({ ...hosts4, protocol: PROTO.udp, df: true, ...header }, body);
  return { packet, frame: ethernet({ ...innerMacs, type: ETH.ipv4, tags }, packet) };
};
const big6 = (size: number, header: { src?: string; dst?: string } = {}) => {
  const packet = ipv6(
    { ...hosts6, next: PROTO.udp, ...header },
    udp({ sport: 4000, dport: 53 }, Buffer.alloc(size - 48)),
  );
  return { packet, frame: ethernet({ ...innerMacs, type: ETH.ipv6 }, packet) };
};

async function tunnel(end: Partial<End>, port: { addr4?: string; addr6?: string } = gateway) {
  await mux.reset();
  await mux.port({ ifindex: 1, flags: ["ALL"], end: 0, ...port });
  await mux.end(0, { protocol: "geneve", vni: 1, local: outer4.src, remote: outer4.dst, mtu: 1500, ...end });
}

const back = { dst: innerMacs.src, src: innerMacs.dst };

describe("an IPv4 packet that does not fit", () => {
  const told = (packet: Buffer, mtu: number, src = gateway.addr4, tags: readonly Tag[] = []) => {
    const message = icmp(
      { type: 3, code: 4, rest: Buffer.concat([u16(0), u16(mtu)]) },
      packet.subarray(0, QUOTED),
    );
    const header = { src, dst: hosts4.src, protocol: PROTO.icmp, tos: 0xc0, df: true };
    return ethernet({ ...back, type: ETH.ipv4, tags }, ipv4(header, message));
  };

  // Outer IPv4 20 or IPv6 40, then the tunnel's header, then the inner Ethernet header if there is one.
  it.each([
    ["geneve over IPv4", {}, 1500 - 20 - 16 - 14],
    ["geneve over IPv6", { local: outer6.src, remote: outer6.dst }, 1500 - 40 - 16 - 14],
    ["geneve with options", { options: Buffer.alloc(24), flags: ["OPTIONS"] }, 1500 - 20 - 16 - 24 - 14],
    ["gre with key", { protocol: "gre" as const, flags: ["L3", "KEY"] }, 1500 - 20 - 8],
    ["gre with key and checksum", { protocol: "gre" as const, flags: ["L3", "KEY", "CSUM"] }, 1500 - 20 - 12],
    ["ipip", { protocol: "ipip" as const, flags: ["L3"] }, 1500 - 20],
    ["vlan", { protocol: "vlan" as const, mtu: 1400 }, 1400],
  ])("tells its sender what does: %s", async (_, end, mtu) => {
    await tunnel(end);
    const fits = await mux.send("mux_push", big4(mtu).frame);
    expect(fits.reason).toBe("PUSH_PASS");
    const { packet, frame } = big4(mtu + 1);
    const sent = await mux.send("mux_push", frame);
    expect([sent.verdict, sent.reason]).toEqual([XDP.tx, "ICMP_SENT"]);
    expect(sent.packet.toString("hex")).toBe(told(packet, mtu).toString("hex"));
  });

  it("is answered from the address it was sent to where the port has none", async () => {
    await tunnel({}, {});
    const { packet, frame } = big4(1451);
    expect((await mux.send("mux_push", frame)).packet).toEqual(told(packet, 1450, hosts4.dst));
  });

  it("is answered within its VLANs", async () => {
    await tunnel({});
    for (const tags of [
      [{ type: ETH.vlan, tci: 5 }],
      [
        { type: ETH.qinq, tci: 5 },
        { type: ETH.vlan, tci: 6 },
      ],
    ]) {
      const { packet, frame } = big4(1480, {}, tags);
      const mtu = 1450 - 4 * tags.length;
      expect((await mux.send("mux_push", frame)).packet).toEqual(told(packet, mtu, gateway.addr4, tags));
    }
  });

  it("may be as large as a page lets it", async () => {
    await tunnel({ mtu: 3400 });
    const { packet, frame } = big4(3390);
    expect((await mux.send("mux_push", big4(3350).frame)).reason).toBe("PUSH_PASS");
    expect((await mux.send("mux_push", frame)).packet).toEqual(told(packet, 3350));
  });

  const error = icmp({ type: 3, code: 1, rest: u32(0) }, Buffer.alloc(1500));
  const echo = icmp({ type: 8, code: 0, rest: u32(0) }, Buffer.alloc(1500));
  it.each([
    ["may be fragmented", big4(1480, { df: false }).frame],
    ["is a later fragment", big4(1480, { offset: 10 }).frame],
    [
      "is an ICMP error itself",
      ethernet({ ...innerMacs, type: ETH.ipv4 }, ipv4({ ...hosts4, protocol: 1, df: true }, error)),
    ],
    ["was sent to a group", big4(1480, { dst: "224.1.2.3" }).frame],
    ["comes from nowhere", big4(1480, { src: "0.0.0.0" }).frame],
    ["comes from a loopback address", big4(1480, { src: "127.0.0.1" }).frame],
    ["is in a frame for several", big4(1480).frame.map((byte, at) => (at === 0 ? byte | 1 : byte))],
    ["is not IP", ethernet({ ...innerMacs, type: 0x88b5 }, Buffer.alloc(1480))],
  ])("is dropped without a word if it %s", async (_, frame) => {
    await tunnel({});
    const packet = Buffer.from(frame);
    expect(await mux.send("mux_push", packet)).toEqual({ verdict: XDP.drop, reason: "TOO_BIG", packet });
    expect(await mux.drops(0, "TOO_BIG")).toBe(1);
  });

  it("is answered if it is a ping", async () => {
    await tunnel({});
    const frame = ethernet(
      { ...innerMacs, type: ETH.ipv4 },
      ipv4({ ...hosts4, protocol: 1, df: true }, echo),
    );
    expect((await mux.send("mux_push", frame)).reason).toBe("ICMP_SENT");
  });
});

describe("an IPv6 packet that does not fit", () => {
  const told = (packet: Buffer, mtu: number, src = gateway.addr6) => {
    const between = { src, dst: hosts6.src };
    const message = icmp({ type: 2, code: 0, rest: u32(mtu), between }, packet.subarray(0, QUOTED));
    return ethernet({ ...back, type: ETH.ipv6 }, ipv6({ ...between, next: PROTO.icmpv6 }, message));
  };

  it.each([
    ["geneve over IPv4", {}, 1450],
    ["geneve over IPv6", { local: outer6.src, remote: outer6.dst }, 1430],
    ["ipip", { protocol: "ipip" as const, flags: ["L3"] }, 1480],
  ])("tells its sender what does: %s", async (_, end, mtu) => {
    await tunnel(end);
    expect((await mux.send("mux_push", big6(mtu).frame)).reason).toBe("PUSH_PASS");
    const { packet, frame } = big6(mtu + 1);
    const sent = await mux.send("mux_push", frame);
    expect([sent.verdict, sent.reason]).toEqual([XDP.tx, "ICMP_SENT"]);
    expect(sent.packet.toString("hex")).toBe(told(packet, mtu).toString("hex"));
  });

  it("is never told of less than 1280", async () => {
    await tunnel({ mtu: 1300 });
    const { packet, frame } = big6(1300);
    expect((await mux.send("mux_push", frame)).packet).toEqual(told(packet, 1280));
  });

  it("is answered from the address it was sent to where the port has none, unless that is a group", async () => {
    await tunnel({}, {});
    const { packet, frame } = big6(1451);
    expect((await mux.send("mux_push", frame)).packet).toEqual(told(packet, 1450, hosts6.dst));
    const group = big6(1451, { dst: "ff02::5" }).frame;
    expect(await mux.send("mux_push", group)).toEqual({
      verdict: XDP.drop,
      reason: "TOO_BIG",
      packet: group,
    });
  });

  it.each([
    ["comes from nowhere", big6(1480, { src: "::" }).frame],
    ["comes from a group", big6(1480, { src: "ff02::1" }).frame],
    [
      "is an ICMPv6 error itself",
      ethernet(
        { ...innerMacs, type: ETH.ipv6 },
        ipv6({ ...hosts6, next: PROTO.icmpv6 }, Buffer.alloc(1440, 1)),
      ),
    ],
  ])("is dropped without a word if it %s", async (_, packet) => {
    await tunnel({});
    expect(await mux.send("mux_push", packet)).toEqual({ verdict: XDP.drop, reason: "TOO_BIG", packet });
  });
});

it("adds the outer MACs to nothing it sends back", async () => {
  await tunnel({ dmac: outerMacs.dst, smac: outerMacs.src });
  const { packet } = await mux.send("mux_push", big4(1480).frame);
  expect(packet.subarray(0, 12).toString("hex")).toBe("02aa0000000102aa00000002");
});
