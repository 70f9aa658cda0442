import fc from "fast-check";
import { innerMacs, outer4, outerMacs } from "../../support/bpf-cases";
import { Mux, type End } from "../../support/bpf-mux";
import {
  ETH,
  ethernet,
  geneve,
  ipv4,
  PROTO,
  udp,
  vxlan,
  type Geneve,
  type Ipv4,
} from "../../support/packets";

/*
 * The program has a short way for common packets and a general one, and must do the same on both. An end in debug
 * always takes the general way, so the same packet is sent through two ends that differ in nothing else.
 */

let mux: Mux;
beforeAll(async () => {
  mux = await Mux.start();
});
afterAll(() => mux.close());

const vni = 0x00c0de;
const macs = { dmac: outerMacs.dst, smac: outerMacs.src };

/** Headers that are usual, with one thing or another that is not. */
const rarely = <T>(usual: T, other: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 6, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: other });

const packets = fc.record({
  protocol: fc.constantFrom(PROTO.tcp, PROTO.udp, PROTO.icmp, 132),
  tos: fc.integer({ min: 0, max: 255 }),
  ttl: rarely(64, fc.integer({ min: 0, max: 255 })),
  df: fc.boolean(),
  mf: rarely(false, fc.boolean()),
  offset: rarely(0, fc.integer({ min: 0, max: 8191 })),
  options: rarely(Buffer.alloc(0), fc.constant(Buffer.alloc(8, 1))),
  body: fc.uint8Array({ minLength: 0, maxLength: 90 }).map((bytes) => Buffer.from(bytes)),
  host: fc.integer({ min: 1, max: 3 }),
  cut: rarely(0, fc.integer({ min: 1, max: 60 })),
  padding: rarely(0, fc.integer({ min: 1, max: 30 })),
});

const build = ({
  body,
  host,
  cut,
  padding,
  ...header
}: typeof packets extends fc.Arbitrary<infer T> ? T : never) => {
  const whole = ethernet(
    { ...innerMacs, type: ETH.ipv4 },
    ipv4({ src: `10.0.0.${host}`, dst: `10.1.0.${host}`, ...header }, body),
  );
  return Buffer.concat([whole.subarray(0, Math.max(14, whole.length - cut)), Buffer.alloc(padding)]);
};

const common: End = {
  protocol: "geneve",
  vni,
  local: outer4.src,
  remote: outer4.dst,
  mtu: 1500,
  flags: ["DF"],
  ...macs,
};
const ends: readonly [string, End][] = [
  ["geneve", common],
  ["vxlan", { ...common, protocol: "vxlan" }],
  ["with a fixed port and TTL", { ...common, sport: 5555, ttl: 33 }],
  ["small", { ...common, mtu: 120 }],
  ["without a size", { ...common, mtu: 0 }],
  ["to nowhere", { ...common, flags: ["DF", "REDIRECT"], egress: 99 }],
  ["without Don't Fragment", { ...common, flags: [] }],
];

describe.each(["HOST", "PAIR"] as const)("pushing by %s", (by) => {
  it.each(ends)(
    "is the same on both ways: %s",
    async (_, end) => {
      await mux.reset();
      // Table 1 has the short way, table 2 the general one; host 3 has no tunnel.
      for (const table of [1, 2]) {
        await mux.port({ ifindex: 1, flags: [by], table });
        for (const host of [1, 2]) {
          const pair = { scope: "pair" as const, a: `10.0.0.${host}`, b: `10.1.0.${host}`, table };
          const key = by === "PAIR" ? pair : { scope: "host" as const, b: `10.1.0.${host}`, table };
          await mux.keyed(key, { ...end, flags: [...(end.flags ?? []), ...(table === 2 ? ["DEBUG"] : [])] });
        }
      }
      await fc.assert(
        fc.asyncProperty(packets, async (packet) => {
          const bytes = build(packet);
          await mux.port({ ifindex: 1, flags: [by], table: 1 });
          const short = await mux.send("mux_push", bytes);
          await mux.port({ ifindex: 1, flags: [by], table: 2 });
          expect(short).toEqual(await mux.send("mux_push", bytes));
        }),
        { numRuns: 150 },
      );
    },
    30_000,
  );
});

const arrivals = fc.record({
  kind: fc.constantFrom("geneve" as const, "vxlan" as const),
  options: fc.integer({ min: 0, max: 63 }),
  flags: rarely<Partial<Geneve>>(
    {},
    fc.constantFrom({ control: true }, { critical: true }, { version: 1 }, { type: ETH.ipv4 }),
  ),
  tos: fc.integer({ min: 0, max: 255 }),
  inside: fc.integer({ min: 0, max: 255 }),
  src: rarely(outer4.src, fc.constant("203.0.113.1")),
  ip: rarely<Partial<Ipv4>>(
    {},
    fc.constantFrom({ mf: true }, { offset: 5 }, { options: Buffer.alloc(4, 1) }, { protocol: PROTO.tcp }),
  ),
  vni: rarely(vni, fc.constant(vni + 1)),
  summed: fc.constantFrom(undefined, undefined, 0, 1),
  cut: rarely(0, fc.integer({ min: 1, max: 90 })),
  padding: rarely(0, fc.integer({ min: 1, max: 30 })),
  spoil: rarely(0, fc.integer({ min: 1, max: 0xffff })),
});

it("popping is the same on both ways", async () => {
  await mux.reset();
  for (const table of [1, 2]) {
    const end: End = { protocol: "geneve", remote: outer4.src, flags: table === 2 ? ["DEBUG"] : [] };
    await mux.keyed({ scope: "geneve", vni, b: outer4.dst, table }, end);
    await mux.keyed({ scope: "vxlan", vni, b: outer4.dst, table }, { ...end, protocol: "vxlan" });
  }
  await fc.assert(
    fc.asyncProperty(arrivals, async (a) => {
      const inside = ethernet(
        { ...innerMacs, type: ETH.ipv4 },
        ipv4({ src: "10.0.0.1", dst: "10.0.0.2", protocol: 17, tos: a.inside }, Buffer.alloc(20)),
      );
      const tunnel =
        a.kind === "geneve"
          ? geneve({ vni: a.vni, options: Buffer.alloc(a.options * 4), ...a.flags }, inside)
          : vxlan({ vni: a.vni, flags: Object.keys(a.flags).length > 0 ? 0x04 : 0x08 }, inside);
      const between = a.summed === undefined ? undefined : { src: a.src, dst: outer4.dst };
      const body = udp(
        { sport: 50000, dport: a.kind === "geneve" ? 6081 : 4789, between, spoil: a.summed },
        tunnel,
      );
      const whole = ethernet(
        { ...outerMacs, type: ETH.ipv4 },
        ipv4({ dst: outer4.dst, src: a.src, protocol: PROTO.udp, tos: a.tos, ...a.ip }, body),
      );
      whole.writeUInt16BE(whole.readUInt16BE(24) ^ a.spoil, 24);
      const bytes = Buffer.concat([
        whole.subarray(0, Math.max(14, whole.length - a.cut)),
        Buffer.alloc(a.padding),
      ]);
      await mux.port({ ifindex: 1, flags: ["POP"], table: 1 });
      const short = await mux.send("mux_pop", bytes);
      await mux.port({ ifindex: 1, flags: ["POP"], table: 2 });
      expect(short).toEqual(await mux.send("mux_pop", bytes));
    }),
    { numRuns: 600 },
  );
});

it("takes the short way where it should: an end in debug reports, one without does not", async () => {
  await mux.reset();
  await mux.run.events("mux_debug");
  await mux.port({ ifindex: 1, flags: ["HOST"] });
  await mux.keyed({ scope: "host", b: "10.1.0.1" }, common);
  await mux.keyed({ scope: "host", b: "10.1.0.2" }, { ...common, flags: ["DF", "DEBUG"] });
  const packet = (host: number) =>
    ethernet(
      { ...innerMacs, type: ETH.ipv4 },
      ipv4(
        { src: "10.0.0.1", dst: `10.1.0.${host}`, protocol: 17 },
        udp({ sport: 1, dport: 2 }, Buffer.alloc(9)),
      ),
    );
  await mux.send("mux_push", packet(1));
  expect(await mux.run.events("mux_debug")).toEqual([]);
  const { packet: sent } = await mux.send("mux_push", packet(2));
  const [event, ...more] = await mux.run.events("mux_debug");
  expect(more).toEqual([]);
  // ns, end, ifindex, reason, action, length, captured, data
  expect(event!.readUInt32LE(12)).toBe(1);
  expect([event!.readUInt16LE(16), event!.readUInt16LE(18)]).toEqual([1, 2]);
  expect([event!.readUInt16LE(20), event!.readUInt16LE(22)]).toEqual([
    sent.length,
    Math.min(sent.length, 96),
  ]);
  expect(event!.subarray(24, 24 + Math.min(sent.length, 96))).toEqual(sent.subarray(0, 96));
});
