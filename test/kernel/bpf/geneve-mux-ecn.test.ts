import { XDP } from "../../support/bpf";
import { encapsulated, frame, inner, innerMacs, tunnels } from "../../support/bpf-cases";
import { Mux } from "../../support/bpf-mux";
import { ETH, ethernet } from "../../support/packets";

let mux: Mux;
beforeAll(async () => {
  mux = await Mux.start();
});
afterAll(() => mux.close());

const NOT = 0;
const ECT1 = 1;
const ECT0 = 2;
const CE = 3;

// RFC 6040 figure 4: the outgoing field by inner (row) and outer (column); "drop" is the box marked so.
const table: readonly [inner: number, outer: number, result: number | "drop"][] = [
  [NOT, NOT, NOT],
  [NOT, ECT0, NOT],
  [NOT, ECT1, NOT],
  [NOT, CE, "drop"],
  [ECT0, NOT, ECT0],
  [ECT0, ECT0, ECT0],
  [ECT0, ECT1, ECT1],
  [ECT0, CE, CE],
  [ECT1, NOT, ECT1],
  [ECT1, ECT0, ECT1],
  [ECT1, ECT1, ECT1],
  [ECT1, CE, CE],
  [CE, NOT, CE],
  [CE, ECT0, CE],
  [CE, ECT1, CE],
  [CE, CE, CE],
];

const some = tunnels.filter(({ name }) =>
  [
    "geneve over IPv4",
    "geneve over IPv6",
    "gre over IPv4 L3 KEY",
    "ipip over IPv4",
    "ipip over IPv6",
  ].includes(name),
);

describe.each(some)("popping $name", (tunnel) => {
  async function pops(flags: readonly string[] = []) {
    await mux.reset();
    await mux.port({ ifindex: 1, flags: ["POP"] });
    await mux.end(1, {
      protocol: tunnel.end.protocol,
      remote: tunnel.end.local,
      dmac: innerMacs.dst,
      smac: innerMacs.src,
      flags: [...flags, ...(tunnel.end.flags ?? []).filter((flag) => flag === "L3")],
    });
    await mux.slot(tunnel.key, 1);
  }
  const arriving = (whole: Buffer, family: 4 | 6, tos: number) =>
    encapsulated(tunnel, family, tunnel.l3 ? whole.subarray(14) : whole, { tos });

  it.each([4, 6] as const)(
    "treats ECN as RFC 6040 wants, keeps DSCP, and mends the checksum of IPv%d",
    async (family) => {
      await pops();
      for (const [inside, outside, result] of table) {
        const packet = arriving(frame(family, inner(family, { tos: 0x48 | inside })), family, 0xb8 | outside);
        const popped = await mux.send("mux_pop", packet);
        expect({ inside, outside, ...popped }).toEqual(
          result === "drop"
            ? { inside, outside, verdict: XDP.drop, reason: "ECN", packet }
            : {
                inside,
                outside,
                verdict: XDP.pass,
                reason: "POP_PASS",
                packet: frame(family, inner(family, { tos: 0x48 | result })),
              },
        );
      }
    },
  );

  it("brings the outer DSCP inside where both ends are one domain", async () => {
    await pops(["DSCP"]);
    for (const family of [4, 6] as const) {
      const packet = arriving(frame(family, inner(family, { tos: 0x48 | ECT0 })), family, 0xb8 | CE);
      expect((await mux.send("mux_pop", packet)).packet).toEqual(
        frame(family, inner(family, { tos: 0xb8 | CE })),
      );
    }
  });

  if (!tunnel.l3) {
    it("reaches through VLAN tags, and leaves what is not IP alone", async () => {
      await pops();
      const tags = [
        { type: ETH.qinq, tci: 7 },
        { type: ETH.vlan, tci: 8 },
      ];
      const tagged = (tos: number) => ethernet({ ...innerMacs, type: ETH.ipv4, tags }, inner(4, { tos }));
      expect((await mux.send("mux_pop", arriving(tagged(ECT0), 4, CE))).packet).toEqual(tagged(CE));
      const arp = ethernet({ ...innerMacs, type: ETH.arp }, Buffer.alloc(46));
      expect((await mux.send("mux_pop", arriving(arp, 4, CE))).packet).toEqual(arp);
    });
  }
});
