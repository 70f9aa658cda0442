import { execa } from "execa";
import { XDP } from "../../support/bpf";
import {
  encapsulated,
  etherType,
  hosts4,
  hosts6,
  innerMacs,
  payload,
  tunnels,
} from "../../support/bpf-cases";
import { Mux } from "../../support/bpf-mux";
import { ethernet, ipv4, ipv6, PROTO, tcp, udp } from "../../support/packets";

/* What a frame of a veth may lack, and where a packet goes whose next hop nobody knows yet. */

let mux: Mux;
beforeAll(async () => {
  mux = await Mux.start(["nic0", "nic1"]);
});
afterAll(() => mux.close());

const tunnel = tunnels.find(({ name }) => name === "geneve over IPv4")!;
const dmac = "02:bb:00:00:00:02";
const smac = "02:bb:00:00:00:01";

/** One's complement sum of 16-bit words. */
function sum(bytes: Buffer): number {
  let total = 0;
  for (let at = 0; at < bytes.length; at += 2)
    total += at + 1 < bytes.length ? bytes.readUInt16BE(at) : bytes[at]! << 8;
  while (total > 0xffff) total = (total >>> 16) + (total & 0xffff);
  return total;
}

/** A frame, and the same as a veth's sender leaves it: the sum of the pseudo header in place of the checksum. */
function frames(family: 4 | 6, kind: "tcp" | "udp", body = payload) {
  const between = family === 4 ? hosts4 : hosts6;
  const ports = { sport: 40000, dport: 443, between };
  const segment = kind === "tcp" ? tcp(ports, body) : udp(ports, body);
  const at = kind === "tcp" ? 16 : 6;
  const addresses =
    family === 4
      ? ipv4({ ...hosts4, protocol: 0, df: true }, Buffer.alloc(0)).subarray(12, 20)
      : ipv6({ ...hosts6, next: 0 }, Buffer.alloc(0)).subarray(8, 40);
  const tail = Buffer.alloc(4);
  tail.writeUInt16BE(segment.length, 0);
  tail.writeUInt16BE(PROTO[kind], 2);
  const left = Buffer.from(segment);
  left.writeUInt16BE(sum(Buffer.concat([addresses, tail])), at);
  const whole = (of: Buffer) =>
    ethernet(
      { ...innerMacs, type: etherType(family) },
      family === 4
        ? ipv4({ ...hosts4, protocol: PROTO[kind], df: true }, of)
        : ipv6({ ...hosts6, next: PROTO[kind] }, of),
    );
  return { right: whole(segment), left: whole(left) };
}

async function start(
  flags: readonly ("ALL" | "HOST")[],
  end: readonly string[] = ["REDIRECT", "DF"],
  mtu?: number,
) {
  await mux.reset();
  await mux.port({ ifindex: 2, flags: [...flags, "FILL"], end: 0 });
  const pushing = { ...tunnel.end, flags: end, dmac, smac, egress: 4, mtu };
  if (flags.includes("HOST")) await mux.keyed({ scope: "host", b: hosts4.dst }, pushing);
  else await mux.end(0, pushing);
  await mux.device(4, 4);
}

describe.each(["tcp", "udp"] as const)("a checksum of %s that a veth's sender has left", (kind) => {
  it.each([4, 6] as const)("is completed in IPv%d on its way out", async (family) => {
    await start(["ALL"]);
    const { left, right } = frames(family, kind);
    expect(left).not.toEqual(right);
    const sent = await mux.send("mux_push", left, 2);
    expect([sent.verdict, sent.reason]).toEqual([XDP.redirect, "PUSH_REDIRECT"]);
    expect(sent.packet.subarray(50)).toEqual(right);
    // One that is right stays as it is.
    expect((await mux.send("mux_push", right, 2)).packet.subarray(50)).toEqual(right);
  });

  it("is completed on the short way, too, whatever the length", async () => {
    await start(["HOST"], ["REDIRECT", "DF"], 1500);
    for (const length of [0, 1, 2, 3, 255, 256, 257, 1400]) {
      const { left, right } = frames(4, kind, Buffer.alloc(length, 0xa5));
      expect((await mux.send("mux_push", left, 2)).packet.subarray(50)).toEqual(right);
    }
  });

  it("is left where the frame goes to the host's own stack, which completes it", async () => {
    await start(["ALL"], ["DF"]);
    const { left } = frames(4, kind);
    const sent = await mux.send("mux_push", left, 2);
    expect([sent.verdict, sent.packet.subarray(50)]).toEqual([XDP.pass, left]);
  });
});

describe("a packet whose next hop is not known yet", () => {
  it("goes to the host's own stack with its outer header, which asks for the neighbour", async () => {
    await execa("ip", ["netns", "exec", mux.run.namespace, "sysctl", "-qw", "net.ipv4.ip_forward=1"]);
    await mux.run.ip("addr", "add", "192.0.2.1/24", "dev", "nic0");
    await mux.run.ip("route", "add", "198.51.100.0/24", "via", "192.0.2.99");
    await mux.reset();
    await mux.port({ ifindex: 2, flags: ["ALL", "ASK"], end: 0 });
    await mux.end(0, { ...tunnel.end, flags: ["REDIRECT", "DF"], hold: 0 });
    await mux.device(2, 2);
    const { right } = frames(4, "tcp");
    const sent = await mux.send("mux_push", right, 2);
    expect([sent.verdict, sent.reason]).toEqual([XDP.pass, "PUSH_PASS"]);
    expect(sent.packet.subarray(0, 12)).toEqual(right.subarray(0, 12));
    expect(sent.packet.subarray(14)).toEqual(encapsulated(tunnel, 4, right, { df: true }).subarray(14));
  });
});
