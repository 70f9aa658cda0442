import { openLocalStack } from "../../lib/cli/local-stack";
import { hostState, stateDifferences } from "../../lib/lab/host-state";
import { temporaryFolder } from "../support/folder";
import { withLab } from "../support/lab";
import { stackProgram } from "../support/program";

const machines = withLab(["west", "east"], [{ a: ["west", 1], b: ["east", 1] }]);
const folder = temporaryFolder();

describe("two sites on two hosts", () => {
  it("are joined by a tunnel over the WAN, and each host is as it was when they are destroyed", async () => {
    const names = ["west", "east"] as const;
    const states = () => Promise.all(names.map((name) => hostState((argv) => machines.lab.ssh(name, argv))));
    const site = (name: string) => {
      const { address, port, user, hostKey } = machines.lab.host(name);
      return { value: JSON.stringify({ address, port, user, hostKey, wanInterface: "eth1" }) };
    };
    const before = await states();
    const stack = await openLocalStack({
      project: "gre-two-hosts",
      stack: "test",
      folder: folder.path,
      program: stackProgram("gre-two-hosts"),
      config: {
        "netloom:west": site("west"),
        "netloom:east": site("east"),
        "netloom:privateKey": { value: machines.lab.host("west").privateKey, secret: true },
      },
    });
    await stack.up();
    const trace = [
      "ip",
      "netns",
      "exec",
      "lan1",
      "traceroute",
      "-n",
      "-q",
      "1",
      "-w",
      "2",
      "-m",
      "6",
      "172.16.200.1",
    ];
    const hops = [...(await machines.lab.ssh("west", trace)).matchAll(/^\s*\d+\s+(\d[\d.]+)/gm)].map(
      (hop) => hop[1],
    );
    // The site whose name sorts first has the first address of the tunnel: east.
    expect(hops).toEqual(["172.16.100.254", "192.168.1.1", "172.16.200.1"]);
    await stack.up({ expectNoChanges: true, refresh: true });
    await stack.destroy();
    const after = await states();
    expect(names.flatMap((_, index) => stateDifferences(before[index]!, after[index]!))).toEqual([]);
  });
});
