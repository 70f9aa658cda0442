import { XDP } from "../../support/bpf";
import { Balancer, type Backend } from "../../support/bpf-l4lb";
import {
  client,
  etherType,
  fragmentHeader,
  frame,
  macs,
  request,
  segment,
  vip,
  wrapped,
  wraps,
  type Family,
} from "../../support/l4lb-cases";
import { ETH, ethernet, icmp, ipv4, ipv6, PROTO, u16, u32 } from "../../support/packets";

/* What is not a plain packet of a service: all that may be on the wire. */

let lb: Balancer;
beforeAll(async () => {
  lb = await Balancer.start();
});
afterAll(() => lb.close());

const families = [4, 6] as const;
const form = wraps[0]!;
const echo = 1;

/** Services on port 80 and, UDP, on every port, with two backends each of which one is known by its address. */
async function services(backend: Partial<Backend> = {}, vipFlags = 0): Promise<void> {
  await lb.reset();
  let id = 0;
  for (const family of families) {
    for (const [protocol, port] of [
      ["tcp", 80],
      ["udp", 80],
      ["udp", 0],
    ] as const) {
      await lb.backend(id, { ...form.backend, ...backend, service: id });
      await lb.service(id, { vip: vip[family], port, protocol, policy: "maglev", ring: [id] }, vipFlags);
      id++;
    }
  }
}

/** What a frame must do that none of our business is. */
async function passes(bytes: Buffer, reason: string): Promise<void> {
  expect(await lb.send(bytes)).toEqual({ verdict: XDP.pass, packet: bytes, reason, events: [] });
}

async function forwarded(family: Family, packet: Buffer, inner = packet, way = form): Promise<void> {
  const sent = await lb.send(frame(family, packet));
  expect([sent.verdict, sent.reason]).toEqual([XDP.tx, "FORWARDED"]);
  expect(sent.packet.toString("hex")).toBe(wrapped(way, family, inner).toString("hex"));
}

describe("what is no service's passes as it came", () => {
  beforeEach(() => services());

  it.each(families)("another address, another port, another protocol (IPv%d)", async (family) => {
    const other = family === 4 ? "203.0.113.81" : "2001:db8:f::81";
    for (const flags of ["S", "."]) {
      await passes(frame(family, request({ family, dst: other, flags })), "NO_SERVICE");
      await passes(frame(family, request({ family, dport: 81, flags })), "NO_SERVICE");
    }
    const addresses = { src: client[family], dst: vip[family] };
    const sctp = Buffer.concat([u16(40000), u16(80), Buffer.alloc(12)]);
    const packet =
      family === 4 ? ipv4({ ...addresses, protocol: 132 }, sctp) : ipv6({ ...addresses, next: 132 }, sctp);
    await passes(frame(family, packet), "NO_SERVICE");
  });

  it("ARP, tagged frames and whatever else is not IP", async () => {
    for (const type of [ETH.arp, ETH.vlan, 0x88cc])
      await passes(ethernet({ ...macs, type }, Buffer.alloc(46, 1)), "NOT_IP");
  });

  it.each(families)("a wrong version, or too short a header (IPv%d)", async (family) => {
    const good = request({ family });
    for (const first of [0x00, 0x35, 0x44, 0x50, 0x75, 0xf5]) {
      const bad = Buffer.from(good);
      bad.writeUInt8(first, 0);
      if (family === 4 || first >> 4 !== 6) await passes(frame(family, bad), "BAD_VERSION");
    }
  });

  it("a service whose entry is gone, at once", async () => {
    await forwarded(4, request());
    await forwarded(4, request());
    await lb.run.set("lb_services", Buffer.alloc(4), Buffer.alloc(32));
    for (const flags of ["S", "."]) await passes(frame(4, request({ flags })), "NO_SERVICE");
  });
});

describe("a frame that ends too soon", () => {
  it.each(families)("passes at every length, and is never read past its end (IPv%d)", async (family) => {
    for (const protocol of ["tcp", "udp"] as const) {
      await services();
      const whole = frame(family, request({ family, protocol, body: Buffer.alloc(4) }));
      // known and unknown flows take different ways
      for (const known of [false, true]) {
        if (known) for (let nth = 0; nth < 2; nth++) await lb.send(whole);
        for (let length = 14; length < whole.length; length++)
          await passes(whole.subarray(0, length), "SHORT");
      }
      expect((await lb.send(whole)).verdict).toBe(XDP.tx);
    }
  });

  it.each(families)("passes where lengths inside are too short for what follows (IPv%d)", async (family) => {
    await services();
    const whole = request({ family });
    const header = family === 4 ? 20 : 40;
    for (let length = family === 4 ? 0 : 40; length < header + 20; length++) {
      const lie = Buffer.from(whole);
      if (family === 4) lie.writeUInt16BE(length, 2);
      else lie.writeUInt16BE(length - 40, 4);
      await passes(frame(family, lie), "SHORT");
    }
  });
});

describe("IPv4 options", () => {
  it.each([4, 8, 40])("of %d bytes are carried along", async (size) => {
    await services();
    for (const flags of ["S", ".", "."])
      await forwarded(4, request({ flags, options: Buffer.alloc(size, 1) }));
    // with and without options it is the same flow
    expect(await lb.active(0)).toBe(1);
    await forwarded(4, request());
    expect(await lb.active(0)).toBe(1);
  });
});

describe("IPv6 extension headers", () => {
  const chain = (headers: readonly { type: number; length: number }[], body: Buffer) => {
    const types = [...headers.map(({ type }) => type), PROTO.tcp];
    const parts = headers.map(({ length }, index) =>
      Buffer.concat([
        Buffer.from([types[index + 1]!, length / 8 - 1, 1, length - 4]),
        Buffer.alloc(length - 4),
      ]),
    );
    return ipv6({ src: client[6], dst: vip[6], next: types[0]! }, Buffer.concat([...parts, body]));
  };

  it("are skipped, up to four of 64 bytes", async () => {
    await services();
    for (const headers of [
      [{ type: 0, length: 8 }],
      [{ type: 60, length: 64 }],
      [0, 43, 60, 60].map((type) => ({ type, length: 64 })),
    ])
      await forwarded(6, chain(headers, segment({ family: 6 })));
    expect(await lb.active(3)).toBe(1);
  });

  it("that are more, or longer, pass", async () => {
    await services();
    const five = [0, 43, 60, 60, 60].map((type) => ({ type, length: 8 }));
    await passes(frame(6, chain(five, segment({ family: 6 }))), "NO_SERVICE");
    await passes(frame(6, chain([{ type: 60, length: 72 }], segment({ family: 6 }))), "NO_SERVICE");
  });
});

describe("a service of every port", () => {
  it.each(families)("takes those that have no service of their own (IPv%d)", async (family) => {
    await services();
    const [own, any] = family === 4 ? [1, 2] : [4, 5];
    for (const [dport, id] of [
      [80, own],
      [53, any],
      [65535, any],
    ] as const) {
      const before = await lb.stat("lb_service_stats", id);
      for (let nth = 0; nth < 3; nth++) await forwarded(family, request({ family, protocol: "udp", dport }));
      expect((await lb.stat("lb_service_stats", id)).packets).toBe(before.packets + 3);
    }
    // flows to different ports are different flows
    expect(await lb.active(any)).toBe(2);
  });
});

describe("fragments", () => {
  /** The fragments of a UDP datagram; all but the last are of 24 bytes. */
  function fragments(family: Family, id: number, protocol: "udp" | "tcp" = "udp"): Buffer[] {
    const whole = segment({ family, protocol, sport: 5000 + id, body: Buffer.alloc(61, id) });
    const addresses = { src: client[family], dst: vip[family] };
    const starts = [0, 24, 48];
    return starts.map((start, index) => {
      const mf = index < starts.length - 1;
      const part = whole.subarray(start, mf ? start + 24 : undefined);
      return family === 4
        ? ipv4({ ...addresses, protocol: PROTO[protocol], id, mf, offset: start / 8 }, part)
        : ipv6(
            { ...addresses, next: PROTO.fragment },
            Buffer.concat([fragmentHeader(PROTO[protocol], start / 8, mf, id), part]),
          );
    });
  }

  /** Which backend a frame went to, by the outer destination. */
  const backendOf = (packet: Buffer) => packet.subarray(30, 34).toString("hex");

  it.each(families)("go where the first one went, in any order after it (IPv%d)", async (family) => {
    await services();
    const service = family === 4 ? 1 : 4;
    const ring = [10, 11, 12, 13, 14];
    for (const id of ring) await lb.backend(id, { ...form.backend, service, address: `10.0.9.${id}` });
    await lb.service(service, { vip: vip[family], port: 80, protocol: "udp", policy: "maglev", ring });
    const used = new Set<string>();
    for (let id = 0; id < 30; id++) {
      const [first, second, third] = fragments(family, id) as [Buffer, Buffer, Buffer];
      const backends = new Set<string>();
      for (const part of [first, third, second, third]) {
        const sent = await lb.send(frame(family, part));
        expect([sent.verdict, sent.reason]).toEqual([XDP.tx, "FORWARDED"]);
        expect(sent.packet.subarray(34)).toEqual(part);
        backends.add(backendOf(sent.packet));
      }
      expect(backends.size).toBe(1);
      used.add([...backends][0]!);
    }
    expect(used.size).toBe(ring.length);
  });

  it.each(families)("without their first one are dropped and counted (IPv%d)", async (family) => {
    await services();
    const [, second] = fragments(family, 7) as [Buffer, Buffer];
    const bytes = frame(family, second);
    expect(await lb.send(bytes)).toMatchObject({ verdict: XDP.drop, reason: "FRAGMENT_LOST" });
    // of another packet, although of the same hosts
    await lb.send(frame(family, fragments(family, 8)[0]!));
    expect(await lb.send(bytes)).toMatchObject({ verdict: XDP.drop, reason: "FRAGMENT_LOST" });
  });

  it.each(families)("to an address that is no VIP pass (IPv%d)", async (family) => {
    await services();
    const other = family === 4 ? "203.0.113.81" : "2001:db8:f::81";
    const addresses = { src: client[family], dst: other };
    const packet =
      family === 4
        ? ipv4({ ...addresses, protocol: PROTO.udp, id: 5, offset: 10 }, Buffer.alloc(30))
        : ipv6(
            { ...addresses, next: PROTO.fragment },
            Buffer.concat([fragmentHeader(PROTO.udp, 10, false, 5), Buffer.alloc(30)]),
          );
    await passes(frame(family, packet), "NO_SERVICE");
  });
});

describe("ICMP errors", () => {
  /** An error about a packet that a backend sent to a client in the VIP's name. */
  function error(family: Family, type: number, sport: number, dst = client[family]): Buffer {
    const lost = request({ family, src: vip[family], dst, sport: 80, dport: sport });
    const router = family === 4 ? "192.0.2.99" : "2001:db8:9::1";
    const between = { src: router, dst: vip[family] };
    return family === 4
      ? ipv4(
          { ...between, protocol: PROTO.icmp },
          icmp({ type, code: 4, rest: u32(1400) }, lost.subarray(0, 48)),
        )
      : ipv6(
          { ...between, next: PROTO.icmpv6 },
          icmp({ type, code: 0, rest: u32(1400), between }, lost.subarray(0, 80)),
        );
  }

  it.each(families)("go to the backend of the flow they are about (IPv%d)", async (family) => {
    await services();
    const service = family === 4 ? 0 : 3;
    const ring = [10, 11, 12, 13, 14];
    for (const id of ring) await lb.backend(id, { ...form.backend, service, address: `10.0.9.${id}` });
    await lb.service(service, { vip: vip[family], port: 80, protocol: "tcp", policy: "roundRobin", ring });
    for (let sport = 1000; sport < 1020; sport++) {
      const { packet } = await lb.send(frame(family, request({ family, sport })));
      for (const type of family === 4 ? [3, 11, 12] : [1, 2, 3, 4]) {
        const told = error(family, type, sport);
        const sent = await lb.send(frame(family, told));
        expect([sent.verdict, sent.reason]).toEqual([XDP.tx, "FORWARDED"]);
        expect(sent.packet.subarray(34)).toEqual(told);
        expect(sent.packet.subarray(30, 34)).toEqual(packet.subarray(30, 34));
      }
    }
  });

  it.each(families)("about no flow, or of another sort, pass (IPv%d)", async (family) => {
    await services();
    const type = family === 4 ? 3 : 2;
    await passes(frame(family, error(family, type, 999)), "ICMP_NO_FLOW");
    await lb.send(frame(family, request({ family, sport: 1000 })));
    for (const odd of family === 4 ? [0, 4, 5, 13] : [100, 129, 135])
      await passes(frame(family, error(family, odd, 1000)), "ICMP_OTHER");
    // about a packet of somebody else
    const bytes = error(family, type, 1000);
    bytes.writeUInt8(99, family === 4 ? 20 + 8 + 15 : 40 + 8 + 23);
    await passes(frame(family, bytes), "ICMP_OTHER");
  });

  it.each(families)("that end too soon pass at every length (IPv%d)", async (family) => {
    await services();
    await lb.send(frame(family, request({ family, sport: 1000 })));
    const header = family === 4 ? 20 : 40;
    const whole = error(family, family === 4 ? 3 : 2, 1000);
    // addresses and ports of the packet inside are what is needed
    for (let length = header; length < header + 8 + header + 4; length++) {
      const cut = Buffer.from(whole.subarray(0, length));
      cut.writeUInt16BE(family === 4 ? length : length - 40, family === 4 ? 2 : 4);
      await passes(frame(family, cut), "SHORT");
    }
  });
});

describe("echo requests to a VIP", () => {
  const ping = (family: Family, dst: string = vip[family]): Buffer => {
    const between = { src: client[family], dst };
    const rest = Buffer.from("12340001", "hex");
    const body = Buffer.from("abcdefghijklmnopq");
    return family === 4
      ? ipv4({ ...between, protocol: PROTO.icmp }, icmp({ type: 8, code: 0, rest }, body))
      : ipv6({ ...between, next: PROTO.icmpv6 }, icmp({ type: 128, code: 0, rest, between }, body));
  };
  const pong = (family: Family): Buffer => {
    const between = { src: vip[family], dst: client[family] };
    const rest = Buffer.from("12340001", "hex");
    const body = Buffer.from("abcdefghijklmnopq");
    return family === 4
      ? ipv4({ ...between, protocol: PROTO.icmp }, icmp({ type: 0, code: 0, rest }, body))
      : ipv6({ ...between, next: PROTO.icmpv6 }, icmp({ type: 129, code: 0, rest, between }, body));
  };

  it.each(families)("are answered where that is wanted, else they pass (IPv%d)", async (family) => {
    await services();
    await passes(frame(family, ping(family)), "ICMP_OTHER");
    await services({}, echo);
    expect(await lb.send(frame(family, ping(family)))).toEqual({
      verdict: XDP.tx,
      packet: ethernet({ dst: macs.src, src: macs.dst, type: etherType(family) }, pong(family)),
      reason: "ECHO_ANSWERED",
      events: [],
    });
    const other = family === 4 ? "203.0.113.81" : "2001:db8:f::81";
    await passes(frame(family, ping(family, other)), "NO_SERVICE");
  });
});

describe("a packet that is too big once it is wrapped", () => {
  const quoted = 256;
  const told = (family: Family, packet: Buffer, mtu: number): Buffer => {
    const between = { src: vip[family], dst: client[family] };
    const quote = packet.subarray(0, quoted);
    const body =
      family === 4
        ? ipv4(
            { ...between, protocol: PROTO.icmp, tos: 0xc0, df: true },
            icmp({ type: 3, code: 4, rest: u32(mtu) }, quote),
          )
        : ipv6(
            { ...between, next: PROTO.icmpv6 },
            icmp({ type: 2, code: 0, rest: u32(mtu), between }, quote),
          );
    return ethernet({ dst: macs.src, src: macs.dst, type: etherType(family) }, body);
  };
  const sized = (family: Family, size: number, df = true) =>
    request({ family, df, body: Buffer.alloc(size - (family === 4 ? 40 : 60), 3) });

  it.each(families)("is answered with an ICMP error; one that fits is not (IPv%d)", async (family) => {
    await services({ mtu: 1500 });
    for (let nth = 0; nth < 3; nth++) {
      await forwarded(family, sized(family, 1480));
      const packet = sized(family, 1481);
      expect(await lb.send(frame(family, packet))).toMatchObject({
        verdict: XDP.tx,
        packet: told(family, packet, 1480),
        reason: "TOO_BIG_TOLD",
      });
    }
  });

  it("is dropped where nobody may be told", async () => {
    await services({ mtu: 1500 });
    const broadcast = frame(4, sized(4, 1481), { dst: macs.dst, src: "03:00:00:00:00:01" });
    for (const bytes of [frame(4, sized(4, 1481, false)), broadcast])
      expect(await lb.send(bytes)).toMatchObject({ verdict: XDP.drop, packet: bytes, reason: "TOO_BIG" });
  });
});

describe("a service that cannot forward", () => {
  it("drops and counts", async () => {
    await services({ form: "ipip", state: "down" });
    expect(await lb.send(frame(4, request()))).toMatchObject({ verdict: XDP.drop, reason: "NO_BACKEND" });
    expect(await lb.stat("lb_service_stats", 0)).toEqual({ packets: 0, bytes: 0, flows: 0, dropped: 1 });
    await services();
    await lb.down(0, true);
    expect(await lb.send(frame(4, request()))).toMatchObject({ verdict: XDP.drop, reason: "NO_BACKEND" });
    await lb.down(0, false);
    expect((await lb.send(frame(4, request()))).verdict).toBe(XDP.tx);
  });
});
