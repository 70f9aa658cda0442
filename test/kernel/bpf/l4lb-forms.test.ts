import { XDP } from "../../support/bpf";
import { Balancer, type Backend } from "../../support/bpf-l4lb";
import {
  back,
  client,
  frame,
  hashes,
  request,
  vip,
  wrapped,
  wraps,
  type Form,
} from "../../support/l4lb-cases";

let lb: Balancer;
beforeAll(async () => {
  lb = await Balancer.start();
});
afterAll(() => lb.close());

/** One backend behind both VIPs, for TCP and UDP on port 80. */
async function one(backend: Backend): Promise<void> {
  await lb.reset();
  let id = 0;
  for (const family of [4, 6] as const)
    for (const protocol of ["tcp", "udp"] as const) {
      await lb.backend(id, { ...backend, service: id });
      await lb.service(id, { vip: vip[family], port: 80, protocol, policy: "maglev", ring: [id] });
      id++;
    }
}

it("is short work for the verifier", async () => {
  const [program] = await lb.run.programs();
  expect(program).toMatchObject({ name: "xdp_l4lb" });
  expect(program!.verified).toBeLessThan(10_000);
});

const families = [4, 6] as const;
const protocols = ["tcp", "udp"] as const;

describe.each(wraps)("$name", (form) => {
  describe.each(families)("with IPv%d inside", (family) => {
    it.each(protocols)(
      "wraps %s byte for byte, the first packet of a flow and the others alike",
      async (protocol) => {
        await one(form.backend);
        for (const flags of ["S", ".", "P."]) {
          const packet = request({ family, protocol, flags });
          const sent = await lb.send(frame(family, packet));
          expect([sent.verdict, sent.reason]).toEqual([XDP.tx, "FORWARDED"]);
          expect(sent.packet.toString("hex")).toBe(
            wrapped(form, family, packet, hashes(form, sent.packet)).toString("hex"),
          );
        }
        const id = (family === 4 ? 0 : 2) + (protocol === "tcp" ? 0 : 1);
        const bytes = frame(family, request({ family, protocol })).length;
        const expected = { packets: 3, bytes: 3 * bytes, flows: 1, dropped: 0 };
        expect(await lb.stat("lb_service_stats", id)).toEqual(expected);
        expect(await lb.stat("lb_backend_stats", id)).toEqual(expected);
        expect(await lb.active(id)).toBe(1);
      },
    );

    it("copies DSCP and ECN outside, or sets DSCP", async () => {
      const packet = request({ family, tos: 0xb9 });
      await one(form.backend);
      for (let nth = 0; nth < 3; nth++) {
        const copied = (await lb.send(frame(family, packet))).packet;
        expect(copied).toEqual(wrapped(form, family, packet, { tos: 0xb9, ...hashes(form, copied) }));
      }
      await one({ ...form.backend, flags: [...form.backend.flags!, "TOS"], tos: 0x28, ttl: 9 });
      for (let nth = 0; nth < 3; nth++) {
        const fixed = (await lb.send(frame(family, packet))).packet;
        expect(fixed).toEqual(wrapped(form, family, packet, { tos: 0x29, ttl: 9, ...hashes(form, fixed) }));
      }
    });
  });
});

const named = (name: string): Form => wraps.find((form) => form.name === name)!;

describe("the outer source", () => {
  it.each(families)("is the client's address where that is asked for (IPv%d)", async (family) => {
    const form = named(`IPIP over IPv${family}`);
    await one({ ...form.backend, flags: ["NEXT_BACK", "SOURCE_CLIENT"] });
    for (const flags of ["S", ".", "."]) {
      const packet = request({ family, flags });
      const sent = (await lb.send(frame(family, packet))).packet;
      expect(sent).toEqual(wrapped(form, family, packet, { src: client[family], ...hashes(form, sent) }));
    }
    const other = family === 4 ? 6 : 4;
    expect(await lb.send(frame(other, request({ family: other })))).toMatchObject({
      verdict: XDP.drop,
      reason: "FORM",
    });
  });

  it.each(families)("ends in a hash of the flow where that is asked for (IPv%d)", async (family) => {
    const form = named(`IPIP over IPv${family}`);
    await one({ ...form.backend, flags: ["NEXT_BACK", "SOURCE_FLOW"] });
    const sources = new Set<string>();
    const [from, kept, to] = family === 4 ? [26, 28, 30] : [22, 34, 38];
    for (let flow = 0; flow < 32; flow++) {
      const seen = new Set<string>();
      for (const flags of ["S", ".", "."]) {
        const sent = (await lb.send(frame(family, request({ family, flags, sport: 1000 + flow })))).packet;
        seen.add(sent.subarray(from, to).toString("hex"));
      }
      // one flow, one source: whichever way the packet took through the program
      expect(seen.size).toBe(1);
      sources.add([...seen][0]!);
    }
    expect(sources.size).toBeGreaterThan(30);
    const prefixes = new Set([...sources].map((source) => source.slice(0, 2 * (kept - from))));
    expect(prefixes.size).toBe(1);
  });

  it("is the source port in GUE, between 49152 and 65535, one for each flow", async () => {
    for (const family of families) {
      await one(named(`GUE over IPv${family}`).backend);
      const ports = new Set<number>();
      for (let flow = 0; flow < 32; flow++) {
        const seen = new Set<number>();
        for (const flags of ["S", ".", "."]) {
          const { packet } = await lb.send(frame(4, request({ flags, sport: 1000 + flow })));
          seen.add(hashes(named(`GUE over IPv${family}`), packet).sport!);
        }
        expect(seen.size).toBe(1);
        ports.add([...seen][0]!);
      }
      expect(ports.size).toBeGreaterThan(28);
      expect(Math.min(...ports)).toBeGreaterThanOrEqual(49152);
    }
  });
});

describe("the UDP checksum over IPv6", () => {
  it.each([0, 1, 2, 3, 27, 28, 29, 31, 200, 255, 256, 257, 511, 1000, 1399, 1400])(
    "is right with %d bytes of payload",
    async (size) => {
      const form = named("GUE over IPv6");
      await one(form.backend);
      const body = Buffer.from(Array.from({ length: size }, (_, index) => (index * 37 + size) & 0xff));
      for (const family of families) {
        const packet = request({ family, protocol: "udp", body });
        const sent = (await lb.send(frame(family, packet))).packet;
        expect(sent).toEqual(wrapped(form, family, packet, hashes(form, sent)));
      }
    },
  );

  it("is zero where it is given up", async () => {
    const form = named("GUE over IPv6");
    await one({ ...form.backend, flags: ["NEXT_BACK", "CSUM_ZERO"] });
    const sent = (await lb.send(frame(4, request()))).packet;
    expect(sent).toEqual(wrapped(form, 4, request(), { ...hashes(form, sent), unsummed: true }));
  });
});

describe("the checksum of the outer IPv4 header", () => {
  it("is right for every source, length and DSCP", async () => {
    const form = named("IPIP over IPv4");
    for (let nth = 0; nth < 40; nth++) {
      const source = `192.0.${(nth * 97) % 256}.${(nth * 193) % 256}`;
      await one({ ...form.backend, source });
      const packet = request({ tos: (nth * 4) & 0xff, body: Buffer.alloc(nth * 29, nth) });
      for (let round = 0; round < 3; round++) {
        const sent = (await lb.send(frame(4, packet))).packet;
        expect(sent).toEqual(wrapped(form, 4, packet, { src: source, tos: (nth * 4) & 0xff }));
      }
    }
  });
});

describe("the next hop", () => {
  it("is the MAC that is given, or the one the packet came from", async () => {
    const form = named("IPIP over IPv4");
    const sent = async () => (await lb.send(frame(4, request()))).packet.subarray(0, 12).toString("hex");
    await one({ ...form.backend, flags: ["NEXT_MAC"], mac: "02:00:00:00:00:77" });
    for (let round = 0; round < 3; round++) expect(await sent()).toBe("020000000077" + "02000000000b");
    await one(form.backend);
    for (let round = 0; round < 3; round++)
      expect(await sent()).toBe((back.dst + back.src).replaceAll(":", ""));
  });
});

it("keeps Ethernet's padding out of the outer packet's length", async () => {
  const form = named("IPIP over IPv4");
  await one(form.backend);
  const packet = request({ protocol: "udp", body: Buffer.from("x") });
  const padded = Buffer.concat([frame(4, packet), Buffer.alloc(60 - 14 - packet.length)]);
  for (let round = 0; round < 3; round++) {
    const sent = (await lb.send(padded)).packet;
    expect(sent.length).toBe(80);
    expect(sent.subarray(0, 34 + packet.length)).toEqual(wrapped(form, 4, packet));
    expect(sent.readUInt16BE(16)).toBe(20 + packet.length);
  }
});
