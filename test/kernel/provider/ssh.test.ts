import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PulumiFn } from "@pulumi/pulumi/automation";
import { Provider, net, type HostArgs, type ProviderArgs } from "../../../lib/sdk";
import { engineStack, type TestStack } from "../../support/engine";
import { startSshd, type Sshd } from "../../support/sshd";

/** How a stack reaches a host, from the program to a real ssh server: credentials, host keys, a host that is gone. */

const netns = `nlt-${process.pid}-ssh`;
let sshd: Sshd;
let folder: string;
/** Where the plugin keeps what it needs for a while. */
let temporary: string;
let stack: TestStack;

beforeEach(async () => {
  sshd = await startSshd();
  folder = mkdtempSync(join(tmpdir(), "nlt-ssh-"));
  temporary = mkdtempSync(join(tmpdir(), "nlt-tmp-"));
  const env = { TMPDIR: temporary, XDG_RUNTIME_DIR: temporary };
  stack = await engineStack({ program: () => Promise.resolve({}), env });
});

afterEach(async () => {
  spawnSync("ip", ["netns", "del", netns]);
  stack.remove();
  for (const made of [folder, temporary]) rmSync(made, { recursive: true, force: true });
  await sshd.stop();
});

const there = () => spawnSync("ip", ["netns", "exec", netns, "true"]).status === 0;
const address = () => ({ address: "127.0.0.1", port: sshd.port, user: "root", hostKey: sshd.hostKey });

interface Options {
  readonly host?: Omit<HostArgs, "name">;
  readonly provider?: ProviderArgs;
  readonly import?: string;
}

/** One namespace over ssh. */
function program({
  host = address(),
  provider = { privateKey: sshd.privateKey },
  ...more
}: Options = {}): PulumiFn {
  return () => {
    const opts = { provider: new Provider("netloom", { stateDirectory: folder, ...provider }), ...more };
    new net.Namespace("ns", { host: { name: "far", ...host }, name: netns }, opts);
    return Promise.resolve({});
  };
}

test("a host whose key is not known is refused with its fingerprint, and a key that it does not know is named so", async () => {
  const unpinned = { ...address(), hostKey: undefined };
  const unknown = await stack.up({ program: program({ host: unpinned }), mayFail: true });
  expect(unknown.errors[0]).toContain(sshd.fingerprint);
  expect(unknown.errors[0]).toContain("far");
  const stranger = program({ provider: { privateKey: sshd.strangerKey } });
  expect((await stack.up({ program: stranger, mayFail: true })).errors[0]).toMatch(/permission denied/i);
  expect(there()).toBe(false);
});

test("credentials are in no state, log, process list or environment, and go with the plugin", async () => {
  const secret = sshd.privateKey.split("\n")[2]!;
  const seen = new Set<string>();
  const look = setInterval(() => {
    for (const pid of readdirSync("/proc").filter(
      (name) => /^\d+$/.test(name) && name !== String(process.pid),
    )) {
      for (const file of ["cmdline", "environ"]) {
        try {
          if (readFileSync(`/proc/${pid}/${file}`, "utf8").includes(secret)) seen.add(file);
        } catch {
          // It has ended.
        }
      }
    }
  }, 20);
  try {
    const done = await stack.up({
      program: program({ provider: { hostPrivateKeys: { far: sshd.privateKey } } }),
    });
    expect(there()).toBe(true);
    expect(done.log + stack.stateText()).not.toContain(secret);
  } finally {
    clearInterval(look);
  }
  expect([...seen]).toEqual([]);
  expect(readdirSync(temporary)).toEqual([]);
  // One connection for everything.
  expect(sshd.log().match(/Accepted publickey/g)).toHaveLength(1);
  await stack.destroy();
  expect([there(), readdirSync(folder)]).toEqual([false, []]);
});

test("what is on a host is imported by what the provider knows of the host", async () => {
  spawnSync("ip", ["netns", "add", netns]);
  spawnSync("ip", ["-n", netns, "link", "set", "lo", "up"]);
  const provider = { privateKey: sshd.privateKey, hosts: { far: address() } };
  const done = await stack.up({ program: program({ provider, import: `far/${netns}` }) });
  expect(done.changes.map(({ op }) => op)).toEqual(["import"]);
  await stack.up({ program: program({ provider }), expectNoChanges: true });
});

test("a host that is gone keeps its resources until the provider is told to forget them", async () => {
  await stack.up({ program: program() });
  await sshd.stop();
  const refreshed = await stack.refresh({ mayFail: true });
  expect(refreshed.ok).toBe(false);
  expect(stack.stateText()).toContain(`far/${netns}`);
  // A preview of what has not changed needs no host.
  await stack.preview({ expectNoChanges: true });
  const kept = await stack.destroy({ mayFail: true });
  expect(kept.errors[0]).toMatch(/connection refused[^]*deleteUnreachable: true/);
  expect(stack.stateText()).toContain(`far/${netns}`);
  await stack.up({
    program: program({ provider: { privateKey: sshd.privateKey, deleteUnreachable: true } }),
  });
  const forgotten = await stack.destroy();
  expect(forgotten.warnings.join()).toContain(`far/${netns} is forgotten`);
  expect(stack.stateText()).not.toContain(`far/${netns}`);
});
