import { join } from "node:path";
import { execa } from "execa";
import { bpfBuild, buildBpf } from "../../support/bpf";
import { ETH, ethernet, ipv4, PROTO } from "../../support/packets";
import { sendFrames } from "../../support/raw-frames";

const netns = `nlt-${process.pid}-frags`;
const pins = `/sys/fs/bpf/${netns}`;
const inside = (...argv: string[]) => execa("nsenter", [`--net=/run/netns/${netns}`, ...argv]);

beforeAll(async () => {
  buildBpf();
  await execa("ip", ["netns", "add", netns]);
  const links = [
    "link add name out0 mtu 9000 type veth peer name out1 mtu 9000",
    "link set dev out0 up",
    "link set dev out1 up",
  ];
  await execa("ip", ["-n", netns, "-batch", "-"], { input: links.join("\n") + "\n" });
  await execa("mkdir", ["-p", pins]);
  const object = join(bpfBuild, "classify.bpf.o");
  await execa("bpftool", ["prog", "loadall", object, pins, "type", "classifier", "pinmaps", pins]);
  const batch = [
    "qdisc add dev out0 root handle 1: htb default 2",
    "class add dev out0 parent 1: classid 1:2 htb rate 1gbit quantum 9000",
    "class add dev out0 parent 1: classid 1:1001 htb rate 1gbit quantum 9000",
    "qdisc add dev out0 clsact",
    `filter add dev out0 egress bpf direct-action object-pinned ${pins}/shape_download`,
  ];
  for (const line of batch) await inside("tc", ...line.split(" "));
  const entry = "key hex 0a 09 00 02 value hex 01 10 01 00 01 10 01 00".split(" ");
  await execa("bpftool", ["map", "update", "pinned", `${pins}/shaper_hosts4`, ...entry]);
});

afterAll(async () => {
  await execa("ip", ["netns", "del", netns], { reject: false });
  await execa("rm", ["-rf", pins]);
});

async function sent(classId: string): Promise<number> {
  const { stdout } = await inside("tc", "-s", "class", "show", "dev", "out0");
  return Number(new RegExp(`class htb ${classId} [^]*?Sent \\d+ bytes (\\d+) pkt`).exec(stdout)?.[1]);
}

// the Ethernet header alone, half an IPv4 header, all of it, and what a driver usually leaves in one piece
it.each([14, 24, 34, 128])(
  "finds the class of a packet of which %d bytes are in one piece",
  async (linear) => {
    const header = { src: "192.0.2.1", dst: "10.9.0.2", protocol: PROTO.udp };
    const macs = { dst: "02:00:00:00:00:02", src: "02:00:00:00:00:01", type: ETH.ipv4 };
    const frame = ethernet(macs, ipv4(header, Buffer.alloc(5_000, 0x5a)));
    const before = { subscriber: await sent("1:1001"), others: await sent("1:2") };
    await sendFrames(netns, "out0", frame, 20, linear);
    expect((await sent("1:1001")) - before.subscriber).toBe(20);
    expect((await sent("1:2")) - before.others).toBeLessThan(5); // the link's own neighbour discovery
  },
);
