import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { openSession } from "../../../lib/host";
import type { HostSession } from "../../../lib/host/operation";
import { startPlugin } from "../../../lib/provider/server";
import { KernelResource, Provider, type ProviderArgs } from "../../../lib/sdk";
import { engineStack, type Run, type TestStack } from "../../support/engine";
import { noteKind } from "../../support/note-kind";

/**
 * What the engine and the plugin do together, whatever the kind: the real CLI, a real session with this machine,
 * and a kind of the test's own. The plugin runs in this process, so that its sessions can be watched.
 */

let folder: string;
let stack: TestStack;
let opened: HostSession[];
const ending: (() => unknown)[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "nlt-notes-"));
  opened = [];
  stack = await newStack("dev");
});

afterEach(async () => {
  for (const end of ending.splice(0)) await end();
  rmSync(folder, { recursive: true, force: true });
});

/** A stack with a plugin of its own, as the engine has it. */
async function newStack(name: string): Promise<TestStack> {
  const folders = { state: join(folder, "ledger"), run: join(folder, "run") };
  const plugin = await startPlugin({
    kinds: [noteKind(folder)],
    openSession: ({ address, credentials }) => {
      const session = openSession(address, credentials, { folders, retries: 0, dialMs: 2000 });
      opened.push(session);
      return session;
    },
  });
  ending.push(() => plugin.stop());
  const env = { PULUMI_DEBUG_PROVIDERS: `netloom:${plugin.port}` };
  const made = await engineStack({ name, program: () => Promise.resolve({}), plugin: "attached", env });
  ending.push(() => made.remove());
  return made;
}

interface NoteArgs {
  readonly [property: string]: unknown;
  readonly opts?: pulumi.CustomResourceOptions;
}

/** A program of notes by name. */
function notes(args: Record<string, NoteArgs>, provider: ProviderArgs = {}): pulumi.automation.PulumiFn {
  return () => {
    const parent = new Provider("netloom", provider);
    const made = Object.entries(args).map(([name, { opts, ...rest }]) => {
      const options = { provider: parent, ...opts };
      return new KernelResource(
        "netloom:test:Note",
        name,
        { host: { name: "here" }, name, ...rest },
        options,
      );
    });
    return Promise.resolve({ ids: pulumi.all(made.map((note) => note.id)) });
  };
}

const there = (name: string) =>
  JSON.parse(readFileSync(join(folder, `${name}.json`), "utf8")) as Record<string, unknown>;
const put = (name: string, spec: object) =>
  writeFileSync(join(folder, `${name}.json`), JSON.stringify({ name, colour: "red", ...spec }));
const files = () =>
  readdirSync(folder)
    .filter((file) => file.endsWith(".json"))
    .sort();
const changes = (run: Run) => run.changes.map(({ op, name, detail }) => [op, name, detail]);

test("what is made is there, a second run changes nothing, and nothing is left at the end", async () => {
  const up = await stack.up({ program: notes({ a: { text: "x" }, b: { lines: ["03", "1"] } }) });
  expect(up.summary).toEqual({ create: 4 });
  expect(up.outputs.ids?.value).toEqual(["here/notes/a", "here/notes/b"]);
  expect([there("a"), there("b")]).toEqual([
    { name: "a", text: "x", colour: "red" },
    { name: "b", lines: ["1", "3"], colour: "red" },
  ]);
  const again = await stack.up({ expectNoChanges: true });
  expect(again.summary).toEqual({ same: 4 });
  await stack.refresh({ expectNoChanges: true });
  expect((await stack.destroy()).summary).toEqual({ delete: 4 });
  expect(readdirSync(folder)).toEqual([]);
});

test("a preview contacts no host, with what is not known yet either", async () => {
  const program = notes({ a: { text: "x" } });
  await stack.up({ program });
  const before = opened.length;
  const far = { name: "here", address: "192.0.2.1", hostKey: "ssh-ed25519 AAAA" };
  expect(
    (await stack.preview({ program: notes({ a: { host: far, text: "x" } }), expectNoChanges: true })).ok,
  ).toBe(true);
  const unknown: pulumi.automation.PulumiFn = () => {
    const provider = new Provider("netloom");
    const args = (name: string, more: object) => ({ host: far, name, ...more });
    const note = (name: string, more: object) =>
      new KernelResource("netloom:test:Note", name, args(name, more), { provider });
    note("a", { text: "x" });
    const made = note("made", { text: "y" });
    note("user", { text: made.machineId, labels: { of: made.id } });
    return Promise.resolve({});
  };
  const run = await stack.preview({ program: unknown });
  expect(changes(run)).toEqual([
    ["create", "made", {}],
    ["create", "user", {}],
  ]);
  expect(opened.length).toBe(before);
});

test("another way to the host is no change, and is what the next run uses", async () => {
  await stack.up({ program: notes({ a: { text: "x" } }) });
  const moved = { name: "here", address: "192.0.2.77", user: "root" };
  const run = await stack.up({ program: notes({ a: { host: moved, text: "x" } }), expectNoChanges: true });
  expect(run.summary).toEqual({ same: 3 });
  expect(stack.stateText()).toContain("192.0.2.77");
});

test("drift is shown by exactly its property, and repaired by exactly that", async () => {
  await stack.up({
    program: notes({ a: { text: "x", peer: { name: "p", addresses: ["10.1", "10.2"] } }, b: { text: "y" } }),
  });
  put("a", { text: "x", peer: { name: "p", addresses: ["10.1"] }, lines: ["7"] });
  expect(changes(await stack.refresh())).toEqual([
    ["update", "a", { "peer.addresses[1]": expect.stringMatching(/add|delete/) }],
  ]);
  expect(changes(await stack.up())).toEqual([["update", "a", { "peer.addresses[1]": "add" }]]);
  expect(there("a")).toMatchObject({ peer: { addresses: ["10.1", "10.2"] }, lines: ["7"] });
});

test("what has gone is made again", async () => {
  await stack.up({ program: notes({ a: { text: "x" }, b: {} }) });
  rmSync(join(folder, "a.json"));
  expect(changes(await stack.refresh())).toEqual([["delete", "a", {}]]);
  expect(changes(await stack.up())).toEqual([["create", "a", {}]]);
  expect(files()).toEqual(["a.json", "b.json"]);
});

test("a change that replaces deletes first, for the name is taken", async () => {
  await stack.up({ program: notes({ a: { colour: "red" } }) });
  const run = await stack.up({ program: notes({ a: { colour: "blue" } }) });
  expect(run.changes.map(({ op }) => op)).toEqual(["delete-replaced", "replace", "create-replacement"]);
  expect(run.changes.at(-1)?.detail).toEqual({ colour: "update-replace" });
  expect(there("a")).toEqual({ name: "a", colour: "blue" });
});

test("a check failure names the property, and nothing is touched", async () => {
  const run = await stack.up({
    program: notes({ a: { lines: ["1", "x; rm -rf /"] }, b: {} }),
    mayFail: true,
  });
  expect(run.ok).toBe(false);
  expect(run.errors.join("\n")).toContain("lines[1]");
  expect(run.errors.join("\n")).toContain("must be a number");
});

test("a foreign object is refused by name, taken over on request, and given back at the end", async () => {
  put("a", { text: "theirs" });
  const refused = await stack.up({ program: notes({ a: { text: "ours" } }), mayFail: true });
  expect(refused.errors[0]).toContain(
    "a: note a already exists on here and this stack did not make it. Set adopt: true",
  );
  expect(there("a").text).toBe("theirs");
  await stack.up({ program: notes({ a: { text: "ours", adopt: true } }) });
  expect(there("a").text).toBe("ours");
  // `adopt` alone is no change of the host.
  await stack.up({ program: notes({ a: { text: "ours" } }), expectNoChanges: true });
  await stack.destroy();
  expect(there("a")).toEqual({ name: "a", colour: "red", text: "theirs" });
});

test("an adopted object is deleted where that was asked for, also when it was asked for later", async () => {
  put("a", { text: "theirs" });
  await stack.up({ program: notes({ a: { text: "ours", adopt: true } }) });
  await stack.up({
    program: notes({ a: { text: "ours", adopt: true, deleteAdopted: true } }),
    expectNoChanges: true,
  });
  await stack.destroy();
  expect(files()).toEqual([]);
});

test("what a step left half made is kept, and the next run finishes it", async () => {
  const failed = await stack.up({ program: notes({ a: { text: "half" }, b: {} }), mayFail: true });
  expect(failed.errors[0]).toContain("setting net/nlt_no_such_key failed: no such kernel setting");
  expect(stack.stateText()).toContain('"initErrors"');
  expect(files()).toContain("a.json");
  const run = await stack.up({ program: notes({ a: { text: "whole" }, b: {} }) });
  expect(
    changes(run)
      .filter(([, name]) => name === "a")
      .map(([op]) => op),
  ).toEqual(["update"]);
  expect(stack.stateText()).not.toContain('"initErrors"');
  expect(there("a").text).toBe("whole");
  await stack.up({ expectNoChanges: true });
});

test("a half made resource that is taken out of the program goes", async () => {
  await stack.up({ program: notes({ a: { text: "half" } }), mayFail: true });
  await stack.up({ program: notes({ b: {} }) });
  expect(files()).toEqual(["b.json"]);
});

test("what is there already is imported, and deleted only if it is ours", async () => {
  put("a", { text: "x", lines: ["4"] });
  const program = notes(
    { a: { text: "x", lines: ["4"], opts: { import: "here/notes/a" } } },
    { hosts: { here: "local" } },
  );
  expect(changes(await stack.up({ program }))).toEqual([["import", "a", {}]]);
  await stack.up({
    program: notes({ a: { text: "x", lines: ["4"] } }, { hosts: { here: "local" } }),
    expectNoChanges: true,
  });
  await stack.up({ program: notes({ a: { text: "y", lines: ["4"] } }, { hosts: { here: "local" } }) });
  expect(there("a").text).toBe("y");
  await stack.destroy();
  expect(there("a").text).toBe("x");
});

test("an imported object that nobody changed is left at the end, and that is said", async () => {
  put("a", { text: "x" });
  await stack.up({
    program: notes({ a: { text: "x", opts: { import: "here/notes/a" } } }, { hosts: { here: "local" } }),
  });
  const run = await stack.destroy();
  expect(run.warnings.join()).toContain("here/notes/a was left on here");
  expect(files()).toEqual(["a.json"]);
});

test("a secret is in no state, no log and no diff, and stays out of them through drift", async () => {
  const program = (key: number) =>
    notes({ a: { key: pulumi.secret(key), labels: pulumi.secret({ pass: "hunter2-" + key }) } });
  const logs: string[] = [];
  const run = async (kind: "up" | "refresh" | "preview", options: object = {}) => {
    const { log, changes: steps } = await stack[kind]({ ...options, mayFail: true });
    logs.push(log, JSON.stringify(steps), stack.stateText());
  };
  await run("up", { program: program(470_001) });
  expect(there("a")).toMatchObject({ key: 470_001, labels: { pass: "hunter2-470001" } });
  await run("preview", { program: program(470_002) });
  await run("up", { program: program(470_002) });
  put("a", { key: 470_003, labels: { pass: "hunter2-470003" } });
  await run("refresh");
  await run("up", { program: program(470_002) });
  await run("up", { program: notes({ a: { key: pulumi.secret(-470_004) } }) });
  await run("up", { program: notes({ a: { key: pulumi.secret(470_005), text: "half" } }) });
  expect(logs.length).toBe(21);
  expect(logs.join("\n")).not.toMatch(/47000\d|hunter2/);
});

test("a renamed resource is refused with the way to rename it, and goes on with an alias", async () => {
  await stack.up({ program: notes({ old: { name: "a" } }) });
  const refused = await stack.up({ program: notes({ renamed: { name: "a" } }), mayFail: true });
  expect(refused.errors[0]).toContain('give this one aliases: [{ name: "old" }]');
  const program = notes({ renamed: { name: "a", opts: { aliases: [{ name: "old" }] } } });
  expect((await stack.up({ program })).summary.delete).toBeUndefined();
  await stack.destroy();
  expect(files()).toEqual([]);
});

test("ignoreChanges and customTimeouts are honoured", async () => {
  const opts = { ignoreChanges: ["text"], customTimeouts: { create: "30s" } };
  await stack.up({ program: notes({ a: { text: "x", opts } }) });
  await stack.up({ program: notes({ a: { text: "y", opts } }), expectNoChanges: true });
  expect(there("a").text).toBe("x");
});

test("one at a time and thirty-two at a time give the same", async () => {
  const many = Object.fromEntries(
    Array.from({ length: 40 }, (_, n) => [`n${n}`, { text: `${n}`, lines: [`${n}`, "7"] }]),
  );
  const results: unknown[] = [];
  for (const parallel of [1, 32]) {
    const run = await stack.up({ program: notes(many), parallel });
    results.push([run.summary, files().map((file) => readFileSync(join(folder, file), "utf8"))]);
    await stack.destroy({ parallel });
    expect(readdirSync(folder)).toEqual([]);
  }
  expect(results[0]).toEqual(results[1]);
  expect(JSON.stringify(results[0])).toContain('"create":42');
});

test("two stacks on one host leave each other alone", async () => {
  const other = await newStack("other");
  const first = { a: { text: "x" }, b: { text: "x" } };
  await Promise.all([
    stack.up({ program: notes(first) }),
    other.up({ program: notes({ c: { text: "y" } }) }),
  ]);
  expect(files()).toEqual(["a.json", "b.json", "c.json"]);
  const refused = await other.up({ program: notes({ c: { text: "y" }, a: { text: "z" } }), mayFail: true });
  expect(refused.errors[0]).toContain("note a already exists on here and this stack did not make it");
  await other.destroy();
  expect(files()).toEqual(["a.json", "b.json"]);
  await stack.up({ program: notes(first), expectNoChanges: true });
});
