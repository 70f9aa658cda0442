import { readFileSync, readdirSync } from "node:fs";
import * as pulumi from "@pulumi/pulumi";
import type { ConfigMap, EngineEvent, Stack } from "@pulumi/pulumi/automation";
import { openLocalStack } from "../../lib/cli/local-stack";
import { hostState, stateDifferences, type HostState } from "../../lib/lab/host-state";
import { temporaryFolder } from "../support/folder";
import { withLab } from "../support/lab";

jest.setTimeout(240_000);

/** A key that no other number on the machine looks like; in every spelling it could leak in. */
const key = 3405691582;
const spellings = [String(key), "202.254.186.190", "cafebabe", "0xCAFEBABE"];

const machines = withLab(["edge"]);
const folder = temporaryFolder();
const run = (...argv: string[]) => machines.lab.ssh("edge", argv);
const within = (netns: string, ...argv: string[]) => run("ip", "netns", "exec", netns, ...argv);

let stack: Stack;
let before: HostState;
let printed = "";

/** Evaluates the stack's program as the CLI would, afresh each time, with this process's Pulumi. */
function greLab(): Promise<Record<string, unknown>> {
  let outputs: Record<string, unknown> = {};
  jest.isolateModules(() => {
    jest.doMock("@pulumi/pulumi", () => pulumi);
    outputs = require("../../stacks/gre-lab") as Record<string, unknown>;
  });
  return Promise.resolve(outputs);
}

const print = (text: string) => void (printed += text);
const up = (options: { expectNoChanges?: boolean; refresh?: boolean; onEvent?: (event: EngineEvent) => void } = {}) =>
  stack.up({ onOutput: print, onError: print, suppressProgress: true, ...options });
const configured = async (config: ConfigMap) => stack.setAllConfig(config);

async function hops(): Promise<(string | undefined)[]> {
  const text = await within("lan1", "traceroute", "-n", "-q", "1", "-w", "1", "-m", "6", "172.16.200.1");
  return [...text.matchAll(/^\s*\d+\s+(\d[\d.]+)/gm)].map((match) => match[1]);
}

/** Property paths that a refresh found changed, by resource name. */
async function drift(): Promise<Record<string, string[]>> {
  const found: Record<string, string[]> = {};
  await stack.refresh({
    onOutput: print,
    onEvent: ({ resOutputsEvent, resourcePreEvent }) => {
      const metadata = resOutputsEvent?.metadata ?? resourcePreEvent?.metadata;
      const name = metadata?.urn.split("::").at(-1);
      if (!metadata || !name || !metadata.detailedDiff || metadata.op === "same") return;
      const paths = Object.keys(metadata.detailedDiff);
      if (paths.length > 0) found[name] = paths;
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
    program: greLab,
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
    const state = JSON.stringify(await stack.exportStack());
    for (const spelling of spellings) {
      expect(state).not.toContain(spelling);
      expect(printed).not.toContain(spelling);
    }
  });

  it("has nothing to do the second time", async () => {
    await up({ expectNoChanges: true });
  });

  it("puts IP protocol 47 with the key on the WAN, and no LAN address outside", async () => {
    const capture = within("wan0", "timeout", "20", "tcpdump", "-n", "-l", "-c", "8", "-i", "eth1", "ip");
    await within("lan1", "ping", "-c", "6", "-i", "0.2", "172.16.200.1");
    const lines = (await capture).split("\n").filter((line) => line.includes(" IP "));
    expect(lines).toHaveLength(8);
    for (const line of lines) expect(line).toMatch(/ IP 10\.[12]00\.0\.1 > 10\.[12]00\.0\.1: GREv0, key=0xcafebabe,/);
  });

  it("lets no packet of a LAN out to the WAN as it is", async () => {
    const capture = within("wan0", "timeout", "4", "tcpdump", "-n", "-l", "-i", "eth1", "src net 172.16.0.0/16").catch(String);
    await within("lan1", "ping", "-c", "3", "-i", "0.2", "-W", "1", "10.100.0.254").catch(String);
    expect(await capture).not.toMatch(/ IP 172\.16\./);
  });

  it("shows exactly what was changed behind its back, and repairs exactly that", async () => {
    await within("site1", "ip", "route", "del", "172.16.200.0/24");
    await within("site2", "ip", "link", "set", "gre1", "mtu", "1300");
    await within("lan2", "ip", "addr", "flush", "dev", "eth0");
    const found = await drift();
    expect(Object.keys(found)).toHaveLength(3 + 1); // flushing the address takes lan2's default route along
    expect(Object.values(found).flat().sort()).toEqual(expect.arrayContaining(["mtu"]));
    const { summary } = await up();
    expect(summary.resourceChanges).toMatchObject({ update: 4 });
    expect(await hops()).toEqual(["172.16.100.254", "192.168.1.2", "172.16.200.1"]);
    await up({ expectNoChanges: true, refresh: true });
  });

  it("makes a link again that was removed behind its back", async () => {
    await within("site1", "ip", "link", "del", "gre1");
    await drift();
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
