import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BpfObject, Host } from "../../../constructs";
import { packageRoot } from "../../../lib/cli/local-stack";
import { folderOf, programPin } from "../../../lib/kinds/bpf/names";
import { App } from "../../../lib/synth";
import { tableObject } from "../../support/bpf-programs";
import { engineStack, type TestStack } from "../../support/engine";

/** `netloom stats` as a user runs it, on a stack that the real CLI made. */

const name = `nlt-${process.pid}-stats`;
let sources: string;
let folder: string;
let stack: TestStack;

const program = () => {
  const app = new App({ stateDirectory: folder });
  const here = new Host(app, "here");
  const statistics = {
    seen: { key: { hook: "u32" }, value: "u64", names: { hook: ["xdp", "tc"] } },
  } as const;
  new BpfObject(here, "table", { folder: sources, source: "table.bpf.c", name, statistics });
  new BpfObject(here, "silent", { source: "xdp-pass/xdp-pass.bpf.c", name: `${name}-silent` });
  return Promise.resolve(app.deploy());
};

beforeAll(async () => {
  sources = mkdtempSync(join(tmpdir(), "nlt-src-"));
  folder = mkdtempSync(join(tmpdir(), "nlt-net-"));
  for (const [path, text] of Object.entries(tableObject(name).sources))
    writeFileSync(join(sources, path.replace("table/", "")), text);
  stack = await engineStack({ program });
  await stack.up();
  const input = Buffer.alloc(64);
  const pin = programPin(name, "count_xdp");
  execFileSync("bpftool", ["prog", "run", "pinned", pin, "data_in", "-", "repeat", "1234"], { input });
});

afterAll(async () => {
  await stack.destroy({ mayFail: true });
  for (const one of [folderOf(name), folderOf(`${name}-silent`), folder, sources])
    rmSync(one, { recursive: true, force: true });
  stack.remove();
});

function stats(...args: string[]) {
  const cli = join(packageRoot(), "dist", "lib", "cli", "main.js");
  const env = { ...process.env, ...stack.stack.workspace.envVars };
  const words = [cli, "stats", "--cwd", stack.folder, "--stack", "dev", ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, words, { env, encoding: "utf8" });
  return { status, stdout, stderr };
}

test("what was counted is a table for a person, without what never happened", () => {
  expect(stats()).toEqual({
    status: 0,
    stdout: `here/${name}: seen\n  hook  packets\n  xdp     1,234\n`,
    stderr: "",
  });
});

test("and a document for a machine, of one program and with zeros where it is asked for", () => {
  const { status, stdout } = stats(`here/${name}`, "--all", "--json");
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toEqual({
    tables: [
      {
        host: "here",
        program: name,
        table: "seen",
        rows: [
          { of: { hook: "xdp" }, counters: { packets: 1234 } },
          { of: { hook: "tc" }, counters: { packets: 0 } },
        ],
      },
    ],
    unread: [],
  });
});

test("a name that there is not is told with those that there are", () => {
  expect(stats("here/none")).toMatchObject({
    status: 1,
    stderr: `netloom: nothing called here/none counts anything in this stack; there are here/${name}\n`,
  });
});

test("a program whose maps are gone is an error of its own, and no stack trace", () => {
  rmSync(`${folderOf(name)}/current/maps/seen`);
  const { status, stdout, stderr } = stats();
  expect([status, stdout]).toEqual([1, ""]);
  expect(stderr).toMatch(new RegExp(`^netloom: here/${name}: .*No such file or directory.*\\n$`));
});
