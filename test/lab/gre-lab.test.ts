import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { ConfigMap, EngineEvent, Stack } from "@pulumi/pulumi/automation";
import { openLocalStack } from "../../lib/cli/local-stack";
import { hostState, stateDifferences, type HostState } from "../../lib/lab/host-state";
import { temporaryFolder } from "../support/folder";
import { withLab } from "../support/lab";
import { stackProgram } from "../support/program";

/** A key that no other number on the machine looks like; in every spelling it could leak in. */
const key = 3405691582;
const spellings = [String(key), "202.254.186.190", "cafebabe", "0xCAFEBABE"];

const machines = withLab(["edge"]);
const folder = temporaryFolder();
const run = (...argv: string[]) => machines.lab.ssh("edge", argv);
const inside = (netns: string, ...argv: string[]) => ["ip", "netns", "exec", netns, ...argv];
const within = (netns: string, ...argv: string[]) => run(...inside(netns, ...argv));

/** The next packets on the WAN router's link to site1 that a filter lets through, one a line. */
async function captured(count: number, filter: string): Promise<string[]> {
  const text = await within("wan0", "tcpdump", "-n", "-l", "-c", String(count), "-i", "eth1", filter);
  return text.split("\n").filter((line) => line.includes(" IP "));
}

/** Pings from a namespace until it is told to end, which prints what came back. */
function pinging(netns: string, address: string) {
  const ended = machines.lab.run("edge", inside(netns, "ping", "-q", "-i", "0.2", "-w", "60", address));
  return {
    end: async () => {
      await machines.lab.run("edge", [
        "pkill",
        "-INT",
        "-x",
        "-f",
        `ping .* ${address.replaceAll(".", "[.]")}`,
      ]);
      return (await ended).stdout;
    },
  };
}

let stack: Stack;
let before: HostState;
let printed = "";

const print = (text: string) => void (printed += text);
const up = (
  options: { expectNoChanges?: boolean; refresh?: boolean; onEvent?: (event: EngineEvent) => void } = {},
) => stack.up({ onOutput: print, onError: print, suppressProgress: true, ...options });
const configured = async (config: ConfigMap) => stack.setAllConfig(config);

async function hops(): Promise<(string | undefined)[]> {
  const text = await within("lan1", "traceroute", "-n", "-q", "1", "-w", "1", "-m", "6", "172.16.200.1");
  return [...text.matchAll(/^\s*\d+\s+(\d[\d.]+)/gm)].map((match) => match[1]);
}

/** What a refresh found, by resource name: the paths of changed properties, or that the object is gone. */
async function drift(): Promise<Record<string, string[]>> {
  const found: Record<string, string[]> = {};
  await stack.refresh({
    onOutput: print,
    onEvent: ({ resOutputsEvent }) => {
      const { urn, op, detailedDiff } = resOutputsEvent?.metadata ?? {};
      const name = urn?.split("::").at(-1);
      if (name === undefined || op === undefined || op === "refresh" || op === "same") return;
      found[name] = op === "delete" ? ["gone"] : Object.keys(detailedDiff ?? {});
    },
  });
  return found;
}

beforeAll(async () => {
  const { address, port, user, hostKey, privateKey } = machines.lab.host("edge");
  stack = await openLocalStack({
    project: "gre-lab",
    stack: "test",
    folder: folder.path,
    program: stackProgram("gre-lab"),
    config: {
      "netloom:host": { value: address },
      "netloom:port": { value: String(port) },
      "netloom:user": { value: user },
      "netloom:hostKey": { value: hostKey },
      "netloom:privateKey": { value: privateKey, secret: true },
      "netloom:greKey": { value: String(key), secret: true },
      "netloom:tunnel": { value: "false" },
    },
  });
  before = await hostState((argv) => machines.lab.ssh("edge", argv));
});

describe("the reference GRE lab on a remote host", () => {
  it("dies behind the site's router while there is no tunnel", async () => {
    await up();
    expect(await hops()).toEqual(["172.16.100.254"]);
  });

  it("goes through the tunnel, and its key is in no process list, log or state", async () => {
    await configured({ "netloom:tunnel": { value: "true" } });
    const there = watchProcessesThere();
    const here = watchProcessesHere();
    try {
      await up();
    } finally {
      expect(here.stop()).toEqual([]);
      expect(await there.stop()).toBe("");
    }
    expect(await hops()).toEqual(["172.16.100.254", "192.168.1.2", "172.16.200.1"]);
    const files = readdirSync(folder.path, { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.isFile(),
    );
    const kept = files.map((entry) => readFileSync(join(entry.parentPath, entry.name), "utf8"));
    expect(kept.some((text) => text.includes("edge/site1/gre1"))).toBe(true); // the state is among them
    for (const spelling of spellings) {
      expect(kept.filter((text) => text.includes(spelling)).length).toBe(0);
      expect(printed.includes(spelling)).toBe(false);
    }
  });

  it("has nothing to do the second time", async () => {
    await up({ expectNoChanges: true });
  });

  it("puts IP protocol 47 with the key on the WAN, and no LAN address outside", async () => {
    const pings = pinging("lan1", "172.16.200.1");
    const lines = await captured(8, "proto 47");
    await pings.end();
    expect(lines).toHaveLength(8);
    for (const line of lines)
      expect(line).toMatch(/ IP 10\.[12]00\.0\.1 > 10\.[12]00\.0\.1: GREv0, key=0xcafebabe,/);
  });

  it("lets no packet of a LAN out to the WAN as it is", async () => {
    // The site's own pings show that the capture sees what leaves; the LAN's must not be among them.
    const own = pinging("site1", "10.200.0.1");
    const leaking = pinging("lan1", "10.200.0.1");
    const lines = await captured(20, "icmp");
    await own.end();
    expect(lines).toHaveLength(20);
    for (const line of lines) expect(line).not.toContain("172.16.");
    expect(await leaking.end()).toContain(" 0 received");
  });

  it("shows exactly what was changed behind its back, and repairs exactly that", async () => {
    await within("site1", "ip", "route", "del", "172.16.200.0/24");
    await within("site2", "ip", "link", "set", "gre1", "mtu", "1300");
    await within("lan2", "ip", "addr", "flush", "dev", "eth0");
    expect(await drift()).toEqual({
      "edge/vpn/site1/to-site2": ["gone"], // the only route of its set
      "edge/vpn/site2/site1": ["mtu"],
      "edge/site2-lan2": ["peer.addresses[0]"],
      "edge/lan2/gateway": ["gone"], // the route went with the address
    });
    const { summary } = await up();
    expect(summary.resourceChanges).toMatchObject({ create: 2, update: 2, same: 21 });
    expect(await hops()).toEqual(["172.16.100.254", "192.168.1.2", "172.16.200.1"]);
    await up({ expectNoChanges: true, refresh: true });
  });

  it("makes a link again that was removed behind its back", async () => {
    await within("site1", "ip", "link", "del", "gre1");
    expect(await drift()).toEqual({ "edge/vpn/site1/site2": ["gone"], "edge/vpn/site1/to-site2": ["gone"] });
    await up();
    expect(await hops()).toEqual(["172.16.100.254", "192.168.1.2", "172.16.200.1"]);
    await up({ expectNoChanges: true, refresh: true });
  });

  it("leaves the host as it was when it is destroyed", async () => {
    await stack.destroy({ onOutput: print, suppressProgress: true });
    expect(stateDifferences(before, await hostState((argv) => machines.lab.ssh("edge", argv)))).toEqual([]);
  });
});

/** Collects command lines on this machine that hold the key, until it is stopped. */
function watchProcessesHere() {
  const found: string[] = [];
  const timer = setInterval(() => {
    for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, "latin1");
        if (spellings.some((spelling) => line.includes(spelling))) found.push(line);
      } catch {
        // It has ended since.
      }
    }
  }, 10);
  return { stop: () => (clearInterval(timer), found) };
}

/** The same on the remote host. What to look for reaches it on standard input, not as an argument. */
function watchProcessesThere() {
  const script = [
    "mkdir /tmp/watch && cd /tmp/watch && cat >words <<'END'",
    ...spellings,
    "END",
    "while [ ! -e stop ]; do cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' | grep -F -f words >>found; done",
    "cat found; rm -r /tmp/watch",
  ].join("\n");
  const ended = machines.lab.ssh("edge", ["sh"], { input: script });
  return {
    stop: async () => {
      await run("touch", "/tmp/watch/stop");
      return ended;
    },
  };
}
