import { BpfRun, TC } from "../../support/bpf";
import { ETH, ethernet, ip, ipv4, ipv6, PROTO, udp, u32, type Tag } from "../../support/packets";

const macs = { dst: "02:00:00:00:00:02", src: "02:00:00:00:00:01" };
const payload = udp({ sport: 1, dport: 2 }, Buffer.alloc(20, 0x5a));
const outside = { 4: "192.0.2.1", 6: "2001:db8:ffff::1" } as const;

let run: BpfRun;
beforeAll(async () => {
  run = await BpfRun.start();
  await run.load("classify", { shaper_hosts4: 64, shaper_hosts6: 64, shaper_nets4: 64, shaper_nets6: 64 });
});
afterAll(() => run.close());
beforeEach(() => run.clear());

const le32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};

/** Puts an address or a prefix into the map where it belongs, byte by byte as the README says. */
async function entry(prefix: string, download: number, upload: number): Promise<void> {
  const [address, length] = prefix.split("/");
  const family = address!.includes(":") ? 6 : 4;
  const key = length === undefined ? ip(address!) : Buffer.concat([le32(Number(length)), ip(address!)]);
  const map = `shaper_${length === undefined ? "hosts" : "nets"}${family}`;
  await run.set(map, key, Buffer.concat([le32(download), le32(upload)]));
}

function frame(src: string, dst: string, tags: readonly Tag[] = []): Buffer {
  return src.includes(":")
    ? ethernet({ ...macs, type: ETH.ipv6, tags }, ipv6({ src, dst, next: PROTO.udp }, payload))
    : ethernet({ ...macs, type: ETH.ipv4, tags }, ipv4({ src, dst, protocol: PROTO.udp }, payload));
}

/** The class a frame gets in each direction, 7 being what it came with. */
async function classes(packet: Buffer): Promise<{ download: number; upload: number }> {
  const down = await run.classify("shape_download", packet, 7);
  const up = await run.classify("shape_upload", packet, 7);
  for (const { verdict, packet: after } of [down, up]) {
    expect(verdict).toBe(TC.unspec);
    expect(after).toEqual(packet);
  }
  return { download: down.priority, upload: up.priority };
}

/** Packets and bytes of a reason, all CPUs together. */
async function counted(): Promise<Record<string, [packets: number, bytes: number]>> {
  const names = ["downloadUnknown", "uploadUnknown", "downloadNotIp", "uploadNotIp"];
  const entries = await Promise.all(
    names.map(async (name, index) => {
      const values = await run.get("shaper_stats", le32(index));
      const sum: [number, number] = [0, 0];
      for (let at = 0; at < values.length; at += 16) {
        sum[0] += Number(values.readBigUInt64LE(at));
        sum[1] += Number(values.readBigUInt64LE(at + 8));
      }
      return [name, sum] as const;
    }),
  );
  return Object.fromEntries(entries);
}

const hosts = [
  [4, "10.1.2.3", "10.1.2.4", "10.1.0.0/16", "10.1.128.0/17", "10.1.200.1"],
  [6, "2001:db8:5::3", "2001:db8:5::4", "2001:db8:5::/48", "2001:db8:5:8000::/49", "2001:db8:5:9000::1"],
] as const;

describe.each(hosts)("IPv%d", (family, host, other, prefix, longer, inLonger) => {
  it("finds downloads by destination and uploads by source", async () => {
    await entry(host, 0x00011001, 0x00011002);
    expect(await classes(frame(outside[family], host))).toEqual({ download: 0x00011001, upload: 7 });
    expect(await classes(frame(host, outside[family]))).toEqual({ download: 7, upload: 0x00011002 });
  });

  it("takes a host's own entry before its prefix, and the longest prefix", async () => {
    await entry(prefix, 0x00011010, 0x00011010);
    await entry(longer, 0x00011011, 0x00011011);
    await entry(host, 0x00011012, 0x00011012);
    const download = async (dst: string) => (await classes(frame(outside[family], dst))).download;
    expect(await download(host)).toBe(0x00011012);
    expect(await download(other)).toBe(0x00011010);
    expect(await download(inLonger)).toBe(0x00011011);
    expect(await download(outside[family])).toBe(7);
  });

  it("leaves a direction without a class to the default one", async () => {
    await entry(host, 0x00011001, 0);
    expect(await classes(frame(host, host))).toEqual({ download: 0x00011001, upload: 7 });
    expect(await counted()).toMatchObject({ uploadUnknown: [1, frame(host, host).length] });
  });

  it("looks behind one tag and two", async () => {
    await entry(host, 0x00011001, 0x00011002);
    const vlan = { type: ETH.vlan, tci: 0x2064 };
    const tags = [[vlan], [{ type: ETH.qinq, tci: 9 }, vlan], [vlan, vlan]];
    for (const these of tags)
      expect(await classes(frame(host, host, these))).toEqual({ download: 0x00011001, upload: 0x00011002 });
    expect(await classes(frame(host, host, [vlan, vlan, vlan, vlan]))).toEqual({ download: 7, upload: 7 });
  });

  it("counts what is nobody's, by direction", async () => {
    await entry(host, 0x00011001, 0x00011002);
    const stranger = frame(outside[family], other);
    for (let i = 0; i < 3; i++) await run.classify("shape_download", stranger);
    await run.classify("shape_upload", stranger);
    await run.classify("shape_download", frame(outside[family], host));
    expect(await counted()).toEqual({
      downloadUnknown: [3, 3 * stranger.length],
      uploadUnknown: [1, stranger.length],
      downloadNotIp: [0, 0],
      uploadNotIp: [0, 0],
    });
  });

  it("finds no class in a header cut short, at any length, nor in one of another version", async () => {
    await entry(host, 0x00011001, 0x00011002);
    const whole = frame(host, host, [{ type: ETH.vlan, tci: 5 }]);
    const header = 14 + 4 + (family === 4 ? 20 : 40);
    for (let length = 14; length < header; length++)
      expect(await classes(whole.subarray(0, length))).toEqual({ download: 7, upload: 7 });
    expect(await classes(whole.subarray(0, header))).toEqual({ download: 0x00011001, upload: 0x00011002 });
    const lie = Buffer.from(whole);
    lie[18] = (lie[18]! & 0x0f) | 0x50;
    expect(await classes(lie)).toEqual({ download: 7, upload: 7 });
  });

  it("forgets an entry that is removed, and knows one that is changed", async () => {
    await entry(host, 0x00011001, 0x00011002);
    await entry(host, 0x00012001, 0x00012002);
    expect(await classes(frame(host, host))).toEqual({ download: 0x00012001, upload: 0x00012002 });
    await run.unset(`shaper_hosts${family}`, ip(host));
    expect(await classes(frame(host, host))).toEqual({ download: 7, upload: 7 });
  });
});

it("finds fragments of a packet as it finds the first", async () => {
  await entry("10.1.2.3", 0x00011001, 0x00011001);
  await entry("2001:db8:5::3", 0x00011001, 0x00011001);
  const later4 = ipv4(
    { src: "192.0.2.1", dst: "10.1.2.3", protocol: PROTO.udp, offset: 185, mf: true },
    Buffer.alloc(64, 0xee),
  );
  const later6 = ipv6(
    { src: outside[6], dst: "2001:db8:5::3", next: PROTO.fragment },
    Buffer.concat([Buffer.from([PROTO.udp, 0, 0x05, 0xc9]), u32(77), Buffer.alloc(64, 0xee)]),
  );
  for (const packet of [
    ethernet({ ...macs, type: ETH.ipv4 }, later4),
    ethernet({ ...macs, type: ETH.ipv6 }, later6),
  ])
    expect((await classes(packet)).download).toBe(0x00011001);
});

it("leaves ARP alone and counts it", async () => {
  await entry("0.0.0.0/0", 0x00011001, 0x00011001);
  const packet = ethernet({ ...macs, type: ETH.arp }, Buffer.alloc(46, 1));
  expect(await classes(packet)).toEqual({ download: 7, upload: 7 });
  expect(await counted()).toMatchObject({ downloadNotIp: [1, 60], uploadNotIp: [1, 60] });
});

it("keeps addresses of unlike families apart", async () => {
  await entry("0.0.0.0/0", 0x00011004, 0x00011004);
  await entry("::/0", 0x00011006, 0x00011006);
  expect((await classes(frame(outside[4], "10.1.2.3"))).download).toBe(0x00011004);
  expect((await classes(frame(outside[6], "2001:db8::1"))).download).toBe(0x00011006);
});

it("is walked by the verifier in a few hundred instructions", async () => {
  for (const { verified } of await run.programs()) expect(verified).toBeLessThan(1_000);
});
