import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BpfMap, BpfObject, Host, TcProgram, XdpProgram } from "../../constructs";
import { packageRoot } from "../../lib/cli/local-stack";
import { mapPin, programPin } from "../../lib/kinds/bpf/names";
import { hostState, stateDifferences } from "../../lib/lab/host-state";
import { App } from "../../lib/synth";
import { tableObject, type Variant } from "../support/bpf-programs";
import { engineStack, type Run, type TestStack } from "../support/engine";
import { withLab } from "../support/lab";
import { descendantsWith } from "../support/processes";

/** A program of a user's own on another machine: built here, for that one has no compiler. */

const machines = withLab(["edge"]);
const ssh = (...argv: string[]) => machines.lab.ssh("edge", argv);
const entries = { 7: { rate: 1, mac: "02:00:00:00:00:07", vlan: 1 }, 8: { rate: 2 } };
let sources: string;
let stack: TestStack;

function write(variant: Variant): void {
  for (const [path, text] of Object.entries(tableObject("table", variant).sources))
    writeFileSync(join(sources, path.replace("table/", "")), text);
}

const program = (buildOn?: "host" | "runner") => () => {
  const { address, port, user, hostKey, privateKey } = machines.lab.host("edge");
  const app = new App({ privateKey });
  const edge = new Host(app, "edge", { address, port, user, hostKey });
  const table = new BpfObject(edge, "table", {
    folder: sources,
    source: "table.bpf.c",
    buildOn,
    statistics: { seen: { key: { hook: "u32" }, value: "u64", names: { hook: ["xdp", "tc"] } } },
  });
  new XdpProgram(edge, "xdp", { object: table, program: "count_xdp", link: "eth1" });
  new TcProgram(edge, "tc", { object: table, program: "count_tc", link: "eth1", direction: "egress" });
  new BpfMap(edge, "entries", { object: table, map: "table", entries });
  return Promise.resolve(app.deploy());
};

const attached = async () => {
  const [link] = JSON.parse(await ssh("ip", "-d", "-j", "link", "show", "eth1")) as {
    xdp?: { prog: { id: number; name: string } };
  }[];
  return link?.xdp?.prog;
};
const filters = () => ssh("tc", "filter", "show", "dev", "eth1", "egress");
const table = async () =>
  (
    JSON.parse(await ssh("bpftool", "-j", "map", "dump", "pinned", mapPin("table", "table"))) as {
      formatted: { key: number; value: { rate: number } };
    }[]
  )
    .map(({ formatted }) => [formatted.key, formatted.value.rate])
    .sort();
const names = (done: Run, op: string) =>
  done.changes
    .filter((one) => one.op === op)
    .map((one) => one.name)
    .sort();

/** Everything is at work, and Pulumi knows it. */
async function isWhole(): Promise<void> {
  expect((await attached())?.name).toBe("count_xdp");
  expect(await filters()).toContain("count_tc");
  expect(await table()).toEqual([
    [7, 1],
    [8, 2],
  ]);
  await stack.refresh({ expectNoChanges: true });
}

beforeAll(async () => {
  sources = mkdtempSync(join(tmpdir(), "nlt-src-"));
  write({});
  await ssh("sh", "-c", "for c in clang cc gcc; do mv /usr/bin/$c /usr/bin/$c.away; done");
  stack = await engineStack({ program: program() });
});

afterAll(async () => {
  await stack.destroy({ mayFail: true });
  stack.remove();
  rmSync(sources, { recursive: true, force: true });
});

let before: Awaited<ReturnType<typeof hostState>>;

test("a host without a compiler says which package it lacks, and is not touched", async () => {
  before = await hostState((argv) => ssh(...argv));
  const failed = await stack.up({ mayFail: true });
  expect(failed.errors.join("\n")).toMatch(/clang/);
  expect(await ssh("ls", "/sys/fs/bpf")).toBe("");
});

test("an object that was built here is loaded, filled and attached there", async () => {
  await stack.up({ program: program("runner") });
  await isWhole();
  expect(await ssh("sh", "-c", "command -v clang || command -v cc || echo none")).toBe("none\n");
});

test("a source that does not build here is told by file and line, and the version before keeps running", async () => {
  const { id } = (await attached())!;
  write({ code: "nonsense" });
  const failed = await stack.up({ mayFail: true });
  expect(failed.errors.join("\n")).toMatch(
    /table\.bpf\.c:\d+:\d+: error: use of undeclared identifier 'nonsense'/,
  );
  expect((await attached())?.id).toBe(id);
  write({});
});

test("a program detached, replaced, an entry changed and deleted are shown, and repaired", async () => {
  await ssh(
    "sh",
    "-ec",
    [
      "ip link set dev eth1 xdp off",
      `tc filter replace dev eth1 egress protocol all pref 1 handle 1 bpf da object-pinned ${programPin("table", "count_tc")} 2>/dev/null || true`,
      `tc filter del dev eth1 egress pref 1`,
      `bpftool map update pinned ${mapPin("table", "table")} key hex 07 00 00 00 value hex 09 00 00 00 02 00 00 00 00 07 01 00`,
      `bpftool map delete pinned ${mapPin("table", "table")} key hex 08 00 00 00`,
    ].join("\n"),
  );
  const drifted = await stack.refresh();
  expect(names(drifted, "delete")).toEqual(["edge/tc/attachment", "edge/xdp/attachment"]);
  expect(names(drifted, "update")).toEqual(["edge/entries"]);
  expect(drifted.changes.find(({ name }) => name === "edge/entries")?.detail).toMatchObject({
    'entries["7"].rate': "update",
  });
  await stack.up();
  await isWhole();
});

test("a plugin that is killed in the middle of a swap leaves a program at work, and the next run ends it", async () => {
  for (const [mark, at] of ["edge/table/program", "edge/xdp/attachment"].entries()) {
    write({ mark: mark + 1 });
    let begun = () => undefined as void;
    const isThere = new Promise<void>((resolve) => (begun = resolve));
    const running = stack.up({
      mayFail: true,
      onEvent: ({ resourcePreEvent: { metadata } = {} }) => {
        if (metadata?.op === "update" && metadata.urn.endsWith(`::${at}`)) begun();
      },
    });
    await Promise.race([isThere, running]);
    const plugins = descendantsWith("pulumi-resource-netloom");
    expect(plugins).not.toEqual([]);
    for (const pid of plugins) process.kill(pid, "SIGKILL");
    expect((await running).ok).toBe(false);
    expect((await attached())?.name).toBe("count_xdp");
    expect(await filters()).toContain("count_tc");
  }
  await stack.up();
  await isWhole();
});

test("after the host was started anew, what it lost is shown, and comes back with program and entries", async () => {
  await machines.lab.reboot("edge");
  expect(await attached()).toBeUndefined();
  const lost = await stack.refresh();
  expect(names(lost, "delete")).toEqual([
    "edge/entries",
    "edge/table/program",
    "edge/tc/attachment",
    "edge/xdp/attachment",
  ]);
  await stack.up();
  await isWhole();
});

test("what it counted is read over ssh by netloom stats, with the stack's own key", async () => {
  const input = programPin("table", "count_xdp");
  await ssh("sh", "-c", `head -c 64 /dev/zero | bpftool prog run pinned ${input} data_in - repeat 41`);
  const cli = [join(packageRoot(), "dist", "lib", "cli", "main.js"), "stats", "edge/table", "--json"];
  const { stdout, stderr } = spawnSync(process.execPath, [...cli, "--cwd", stack.folder, "--stack", "dev"], {
    env: { ...process.env, ...stack.stack.workspace.envVars },
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  const [seen] = (
    JSON.parse(stdout) as { tables: { rows: { of: object; counters: { packets: number } }[] }[] }
  ).tables;
  const xdp = seen?.rows.find(({ of }) => JSON.stringify(of) === '{"hook":"xdp"}');
  expect(xdp?.counters.packets).toBeGreaterThanOrEqual(41);
});

test("and nothing of it is left at the end", async () => {
  await stack.destroy();
  expect(await ssh("ls", "/sys/fs/bpf")).toBe("");
  // The machine was started anew meanwhile, which gives its links other permanent addresses.
  const differences = stateDifferences(before, await hostState((argv) => ssh(...argv)));
  expect(differences.filter((line) => !line.includes('"permaddr"'))).toEqual([]);
});
