import { openLocalStack } from "../../lib/cli/local-stack";
import { hostState, stateDifferences } from "../../lib/lab/host-state";
import { temporaryFolder } from "../support/folder";
import { withLab } from "../support/lab";
import { stackProgram } from "../support/program";

const names = ["node1", "node2"] as const;
const machines = withLab(names, [{ a: ["node1", 1], b: ["node2", 1] }]);
const folder = temporaryFolder();
const run = (name: (typeof names)[number], script: string) =>
  machines.lab.ssh(name, ["sh", "-s"], { input: script, timeoutMs: 60_000 });

/** Mbit/s of payload that node2's namespace takes from node1's, or the other way round. */
async function iperf(...words: string[]) {
  await run("node2", "ip netns exec ns2 iperf3 --server --daemon --one-off && sleep 1");
  const said = await run(
    "node1",
    `ip netns exec ns1 iperf3 --client 10.200.2.2 --time 3 --json ${words.join(" ")} || true`,
  );
  const { end, error } = JSON.parse(said) as {
    error?: string;
    end: {
      sum_received?: { bits_per_second: number };
      sum?: { bits_per_second: number; lost_percent: number };
    };
  };
  if (error !== undefined) throw new Error(error);
  return { received: (end.sum_received ?? end.sum)!.bits_per_second / 1e6, lost: end.sum?.lost_percent ?? 0 };
}

describe("stacks/geneve-mux on two hosts", () => {
  it("joins two namespaces by XDP alone, changes nothing when run again and leaves nothing behind", async () => {
    const states = () => Promise.all(names.map((name) => hostState((argv) => machines.lab.ssh(name, argv))));
    const reach = (name: string) => {
      const { address, port, user, hostKey } = machines.lab.host(name);
      return { value: JSON.stringify({ address, port, user, hostKey, interface: "eth1" }) };
    };
    const before = await states();
    const stack = await openLocalStack({
      project: "geneve-mux",
      stack: "test",
      folder: folder.path,
      program: stackProgram("geneve-mux"),
      config: {
        "netloom:node1": reach("node1"),
        "netloom:node2": reach("node2"),
        "netloom:privateKey": { value: machines.lab.host("node1").privateKey, secret: true },
      },
    });
    await stack.up();

    // The first may ask for the neighbour; it is not lost for that.
    const pings = await run("node1", "ip netns exec ns1 ping -c 5 -i 0.3 -W 3 10.200.2.2");
    expect(pings).toContain("5 packets transmitted, 5 received");
    // No header's worth more than fits, none less: 1500 - 50 outside of the frame, whose IP packet has 20 + 8.
    const large = "ip netns exec ns1 ping -c 2 -W 3 -M do -s";
    expect(await run("node1", `${large} 1422 10.200.2.2`)).toContain(" 2 received");
    expect(await run("node1", `${large} 1423 10.200.2.2 2>&1 || true`)).toContain("message too long");

    for (const [what, ...words] of [
      ["TCP"],
      ["TCP back", "--reverse"],
      ["UDP", "--udp", "--bitrate", "2M"],
      ["UDP back", "--udp", "--bitrate", "2M", "--reverse"],
    ] as const) {
      const { received, lost } = await iperf(...words);
      process.stderr.write(`${what}: ${received.toFixed(1)} Mbit/s, ${lost.toFixed(1)} % lost\n`);
      expect(received).toBeGreaterThan(1);
      expect(lost).toBeLessThan(5);
    }
    for (const name of names) {
      // All of it went by XDP: what the host itself forwarded are the first packets, that asked for the neighbour.
      const stats = await run(
        name,
        "bpftool -j map dump pinned /sys/fs/bpf/netloom/mux/current/maps/mux_stats",
      );
      const counted = (
        JSON.parse(stats) as { formatted: { values: { value: { packets: number } }[] } }[]
      ).map(({ formatted }) => formatted.values.reduce((sum, { value }) => sum + value.packets, 0));
      const [pushed = 0, pushedByHost = 0, popped = 0] = counted;
      expect({ name, pushed: pushed > 100, popped: popped > 100 }).toEqual({
        name,
        pushed: true,
        popped: true,
      });
      expect(pushedByHost).toBeLessThan(20);
      // From the border to the drops on: nothing was dropped for what it is.
      expect(counted.slice(15)).toEqual(counted.slice(15).map(() => 0));
      expect(await run(name, "iptables-save 2>/dev/null | grep -c -- -A || true; nft list ruleset")).toMatch(
        /^0?\s*$/,
      );
    }

    await stack.up({ expectNoChanges: true, refresh: true });
    await stack.destroy();
    const after = await states();
    expect(names.flatMap((_, index) => stateDifferences(before[index]!, after[index]!))).toEqual([]);
    for (const name of names) expect(await run(name, "ls /sys/fs/bpf/netloom 2>/dev/null || true")).toBe("");
  });
});
