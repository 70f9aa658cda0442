import { execa } from "execa";
import type { Release } from "../../lib/lab";
import { bpfBuild, buildBpf } from "../support/bpf";
import { withLab } from "../support/lab";

// `NETLOOM_LAB_RELEASE=13` tries another Debian: its image takes minutes to build once.
const release = Number(process.env.NETLOOM_LAB_RELEASE ?? 12) as Release;
const machines = withLab(["edge"], [], { release });

/**
 * The bridge between a subscriber and a server, each in a namespace, with HTB and the classifier on both sides. Timers
 * of a virtual machine may be late: the bursts make up for 30 ms and more. A short queue, or a transfer's end would wait
 * for seconds behind the rest of it.
 */
const setUp = `
set -e
objects=/root/bpf; pins=/sys/fs/bpf/bridged
middle() { nsenter --net=/run/netns/middle "$@"; }
index() { middle ip -o link show dev "$1" | cut -d: -f1; }
pair() { bpftool map update pinned $pins/bridge_ports key hex $(printf '%02x 00 00 00' "$1") \\
  value hex $(printf '%02x 00 00 00' "$2") 01 00 00 00; }
ip netns add middle
mkdir $pins
bpftool prog load $objects/xdp-pass.bpf.o $pins/pass
bpftool prog loadall $objects/xdp-bridge.bpf.o $pins pinmaps $pins
bpftool prog loadall $objects/classify.bpf.o $pins type classifier pinmaps $pins
bpftool map update pinned $pins/shaper_hosts4 key hex 0a 09 00 02 value hex 01 10 01 00 01 10 01 00
end() { # namespace, link in the middle, address, direction, rate
  ip netns add "$1"
  ip -n middle link add name "$2" type veth peer name eth0 netns "$1"
  ip -n middle link set dev "$2" up
  ip -n "$1" address add "$3/24" dev eth0
  ip -n "$1" link set dev eth0 up
  nsenter --net=/run/netns/"$1" ip link set dev eth0 xdpdrv pinned $pins/pass
  middle tc qdisc add dev "$2" root handle 1: htb default 2
  middle tc class add dev "$2" parent 1: classid 1:1001 htb rate "$5" quantum 1514 burst 15k cburst 15k
  middle tc qdisc add dev "$2" parent 1:1001 pfifo limit 50
  middle tc class add dev "$2" parent 1: classid 1:2 htb rate 1mbit
  middle tc qdisc add dev "$2" clsact
  middle tc filter add dev "$2" ingress pref 1 bpf direct-action object-pinned $pins/bridge_tc
  middle tc filter add dev "$2" egress pref 1 bpf direct-action object-pinned $pins/shape_"$4"
  middle ip link set dev "$2" xdpdrv pinned $pins/bridge_xdp
}
end subscriber sub0 10.9.0.2 download 4mbit
end server net0 10.9.0.1 upload 2mbit
pair $(index sub0) $(index net0)
pair $(index net0) $(index sub0)
`;

const run = (script: string) => machines.lab.run("edge", ["sh", "-s"], { input: script, timeoutMs: 60_000 });

const ping = async (count: number) =>
  (await run(`ip netns exec subscriber ping -c ${count} -i 0.1 -W 1 10.9.0.1`)).stdout;

/** Mbit/s of TCP payload that reach the receiver. */
async function goodput(reverse: "" | "--reverse"): Promise<number> {
  const { stdout } = await run(`
ip netns exec server iperf3 --server --daemon --one-off
sleep 1
ip netns exec subscriber iperf3 --client 10.9.0.1 --time 5 ${reverse} --json`);
  const { end } = JSON.parse(stdout) as { end: { sum_received: { bits_per_second: number } } };
  return end.sum_received.bits_per_second / 1e6;
}

beforeAll(async () => {
  buildBpf();
  const objects = ["xdp-pass", "xdp-bridge", "classify"].map((name) => `${name}.bpf.o`);
  const { stdout } = await execa("sh", ["-c", `tar -cz ${objects.join(" ")} | base64`], { cwd: bpfBuild });
  const unpack = "mkdir -p /root/bpf && base64 -d | tar -xz -C /root/bpf";
  await machines.lab.ssh("edge", ["sh", "-c", unpack], { input: stdout });
  await machines.lab.ssh("edge", ["sh", "-s"], { input: setUp, timeoutMs: 60_000 });
});

describe(`xdp-bridge and the classifier on Debian ${release}`, () => {
  test("carry every ping once", async () => {
    await ping(1); // neighbours
    const said = await ping(25);
    expect(said).toContain("25 packets transmitted, 25 received, 0% packet loss");
    expect(said).not.toMatch(/DUP|duplicates/);
  });

  test("hold downloads and uploads to rates of their own", async () => {
    const [down, up] = [await goodput("--reverse"), await goodput("")];
    const payload = 1448 / 1514;
    expect(down / (4 * payload)).toBeLessThan(1.03);
    expect(down / (4 * payload)).toBeGreaterThan(0.9);
    expect(up / (2 * payload)).toBeLessThan(1.03);
    expect(up / (2 * payload)).toBeGreaterThan(0.9);
  });

  test("carry nothing once they are off one side", async () => {
    await run("nsenter --net=/run/netns/middle ip link set dev sub0 xdpdrv off");
    await run("nsenter --net=/run/netns/middle tc filter del dev sub0 ingress");
    expect(await ping(3)).toContain(" 0 received");
  });
});
