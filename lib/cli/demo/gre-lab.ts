import type { Demo } from "./stage";
import { DemoError, heading, quoted, shown } from "./voice";

/** Two sites joined by a GRE tunnel over a router that knows neither LAN: traceroute before and after. */
export const greLab: Demo = {
  summary: "two LANs joined by a GRE tunnel",
  machines: ["edge"],
  links: [],
  program: "gre-lab",

  config: (machine) => {
    const { address, port, user, hostKey, privateKey } = machine("edge");
    return {
      "netloom:host": { value: address },
      "netloom:port": { value: String(port) },
      "netloom:user": { value: user },
      "netloom:hostKey": { value: hostKey },
      "netloom:privateKey": { value: privateKey, secret: true },
    };
  },

  async show(stage) {
    const trace = async (expected: readonly string[]) => {
      const text = await stage.run(
        "edge",
        "ip",
        "netns",
        "exec",
        "lan1",
        "traceroute",
        "-n",
        "-q",
        "1",
        "-w",
        "1",
        "-m",
        "6",
        "172.16.200.1",
      );
      quoted(text);
      const hops = [...text.matchAll(/^\s*\d+\s+(\d[\d.]+)/gm)].map((match) => match[1]);
      if (hops.join() !== expected.join())
        throw new DemoError(`expected the hops ${expected.join(", ")}, not ${hops.join(", ")}`);
    };

    heading("pulumi up without the tunnel: the WAN does not know the LANs");
    await stage.up({ "netloom:tunnel": { value: "false" } });
    heading("traceroute from lan1 (172.16.100.1) to lan2 (172.16.200.1)");
    await trace(["172.16.100.254"]);
    shown("it dies after the site's own router");

    heading("pulumi up with the tunnel");
    await stage.up({ "netloom:tunnel": { value: "true" } });
    heading("the same traceroute");
    await trace(["172.16.100.254", "192.168.1.2", "172.16.200.1"]);
    shown("it goes through the tunnel");

    heading("pulumi up once more: nothing to do");
    await stage.up({}, { expectNoChanges: true });
    shown("no change");
  },
};
