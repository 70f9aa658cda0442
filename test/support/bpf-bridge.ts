import { join } from "node:path";
import { execa } from "execa";
import { bpfBuild, buildBpf } from "./bpf";

const le32 = (value: number): string[] => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0"));
};

/** The two ends of a transfer: "sink" prints the Mbit/s that reached it, from its first byte to its last. */
const transfer = `
const net = require("node:net");
const [, role, host, ms] = process.argv;
if (role === "sink") {
  let bits = 0, from, to;
  const server = net.createServer((socket) => {
    socket.on("data", (data) => { to = process.hrtime.bigint(); from ??= to; bits += data.length * 8; });
    socket.on("end", () => { console.log(bits / (Number(to - from) / 1e3)); process.exit(); });
  });
  server.listen(5001, host, () => console.log("listening"));
} else {
  const block = Buffer.alloc(65536);
  const socket = net.connect(5001, host, () => {
    const fill = () => { while (socket.write(block)); };
    socket.on("drain", fill);
    fill();
    setTimeout(() => { socket.removeListener("drain", fill); socket.end(); }, Number(ms));
  });
}`;

/**
 * A subscriber and a server in namespaces of their own, and between them a third that has nothing but one interface
 * towards each, `sub0` and `net0`, bridged by xdp-bridge, with HTB and the classifier on both.
 */
export class ShapedBridge {
  readonly subscriber: string;
  readonly middle: string;
  readonly server: string;
  private readonly pins: string;

  private constructor(name: string) {
    this.subscriber = `${name}-sub`;
    this.middle = `${name}-mid`;
    this.server = `${name}-srv`;
    this.pins = `/sys/fs/bpf/${name}`;
  }

  /** Builds it all; the subscriber is 10.9.0.2 and 2001:db8:9::2, the server .1 and ::1. */
  static async make(name: string, mbits: { download: number; upload: number }): Promise<ShapedBridge> {
    buildBpf();
    const bridge = new ShapedBridge(name);
    await bridge.cable();
    await bridge.load();
    for (const [side, direction] of [
      ["sub0", "download"],
      ["net0", "upload"],
    ] as const) {
      const tc = (...words: string[]) => bridge.inside("tc", ...words);
      await tc("qdisc", "add", "dev", side, "root", "handle", "1:", "htb", "default", "2");
      const rate = [`${mbits[direction]}mbit`, "quantum", "1514"];
      await tc("class", "add", "dev", side, "parent", "1:", "classid", "1:1001", "htb", "rate", ...rate);
      await tc("class", "add", "dev", side, "parent", "1:", "classid", "1:2", "htb", "rate", "1mbit");
      await tc("qdisc", "add", "dev", side, "clsact");
      await bridge.filter(side, "egress", `shaper/shape_${direction}`);
      await bridge.attach(side);
    }
    return bridge;
  }

  private async cable(): Promise<void> {
    const ends = [
      [this.subscriber, "sub0", 2],
      [this.server, "net0", 1],
    ] as const;
    await execa("ip", ["netns", "add", this.middle]);
    for (const [netns, side, host] of ends) {
      await execa("ip", ["netns", "add", netns]);
      const link = ["link", "add", "name", side, "type", "veth", "peer", "name", "eth0", "netns", netns];
      await execa("ip", ["-n", this.middle, ...link]);
      const batch = [
        `address add 10.9.0.${host}/24 dev eth0`,
        `address add 2001:db8:9::${host}/64 dev eth0 nodad`,
        "link set dev eth0 up",
        `link set dev eth0 xdpdrv obj ${join(bpfBuild, "xdp-pass.bpf.o")} sec xdp`,
      ];
      await execa("ip", ["-n", netns, "-batch", "-"], { input: batch.join("\n") + "\n" });
      await execa("ip", ["-n", this.middle, "link", "set", "dev", side, "up"]);
    }
  }

  private async load(): Promise<void> {
    await execa("mkdir", ["-p", this.pins]);
    for (const [object, folder] of [
      ["xdp-bridge", "bridge"],
      ["classify", "shaper"],
    ]) {
      const at = join(this.pins, folder!);
      const file = join(bpfBuild, `${object}.bpf.o`);
      const type = object === "classify" ? ["type", "classifier"] : [];
      await execa("bpftool", ["prog", "loadall", file, at, ...type, "pinmaps", at]);
    }
    await this.pair(1);
  }

  /** Runs a program in the namespace between, with the pinned objects in sight. */
  inside(...argv: string[]) {
    return execa("nsenter", [`--net=/run/netns/${this.middle}`, ...argv]);
  }

  /** Runs a program in a namespace; its failure is a result like any other. */
  within(netns: string, ...argv: string[]) {
    return execa("ip", ["netns", "exec", netns, ...argv], { reject: false });
  }

  private async ifindex(side: string): Promise<number> {
    const { stdout } = await execa("ip", ["-n", this.middle, "-j", "link", "show", "dev", side]);
    return (JSON.parse(stdout) as { ifindex: number }[])[0]!.ifindex;
  }

  /** Writes both directions with these flags. */
  async pair(flags: number): Promise<void> {
    const [sub, net] = [await this.ifindex("sub0"), await this.ifindex("net0")];
    for (const [from, to] of [
      [sub, net],
      [net, sub],
    ] as const)
      await this.update("bridge/bridge_ports", le32(from), [...le32(to), ...le32(flags)]);
  }

  /** Gives an address, as bytes in hex, a class in both directions. */
  async classify(map: string, address: readonly string[], classId: number): Promise<void> {
    await this.update(`shaper/${map}`, address, [...le32(classId), ...le32(classId)]);
  }

  private async update(map: string, key: readonly string[], value: readonly string[]): Promise<void> {
    const words = ["key", "hex", ...key, "value", "hex", ...value];
    await execa("bpftool", ["map", "update", "pinned", join(this.pins, map), ...words]);
  }

  private async filter(side: string, hook: "ingress" | "egress", program: string): Promise<void> {
    const words = ["pref", "1", "handle", "1", "bpf", "direct-action", "object-pinned"];
    await this.inside("tc", "filter", "add", "dev", side, hook, ...words, join(this.pins, program));
  }

  /** Puts both programs of the bridge on a side. */
  async attach(side: string): Promise<void> {
    await this.filter(side, "ingress", "bridge/bridge_tc");
    await this.inside("ip", "link", "set", "dev", side, "xdpdrv", "pinned", `${this.pins}/bridge/bridge_xdp`);
  }

  /** Takes both programs of the bridge off a side. */
  async detach(side: string): Promise<void> {
    await this.inside("ip", "link", "set", "dev", side, "xdpdrv", "off");
    await this.inside("tc", "filter", "del", "dev", side, "ingress", "pref", "1");
  }

  /** What the bridge counted of frames that came in at a side, all CPUs together. */
  async stats(side: string): Promise<{ redirected: number; queued: number }> {
    const key = le32(await this.ifindex(side));
    const map = join(this.pins, "bridge", "bridge_stats");
    const { stdout } = await execa("bpftool", ["-j", "map", "lookup", "pinned", map, "key", "hex", ...key]);
    const { formatted } = JSON.parse(stdout) as {
      formatted: { values: { value: { redirected_packets: number; queued_packets: number } }[] };
    };
    const sum = (pick: "redirected_packets" | "queued_packets") =>
      formatted.values.reduce((all, { value }) => all + value[pick], 0);
    return { redirected: sum("redirected_packets"), queued: sum("queued_packets") };
  }

  /** Packets that a class has let out. */
  async sent(side: string, classId: string): Promise<number> {
    const { stdout } = await this.inside("tc", "-s", "class", "show", "dev", side);
    const found = new RegExp(`class htb ${classId} [^]*?Sent \\d+ bytes (\\d+) pkt`).exec(stdout);
    return Number(found?.[1]);
  }

  /** The next frames that a filter of pcap-filter(7) matches, in hex, as a namespace's `eth0` gets them. */
  captured(netns: string, count: number, filter: string) {
    const tcpdump = ["tcpdump", "-i", "eth0", "-Q", "in", "-c", `${count}`, "-xx", "-n", "-t", filter];
    const child = execa("ip", ["netns", "exec", netns, ...tcpdump], { timeout: 10_000, reject: false });
    const ready = new Promise<void>((resolve) =>
      child.stderr.on("data", (data: Buffer) => {
        if (data.includes("listening on")) resolve();
      }),
    );
    const frames = child.then(({ stdout }) =>
      stdout
        .split(/^\S.*\n/m)
        .map((dump) => dump.replace(/^\t0x[0-9a-f]+:|\s/gm, ""))
        .filter((dump) => dump !== ""),
    );
    return { ready, frames };
  }

  /** Mbit/s of TCP payload from one namespace to an address in another. */
  async goodput(from: string, to: string, address: string, ms: number): Promise<number> {
    const node = ["netns", "exec", to, process.execPath, "-e", transfer, "sink", address];
    const sink = execa("ip", node, { timeout: ms + 20_000 });
    await new Promise((resolve) => sink.stdout.once("data", resolve));
    await execa("ip", ["netns", "exec", from, process.execPath, "-e", transfer, "source", address, `${ms}`]);
    return Number((await sink).stdout.split("\n").at(-1));
  }

  async remove(): Promise<void> {
    for (const netns of [this.subscriber, this.server, this.middle])
      await execa("ip", ["netns", "del", netns], { reject: false });
    await execa("rm", ["-rf", this.pins]);
  }
}
