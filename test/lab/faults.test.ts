import type { EngineEvent, PulumiFn, Stack, UpResult } from "@pulumi/pulumi/automation";
import { App, GreSiteToSite, Host, Namespace, StaticRoutes, VethPair } from "../../lib";
import { openLocalStack } from "../../lib/cli/local-stack";
import { temporaryFolder } from "../support/folder";
import { withLab } from "../support/lab";
import { descendantsWith } from "../support/processes";

const machines = withLab(["edge"]);
const folder = temporaryFolder();
const sites = ["a", "b", "c"];
const within = (netns: string, ...argv: string[]) =>
  machines.lab.ssh("edge", ["ip", "netns", "exec", netns, ...argv]);

/** Three sites around one WAN router, any two of them joined by a tunnel; `key` is that of the one from a to b. */
function mesh(key: number): PulumiFn {
  return () => {
    const { address, port, user, hostKey, privateKey } = machines.lab.host("edge");
    const app = new App({ privateKey });
    const edge = new Host(app, "edge", { address, port, user, hostKey });
    const wan = new Namespace(edge, "wan", { forwarding: true });
    const routers = sites.map((name, index) => {
      const namespace = new Namespace(edge, name);
      new VethPair(edge, `wan-${name}`, {
        a: { namespace: wan, name: `to-${name}`, addresses: [`10.${index}.0.254/24`] },
        b: { namespace, name: "eth0", addresses: [`10.${index}.0.1/24`] },
      });
      new StaticRoutes(namespace, "wan", { routes: [{ destination: "default", via: `10.${index}.0.254` }] });
      return {
        name,
        namespace,
        wanInterface: "eth0",
        wanAddress: `10.${index}.0.1`,
        lans: [`172.16.${index}.0/24`],
      };
    });
    const pairs = [
      { between: ["a", "b"], tunnelSubnet: "192.168.1.0/30", key },
      { between: ["a", "c"], tunnelSubnet: "192.168.1.4/30" },
      { between: ["b", "c"], tunnelSubnet: "192.168.1.8/30" },
    ] as const;
    new GreSiteToSite(edge, "vpn", { sites: routers, key: 1, pairs });
    return Promise.resolve({ outputs: app.deploy() });
  };
}

async function open(key = 1): Promise<Stack> {
  return openLocalStack({ project: "mesh", stack: "test", folder: folder.path, program: mesh(key) });
}

/** Runs `up` and does something to it once, after some of its resources are there. Whether it fails is not said. */
async function upDisturbed(disturb: () => unknown, afterResources = 3): Promise<"failed" | UpResult> {
  let seen = 0;
  let disturbance: Promise<unknown> | undefined;
  const onEvent = ({ resOutputsEvent }: EngineEvent) => {
    if (resOutputsEvent?.metadata.type.startsWith("netloom:net:") !== true || resOutputsEvent.planning)
      return;
    if (++seen === afterResources) disturbance = Promise.resolve(disturb());
  };
  const result = await (await open()).up({ onEvent }).catch(() => "failed" as const);
  expect(disturbance).toBeDefined();
  await disturbance;
  return result;
}

/** The next run gets there, nothing is then left to do, and every tunnel carries packets. */
async function expectWhole(options: { refresh?: boolean } = {}): Promise<void> {
  const stack = await open();
  await stack.up(options);
  await stack.up({ expectNoChanges: true, refresh: true });
  await within("a", "ping", "-c", "1", "-W", "2", "192.168.1.2");
  await within("a", "ping", "-c", "1", "-W", "2", "192.168.1.6");
  await within("b", "ping", "-c", "1", "-W", "2", "192.168.1.10");
}

function killed(text: string): void {
  const found = descendantsWith(text);
  expect(found).not.toEqual([]);
  for (const pid of found) process.kill(pid, "SIGKILL");
}

afterEach(async () => {
  await (await open()).destroy();
});

describe("an apply that is interrupted on the way to a real host", () => {
  it("converges with the next up after its ssh was killed", async () => {
    await upDisturbed(() => killed("HostKeyAlias=netloom-edge"));
    await expectWhole();
  });

  it("converges with the next up after the plugin was killed", async () => {
    expect(await upDisturbed(() => killed("pulumi-resource-netloom"))).toBe("failed");
    await expectWhole();
  });

  it("converges with the next up after the host lost its power", async () => {
    expect(await upDisturbed(() => machines.lab.reset("edge"))).toBe("failed");
    await expectWhole();
  });
});

describe("a change of one tunnel among others", () => {
  it("loses no packet on the others", async () => {
    await (await open(1)).up();
    const pings = 4000; // one every 10 ms
    const ping = within("a", "ping", "-q", "-i", "0.01", "-c", String(pings), "192.168.1.6");
    const began = Date.now();
    const { summary } = await (await open(2)).up();
    expect(Date.now() - began).toBeLessThan(pings * 10);
    expect(summary.resourceChanges).toMatchObject({ update: 2 });
    expect(await ping).toContain(`${pings} packets transmitted, ${pings} received`);
    await within("a", "ping", "-c", "1", "-W", "2", "192.168.1.2");
  });
});
