import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CustomResourceOptions } from "@pulumi/pulumi";
import type { PulumiFn } from "@pulumi/pulumi/automation";
import { kinds } from "../../../lib/kinds/registry";
import { Provider, net } from "../../../lib/sdk";
import { engineStack, pluginFolder, type Run, type TestStack } from "../../support/engine";
import { descendantsWith } from "../../support/processes";

/** A small network on a real kernel, by the real CLI and the plugin as a user runs it. */

const prefix = `nlt-${process.pid}-`;
const [left, right] = [`${prefix}left`, `${prefix}right`];
let folder: string;
let stack: TestStack;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "nlt-net-"));
  stack = await engineStack({ program: network() });
});

afterEach(() => {
  for (const netns of namespaces()) run("ip", "netns", "del", netns);
  stack.remove();
  rmSync(folder, { recursive: true, force: true });
});

interface Options {
  readonly mtu?: number;
  readonly links?: number;
  /** Each of the further links waits for the one before it, made or removed: a batch has no middle to be hit. */
  readonly chained?: boolean;
  readonly kind?: "veth" | "bridge";
  readonly hostArgs?: object;
  /** Ids of what is imported, by resource name. */
  readonly imports?: Readonly<Record<string, string>>;
}

/** Two namespaces, a cable between them and two routes over it; and more links where they are asked for. */
function network(options: Options = {}): PulumiFn {
  const { mtu = 1400, links = 0, chained = false, kind = "veth", hostArgs, imports = {} } = options;
  const at = { host: { name: "here", ...hostArgs } };
  return () => {
    const provider = new Provider("netloom", { stateDirectory: folder, hosts: { here: "local" } });
    const opts = (name: string, more: CustomResourceOptions = {}) => ({
      provider,
      import: imports[name],
      ...more,
    });
    const a = new net.Namespace("left", { ...at, name: left }, opts("left"));
    const b = new net.Namespace("right", { ...at, name: right }, opts("right"));
    const veth = (
      name: string,
      more: object,
      leftEnd: string[],
      rightEnd: string[],
      after: net.Link[] = [],
    ) => {
      const peer = { netns: right, name, addresses: rightEnd, ...more };
      const end = { ...at, netns: left, name, addresses: leftEnd, ...more };
      const args = kind === "veth" || name !== "wire" ? { kind: "veth" as const, peer } : { kind };
      const withEnds = { dependsOn: [a, b, ...after], deletedWith: chained ? undefined : a };
      return new net.Link(name, { ...end, ...args }, opts(name, withEnds));
    };
    const wire = veth("wire", { mtu }, ["10.9.0.1/24", "fd00:9::1/64"], ["10.9.0.2/24"]);
    let before = wire;
    for (let n = 0; n < links; n += 1) {
      const after = chained ? [before] : [];
      before = veth(`l${n}`, {}, [`10.10.${n}.1/24`], [`10.10.${n}.2/24`], after);
    }
    const routes = ["10.77.0.0/16", "10.78.0.0/16"].map((destination) => ({ destination, via: "10.9.0.2" }));
    // The kernel takes routes away with the link that they lead over: they are replaced with it.
    const withWire = { dependsOn: wire, deletedWith: a, replaceWith: [wire] };
    const far = new net.Routes("far", { ...at, netns: left, name: "far", routes }, opts("far", withWire));
    return Promise.resolve({ wire: wire.id, far: far.id });
  };
}

const run = (...argv: [string, ...string[]]) => {
  const { status, stdout, stderr } = spawnSync(argv[0], argv.slice(1), { encoding: "utf8" });
  return { status, out: stdout, error: stderr };
};
const ip = (...args: string[]) => {
  const { status, out, error } = run("ip", ...args);
  if (status !== 0) throw new Error(`ip ${args.join(" ")}: ${error}`);
  return out;
};
const json = (...args: string[]) => JSON.parse(ip("-j", ...args) || "[]") as Record<string, unknown>[];
const namespaces = () =>
  json("netns", "list")
    .map(({ name }) => String(name))
    .filter((name) => name.startsWith(prefix));
const addresses = (netns: string, dev: string) =>
  json("-n", netns, "addr", "show", "dev", dev)
    .flatMap(({ addr_info }) => addr_info as { local: string; scope: string }[])
    .filter(({ scope }) => scope === "global")
    .map(({ local }) => local)
    .sort();
const destinations = () => json("-n", left, "route", "show", "proto", "76").map(({ dst }) => dst);
const mtuOf = (netns: string) => json("-n", netns, "link", "show", "dev", "wire")[0]?.mtu;
/** By resource, what was different. */
const details = (done: Run) => Object.fromEntries(done.changes.map(({ name, detail }) => [name, detail]));
const names = (done: Run, op: string) =>
  done.changes.flatMap((step) => (step.op === op ? [step.name] : [])).sort();

const plugins = () => descendantsWith("pulumi-resource-netloom");

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
async function until(what: () => boolean, milliseconds = 20_000): Promise<void> {
  for (const end = Date.now() + milliseconds; !what(); await pause(20)) {
    if (Date.now() > end) throw new Error(`waited ${milliseconds} ms in vain`);
  }
}

test("is made, found unchanged by an update and a refresh, and gone without a trace at the end", async () => {
  const up = await stack.up();
  expect(up.summary).toEqual({ create: 6 });
  expect(up.outputs.wire?.value).toBe(`here/${left}/wire`);
  expect(up.outputs.far?.value).toBe(`here/${left}/routes/far`);
  expect([addresses(left, "wire"), addresses(right, "wire")]).toEqual([
    ["10.9.0.1", "fd00:9::1"],
    ["10.9.0.2"],
  ]);
  expect(destinations()).toEqual(["10.77.0.0/16", "10.78.0.0/16"]);
  expect(run("ip", "netns", "exec", left, "ping", "-c1", "-W2", "10.9.0.2").status).toBe(0);
  expect((await stack.up({ expectNoChanges: true })).summary).toEqual({ same: 6 });
  expect((await stack.refresh({ expectNoChanges: true })).changes).toEqual([]);
  // Neither a moved host nor an unreachable one is contacted for a preview of what has not changed.
  const hostArgs = { address: "192.0.2.1", port: 2222, hostKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5" };
  const moved = await stack.preview({ program: network({ hostArgs }), expectNoChanges: true });
  expect(moved.changes).toEqual([]);
  await stack.destroy({ program: network() });
  expect(namespaces()).toEqual([]);
  expect(readdirSync(folder)).toEqual([]);
  expect(plugins()).toEqual([]);
});

test("shows drift by exactly its properties, and repairs exactly them", async () => {
  await stack.up();
  ip("-n", left, "route", "del", "10.78.0.0/16");
  ip("-n", left, "link", "set", "wire", "mtu", "1300");
  ip("-n", right, "addr", "flush", "dev", "wire", "scope", "global");
  const drifted = await stack.refresh();
  expect(details(drifted)).toEqual({
    far: { "routes[1]": expect.any(String) },
    wire: { mtu: "update", "peer.addresses[0]": expect.any(String) },
  });
  expect(details(await stack.up())).toEqual({
    far: { "routes[1]": "add" },
    wire: { mtu: "update", "peer.addresses[0]": "add" },
  });
  expect(destinations()).toEqual(["10.77.0.0/16", "10.78.0.0/16"]);
  expect([mtuOf(left), mtuOf(right), addresses(right, "wire")]).toEqual([1400, 1400, ["10.9.0.2"]]);

  ip("-n", left, "link", "del", "wire");
  expect(names(await stack.refresh(), "delete")).toEqual(["far", "wire"]);
  expect(names(await stack.up(), "create")).toEqual(["far", "wire"]);
  await stack.refresh({ expectNoChanges: true });
});

test("changes in place what the kernel can, and replaces what it cannot with what leads over it", async () => {
  await stack.up();
  const index = () => json("-n", left, "link", "show", "dev", "wire")[0]?.ifindex;
  const before = index();
  expect(details(await stack.up({ program: network({ mtu: 1380 }) }))).toEqual({
    wire: { mtu: "update", "peer.mtu": "update" },
  });
  expect([index(), mtuOf(left), mtuOf(right)]).toEqual([before, 1380, 1380]);
  const replaced = await stack.up({ program: network({ mtu: 1380, kind: "bridge" }) });
  expect(names(replaced, "create-replacement")).toEqual(["far", "wire"]);
  expect(details(replaced).wire).toMatchObject({ kind: "update-replace" });
  expect(JSON.stringify(json("-n", left, "-d", "link", "show", "dev", "wire"))).toContain('"bridge"');
  expect(destinations()).toEqual(["10.77.0.0/16", "10.78.0.0/16"]);
});

test("imports what is there, under the id that it would have had", async () => {
  await stack.up();
  const other = await engineStack({ name: "other", program: network() });
  try {
    const imports = { left: `here/${left}`, wire: `here/${left}/wire`, far: `here/${left}/routes/far` };
    const done = await other.up({ program: network({ imports: { ...imports, right: `here/${right}` } }) });
    expect(names(done, "import")).toEqual(["far", "left", "right", "wire"]);
    await other.up({ program: network(), expectNoChanges: true });
    await stack.up({ expectNoChanges: true });
    const said = (await other.destroy()).warnings.join();
    expect(said).toContain(`here/${left} was left on here: its ledger does not say that this stack made it`);
    expect(destinations()).toEqual(["10.77.0.0/16", "10.78.0.0/16"]);
  } finally {
    other.remove();
  }
});

test("has a schema that the CLI takes", () => {
  const plugin = join(pluginFolder(), "pulumi-resource-netloom");
  // Away from the project, whose language the CLI would ask for and which the machine need not have.
  const got = spawnSync("pulumi", ["package", "get-schema", plugin], {
    cwd: folder,
    env: process.env,
    encoding: "utf8",
  });
  expect([got.status, got.stderr]).toEqual([0, ""]);
  const file = join(folder, "schema.json");
  writeFileSync(file, got.stdout);
  const checked = spawnSync("pulumi", ["schema", "check", file], {
    cwd: folder,
    env: process.env,
    encoding: "utf8",
  });
  expect([checked.stderr, checked.status]).toEqual(["", 0]);
  const { resources } = JSON.parse(got.stdout) as { resources: Record<string, object> };
  expect(Object.keys(resources).sort()).toEqual(kinds.map(({ token }) => token as string).sort());
  rmSync(file);
});

test("converges after the plugin was killed in the middle of making and of removing", async () => {
  const program = network({ links: 24, chained: true });
  const killed = async (running: Promise<Run>, moment: () => boolean) => {
    await until(moment);
    for (const pid of plugins()) process.kill(pid, "SIGKILL");
    expect((await running).ok).toBe(false);
  };
  const linkCount = () => run("ip", "-n", left, "-o", "link").out.split("\n").length - 1;
  await killed(stack.up({ program, mayFail: true }), () => linkCount() > 1);
  await stack.up();
  expect(linkCount()).toBe(26);
  await stack.up({ expectNoChanges: true });
  await killed(stack.destroy({ mayFail: true }), () => linkCount() < 26);
  await stack.destroy();
  expect([namespaces(), readdirSync(folder)]).toEqual([[], []]);
});

test("ends its plugin and its sessions when the CLI is killed", async () => {
  const running = stack.up({ program: network({ links: 12, chained: true }), mayFail: true });
  await until(() => namespaces().length > 0);
  const [pid] = plugins();
  const parent = /PPid:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  process.kill(Number(parent), "SIGKILL");
  await running;
  await until(() => plugins().length === 0);
  expect(stack.cli("cancel", "--yes", "--stack", "dev").status).toBe(0);
  await stack.up();
  expect(json("-n", left, "link").length).toBe(14);
  await stack.destroy();
  expect([namespaces(), readdirSync(folder)]).toEqual([[], []]);
});

test("comes out the same one at a time and thirty-two at a time", async () => {
  const results: unknown[] = [];
  for (const parallel of [1, 32]) {
    await stack.up({ program: network({ links: 16 }), parallel });
    await stack.refresh({ expectNoChanges: true, parallel });
    results.push(
      Array.from({ length: 16 }, (_, n) => [addresses(left, `l${n}`), addresses(right, `l${n}`)]),
      destinations(),
    );
    await stack.destroy({ parallel });
    expect(namespaces()).toEqual([]);
  }
  expect(results.slice(0, 2)).toEqual(results.slice(2));
});
