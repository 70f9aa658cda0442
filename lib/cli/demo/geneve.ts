import type { Demo, Stage } from "./stage";
import { DemoError, heading, quoted, shown } from "./voice";

const inside = (number: 1 | 2, ...argv: string[]) => ["ip", "netns", "exec", `ns${number}`, ...argv];
/** The other node's outer address. */
const outer = "10.20.20.1";

/** Two nodes whose namespaces reach each other through a Geneve tunnel that XDP pushes and pops. */
export const geneve: Demo = {
  summary: "two nodes' namespaces joined by Geneve in XDP",
  machines: ["node1", "node2"],
  links: [{ a: ["node1", 1], b: ["node2", 1] }],
  program: "geneve-mux",

  config: (machine) => {
    const reach = (name: string) => {
      const { address, port, user, hostKey } = machine(name);
      return { value: JSON.stringify({ address, port, user, hostKey, interface: "eth1" }) };
    };
    return {
      "netloom:node1": reach("node1"),
      "netloom:node2": reach("node2"),
      "netloom:privateKey": { value: machine("node1").privateKey, secret: true },
    };
  },

  async show(stage) {
    heading("pulumi up: a namespace on each node, and the program on their links");
    await stage.up();

    heading("ns1 (10.200.1.2) pings ns2 (10.200.2.2)");
    const pings = await stage.run(
      "node1",
      ...inside(1, "ping", "-c", "4", "-i", "0.3", "-W", "3", "10.200.2.2"),
    );
    quoted(pings);
    if (!pings.includes("4 packets transmitted, 4 received"))
      throw new DemoError("not every ping was answered");
    shown("through the tunnel");

    heading("What node2's program has counted");
    quoted(await counted(stage));
    shown("pushed and popped by XDP: neither node has a Geneve device");

    heading("TCP from ns1 to ns2, with the checksums that the veth's sender leaves to its NIC");
    await stage.run("node2", ...inside(2, "iperf3", "--server", "--daemon", "--one-off"));
    const said = await stage.run(
      "node1",
      ...inside(1, "iperf3", "--client", "10.200.2.2", "--time", "3", "--json"),
    );
    const { end } = JSON.parse(said) as { end: { sum_received: { bits_per_second: number } } };
    shown(`${(end.sum_received.bits_per_second / 1e6).toFixed(1)} Mbit/s on these emulated machines`);

    heading("pulumi up once more: nothing to do");
    await stage.up({}, { expectNoChanges: true });
    shown("no change");
  },
};

/** Packets that node2's program has redirected: the first and the third of its reasons. */
async function counted(stage: Stage): Promise<string> {
  const map = "/sys/fs/bpf/netloom/mux/current/maps/mux_stats";
  const dump = JSON.parse(await stage.run("node2", "bpftool", "-j", "map", "dump", "pinned", map)) as {
    formatted: { key: number; values: { value: { packets: number } }[] };
  }[];
  const packets = (reason: number) =>
    (dump.find(({ formatted }) => formatted.key === reason)?.formatted.values ?? []).reduce(
      (sum, { value }) => sum + value.packets,
      0,
    );
  const [pushed, popped] = [packets(0), packets(2)];
  if (popped === 0 || pushed === 0) throw new DemoError("node2's program has pushed or popped nothing");
  return `${popped} packets popped, ${pushed} pushed, to and from ${outer}`;
}
