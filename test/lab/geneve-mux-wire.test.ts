import { App, GeneveMux, Host, type MuxTunnel, Namespace, StaticRoutes, VethPair } from "netloom";
import { openLocalStack } from "../../lib/cli/local-stack";
import { temporaryFolder } from "../support/folder";
import { withLab } from "../support/lab";
import { dissect, dissectTags, framesOf, packetIn, type TunnelFrame } from "../support/tunnel-frames";

/**
 * Tunnels between GeneveMux and the kernel's own devices: what the one makes the other opens, and the headers are the
 * same to the byte but for what is named here.
 *
 *     inside │ in0 ── mux ── up0 │ wire ── the kernel's devices │ kernel
 */

jest.setTimeout(600_000);

const machines = withLab(["edge"]);
const folder = temporaryFolder();
const run = (script: string) => machines.lab.ssh("edge", ["sh", "-s"], { input: script, timeoutMs: 120_000 });

/** Addresses of the wire's ends. */
const ours = { 4: "10.7.0.1", 6: "fd07::1" } as const;
const theirs = { 4: "10.7.0.2", 6: "fd07::2" } as const;

interface Wire {
  readonly name: string;
  /** Family of the outer header; none of tags. */
  readonly outer?: 4 | 6;
  /** `ip link add NAME` and so on, of the kernel's device. */
  readonly device: string;
  /** Whether it carries Ethernet frames. */
  readonly frames: boolean;
  readonly tunnel: Record<string, unknown>;
  /** Families inside. */
  readonly inner: readonly (4 | 6)[];
  /** What tcpdump says of one. */
  readonly said: RegExp;
}

const between = (outer: 4 | 6) => `local ${theirs[outer]} remote ${ours[outer]}`;
const udp = (outer: 4 | 6, vni: number) =>
  `id ${vni} ${outer === 4 ? "df set" : ""} ttl 64 tos inherit ${outer === 4 ? "noudpcsum" : ""}`;

const wires: readonly Wire[] = [
  ...([4, 6] as const).flatMap((outer): Wire[] => [
    {
      name: `gnv${outer}`,
      outer,
      device: `type geneve ${udp(outer, 7000 + outer)} remote ${ours[outer]}`,
      frames: true,
      tunnel: { protocol: "geneve", vni: 7000 + outer },
      inner: [4, 6],
      said: new RegExp(`Geneve, Flags \\[none\\], vni 0x${(7000 + outer).toString(16)}`),
    },
    {
      name: `vxl${outer}`,
      outer,
      device: `type vxlan ${udp(outer, 8000 + outer)} ${between(outer)} dstport 4789 nolearning`,
      frames: true,
      tunnel: { protocol: "vxlan", vni: 8000 + outer },
      inner: [4, 6],
      said: new RegExp(`VXLAN, flags \\[I\\] \\(0x08\\), vni ${8000 + outer}`),
    },
    {
      name: `gre${outer}`,
      outer,
      device:
        outer === 4
          ? `type gre ${between(4)} ttl 64 tos inherit`
          : `type ip6gre ${between(6)} ttl 64 tos inherit encaplimit none`,
      frames: false,
      tunnel: { protocol: "gre" },
      inner: [4, 6],
      said: /GREv0, (Flags \[none\], )?.*proto IPv[46]/,
    },
    {
      name: `grk${outer}`,
      outer,
      device:
        outer === 4
          ? `type gre ${between(4)} ttl 64 tos inherit key 4711 csum`
          : `type ip6gre ${between(6)} ttl 64 tos inherit encaplimit none key 4711 csum`,
      frames: false,
      tunnel: { protocol: "gre", key: 4711, checksum: true },
      inner: [4],
      said: /GREv0, Flags \[checksum present, key present\], key=0x1267, sum 0x[0-9a-f]+ \(correct\)|key=0x1267/,
    },
    {
      name: `tap${outer}`,
      outer,
      device:
        outer === 4
          ? `type gretap ${between(4)} ttl 64 tos inherit key 9`
          : `type ip6gretap ${between(6)} ttl 64 tos inherit encaplimit none key 9`,
      frames: true,
      tunnel: { protocol: "gre", key: 9, payload: "ethernet" },
      inner: [4],
      said: /GREv0, Flags \[key present\], key=0x9, proto TEB/,
    },
  ]),
  {
    name: "ipip4",
    outer: 4,
    device: `type ipip ${between(4)} ttl 64 tos inherit`,
    frames: false,
    tunnel: { protocol: "ipip" },
    inner: [4],
    said: /10\.7\.0\.[12] > 10\.7\.0\.[12]: (\(tos|IP)/,
  },
  {
    name: "ip6tnl",
    outer: 6,
    device: `type ip6tnl mode any ${between(6)} ttl 64 tos inherit encaplimit none`,
    frames: false,
    tunnel: { protocol: "ipip" },
    inner: [4, 6],
    said: /fd07::[12] > fd07::[12]: /,
  },
  {
    name: "tag",
    device: "link wire type vlan id 10",
    frames: true,
    tunnel: { protocol: "vlan", vlanId: 10 },
    inner: [4, 6],
    said: /ethertype 802\.1Q \(0x8100\), length \d+: vlan 10, p 0, ethertype IPv[46]/,
  },
  {
    name: "tags",
    device: "link outer type vlan id 20",
    frames: true,
    tunnel: { protocol: "qinq", outerVlanId: 100, vlanId: 20 },
    inner: [4],
    said: /ethertype 802\.1Q-QinQ \(0x88a8\), length \d+: vlan 100, p 0, ethertype 802\.1Q/,
  },
];

const device = { mac: "02:00:00:00:00:77" };
const far = (nth: number) => ({ 4: `10.9.${nth + 1}.1`, 6: `fd09:${nth + 1}::1` }) as const;
const near = { 4: "10.8.0.2", 6: "fd08::2" } as const;

/** The kernel's side: a device for each wire, which answers to an address of its own by the way it came. */
const kernelSide = (inside: string) => `
set -e
modprobe -a geneve vxlan ip_gre ip6_gre ipip sit ip6_tunnel 8021q
# What a NIC would do is done at once: no checksum and no tag is left for later.
ip netns exec kernel ethtool -K wire tx off txvlan off tx-vlan-stag-hw-insert off 2>/dev/null || true
ip netns exec kernel sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 net.ipv6.conf.default.accept_dad=0
ip -n kernel link add link wire outer type vlan proto 802.1ad id 100
ip -n kernel link set outer up
${wires
  .map(
    ({ name, device: what, frames, inner }, nth) => `
ip -n kernel link add ${what.startsWith("link") ? what.replace(" type", ` name ${name} type`) : `name ${name} ${what}`}
${frames ? `ip -n kernel link set ${name} address ${device.mac}` : ""}
ip -n kernel link set ${name} mtu 1400 up
${inner
  .map(
    (family) => `
ip -n kernel address add ${far(nth)[family]}/${family === 4 ? 32 : 128} dev ${name} ${family === 6 ? "nodad" : ""}
ip -n kernel -${family} rule add from ${far(nth)[family]} lookup ${100 + nth}
ip -n kernel -${family} route add ${near[family]} dev ${name} table ${100 + nth}
${frames ? `ip -n kernel neigh add ${near[family]} lladdr ${inside} dev ${name} nud permanent` : ""}`,
  )
  .join("\n")}`,
  )
  .join("\n")}
`;

/** The program: a namespace behind a cable, the wire, and a tunnel to each of the kernel's devices. */
function program() {
  const { address, port, user, hostKey } = machines.lab.host("edge");
  const app = new App();
  const edge = new Host(app, "edge", { address, port, user, hostKey });
  const inside = new Namespace(edge, "inside");
  const kernel = new Namespace(edge, "kernel");
  const wire = new VethPair(edge, "wire", {
    a: { namespace: edge, name: "up0", addresses: [`${ours[4]}/24`, `${ours[6]}/64`] },
    b: { namespace: kernel, name: "wire", addresses: [`${theirs[4]}/24`, `${theirs[6]}/64`] },
  });
  const cable = new VethPair(edge, "cable", {
    a: { namespace: edge, name: "in0", addresses: ["10.8.0.1/24", "fd08::1/64"] },
    b: { namespace: inside, name: "eth0", addresses: [`${near[4]}/24`, `${near[6]}/64`] },
  });
  new StaticRoutes(inside, "default", {
    routes: [
      { destination: "0.0.0.0/0", via: "10.8.0.1" },
      { destination: "::/0", via: "fd08::1" },
    ],
  });
  const tunnels = wires.map(
    ({ name, outer, frames, tunnel }, nth) =>
      ({
        ...{ name, ...tunnel, interface: cable.a, select: { destinations: Object.values(far(nth)) } },
        ...(outer && { local: ours[outer], remote: theirs[outer] }),
        ...(frames && { macs: { innerDestination: device.mac } }),
      }) as unknown as MuxTunnel,
  );
  new GeneveMux(edge, "mux", { uplink: wire.a, tunnels });
  return app.deploy();
}

const pcap = async (file: string) => Buffer.from(await run(`base64 -w0 /root/wire/${file}.pcap`), "base64");

beforeAll(async () => {
  const stack = await openLocalStack({
    project: "wire",
    stack: "test",
    folder: folder.path,
    program: () => Promise.resolve(program()),
    config: { "netloom:privateKey": { value: machines.lab.host("edge").privateKey, secret: true } },
  });
  await stack.up();
  const inside = (await run("ip netns exec inside cat /sys/class/net/eth0/address")).trim();
  await run(kernelSide(inside));
  // Both neighbours are asked for before anything is captured; then two pings for each wire and family, in order.
  const ping = (family: number, to: string, more: string) =>
    `ip netns exec inside ping -${family} ${more} -W 3 -p a5 -Q 0x28 ${to}`;
  await run(`
pids=
mkdir -p /root/wire
${([4, 6] as const).map((family) => `${ping(family, far(0)[family], "-c 1")} || true; ${ping(family, far(5)[family], "-c 1")} || true`).join("\n")}
ip netns exec kernel tcpdump -q -U -p -s 0 -i wire -w /root/wire/wire.pcap 2>/dev/null & pids="$pids $!"
ip netns exec inside tcpdump -q -U -p -s 0 -i eth0 -w /root/wire/inside.pcap icmp or icmp6 2>/dev/null & pids="$pids $!"
sleep 4
${wires
  .flatMap(({ name, inner }, nth) =>
    inner.map(
      (family) =>
        `${ping(family, far(nth)[family], "-c 2 -i 0.2 -s 100")} > /root/wire/${name}-${family}.ping 2>&1 || true`,
    ),
  )
  .join("\n")}
sleep 1
kill $pids
wait
`);
}, 500_000);

/** The inner IP packets of a file, as hexadecimal digits, that go to or come from an address. */
const hexOf = (address: string) =>
  address.includes(":")
    ? address
        .replace("::", ":".repeat(9 - address.split(":").filter(Boolean).length))
        .split(":")
        .slice(0, 8)
        .map((part) => part.padStart(4, "0"))
        .join("")
    : address
        .split(".")
        .map((part) => Number(part).toString(16).padStart(2, "0"))
        .join("");

let wire: readonly Buffer[];
let insideFrames: readonly Buffer[];
beforeAll(async () => {
  wire = framesOf(await pcap("wire"));
  insideFrames = framesOf(await pcap("inside"));
}, 60_000);

describe.each(wires.flatMap((one, nth) => one.inner.map((family) => ({ ...one, nth, family }))))(
  "$name with IPv$family inside",
  ({ name, outer, frames, family, nth, said }) => {
    const target = hexOf(far(nth)[family]);
    const addresses = (packet: Buffer) =>
      packet[0]! >> 4 === 4
        ? packet.subarray(12, 20).toString("hex")
        : packet.subarray(8, 40).toString("hex");
    const apart = (frame: Buffer): TunnelFrame => (outer === undefined ? dissectTags(frame) : dissect(frame));
    const ofWire = () =>
      wire.flatMap((frame) => {
        // By what is inside: the addresses of this wire's device are nobody else's.
        if (!frame.toString("hex").includes(target)) return [];
        const part = apart(frame);
        return addresses(packetIn(part.payload, frames)).includes(target) ? [{ frame, ...part }] : [];
      });
    const isOurs = ({ payload }: TunnelFrame) => addresses(packetIn(payload, frames)).endsWith(target);

    test("is answered: each side opens what the other has made", async () => {
      const pings = await run(`cat /root/wire/${name}-${family}.ping`);
      expect(pings).toContain("2 packets transmitted, 2 received");
    });

    test("has the same headers to the byte in both directions, but for what may differ", () => {
      const all = ofWire();
      const [made, kernels] = [all.filter(isOurs), all.filter((part) => !isOurs(part))];
      expect([made.length, kernels.length]).toEqual([2, 2]);
      for (const [index, part] of made.entries()) {
        const kernel = kernels[index]!;
        expect(part.headers).toBe(kernel.headers);
        expect([part.source, part.destination]).toEqual([kernel.destination, kernel.source]);
        // A checksum is there in both or in neither.
        for (const sum of ["UDP checksum", "GRE checksum"])
          expect(part.free[sum] === undefined || part.free[sum] === 0).toBe(
            kernel.free[sum] === undefined || kernel.free[sum] === 0,
          );
        if (part.free["source port"] !== undefined)
          expect(part.free["source port"]).toBeGreaterThanOrEqual(49152);
      }
    });

    test("carries every byte that went in, and delivers every byte that came", () => {
      const packets = (of: readonly Buffer[]) => of.map((frame) => packetIn(frame, true).toString("hex"));
      const mine = insideFrames.filter((frame) => frame.toString("hex").includes(target));
      const carried = ofWire().map(({ payload }) => packetIn(payload, frames).toString("hex"));
      expect(packets(mine)).toEqual(carried);
    });

    test("is what tcpdump takes it for, with checksums that are right", async () => {
      const lines = await run("tcpdump -r /root/wire/wire.pcap -n -e -vv 2>/dev/null");
      expect(lines).toMatch(said);
      expect(lines).not.toMatch(/bad (udp )?(cksum|checksum)|\(incorrect\)|bad cksum/);
    });
  },
);
