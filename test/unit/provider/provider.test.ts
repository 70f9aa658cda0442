import { HostError } from "../../../lib/host/operation";
import { PartialResource, Provider, type Kept } from "../../../lib/provider/provider";
import { UNKNOWN, type Properties } from "../../../lib/provider/properties";
import type { SessionOptions } from "../../../lib/provider/sessions";
import { MemoryHost } from "../../support/memory-host";
import { noteKind } from "../../support/note-kind";

const urnOf = (name: string) => `urn:pulumi:dev::lab::netloom:construct:Site$netloom:test:Note::${name}`;
const urn = urnOf("site/a");
const nothing: Properties = { values: {}, secrets: [] };
const file = (name = "a") => `/notes/${name}.json`;

let host: MemoryHost;
let provider: Provider;
let opened: SessionOptions[];
let told: string[];

beforeEach(() => {
  host = new MemoryHost();
  opened = [];
  told = [];
  provider = newProvider();
});

/** As of another run: it remembers nothing. */
function newProvider(): Provider {
  const open = (options: SessionOptions) => {
    opened.push(options);
    return host;
  };
  const tell = (severity: string, message: string) => void told.push(`${severity}: ${message}`);
  const kind = noteKind("/notes");
  return new Provider(open, tell, (token) => (token === kind.token ? kind : undefined));
}

const inputs = (values: Record<string, unknown>, secrets: Properties["secrets"] = []): Properties => {
  const { inputs: checked, failures } = provider.check(urn, {
    values: { host: { name: "edge" }, name: "a", ...values },
    secrets,
  });
  expect(failures).toEqual([]);
  return checked;
};
const create = (
  values: Record<string, unknown>,
  options: { secrets?: Properties["secrets"]; urn?: string; preview?: boolean; timeoutSeconds?: number } = {},
) =>
  provider.create({
    urn: options.urn ?? urn,
    inputs: inputs(values, options.secrets),
    preview: options.preview ?? false,
    timeoutSeconds: options.timeoutSeconds ?? 0,
  });
const update = (kept: Kept, values: Record<string, unknown>, secrets: Properties["secrets"] = []) =>
  provider.update({ urn, inputs: inputs(values, secrets), preview: false, timeoutSeconds: 0 }, kept);
const there = (name?: string) => JSON.parse(host.files.get(file(name))?.content ?? "null") as unknown;
const put = (spec: object, name?: string) =>
  host.files.set(file(name), { content: JSON.stringify(spec), mode: "0600", owner: "root:root" });
const failing = async (work: Promise<unknown>): Promise<Error> =>
  work.then(
    () => Promise.reject(new Error("it succeeded")),
    (error: Error) => error,
  );

describe("a resource that is made", () => {
  test("is on the host, in the ledger and in the state, under an id that says where it is", async () => {
    const kept = await create({ text: "x" });
    expect(kept.id).toBe("edge/notes/a");
    expect(kept.state.values).toEqual({
      host: { name: "edge" },
      name: "a",
      text: "x",
      colour: "red",
      machineId: "machine-1",
      schemaVersion: 1,
    });
    expect(there()).toEqual({ name: "a", text: "x", colour: "red" });
    expect([...host.ledger.values()]).toEqual([
      {
        key: "netloom:test:Note edge/notes/a",
        urn,
        how: "created",
        boot: "boot-1",
        specs: [{ name: "a", text: "x", colour: "red" }],
      },
    ]);
  });

  test("touches no host in a preview, and is what is wanted", async () => {
    const kept = await create({ text: UNKNOWN }, { preview: true });
    expect(kept.id).toBe("edge/notes/a");
    expect(kept.state.values).toMatchObject({ text: UNKNOWN, machineId: UNKNOWN });
    expect((await create({ name: UNKNOWN }, { preview: true })).id).toBe("");
    expect(opened).toEqual([]);
  });

  test("is refused by name where it is there already and not ours", async () => {
    put({ name: "a", colour: "red" });
    const error = await failing(create({ text: "x" }));
    expect(error.message).toBe(
      "site/a: note a already exists on edge and this stack did not make it. Set adopt: true to take it over, or choose another name.",
    );
    expect(error).not.toBeInstanceOf(PartialResource);
    expect(there()).toEqual({ name: "a", colour: "red" });
  });

  test("is ours where an interrupted run began it", async () => {
    host.failing = { message: "the connection was lost", after: true };
    await failing(create({ text: "x" }));
    expect(host.ledger.size).toBe(1);
    host.failing = undefined;
    await create({ text: "y" });
    expect(there()).toMatchObject({ text: "y" });
    expect([...host.ledger.values()][0]?.specs).toHaveLength(1);
  });

  test("is refused where another resource of the stack has it, with the way to rename", async () => {
    await create({ text: "x" }, { urn: urnOf("old") });
    const { message } = await failing(create({ text: "x" }));
    expect(message).toContain("belongs to the resource old of this stack");
    expect(message).toContain('aliases: [{ name: "old" }]');
    host.files.clear();
    await create({ text: "x" });
    expect([...host.ledger.values()][0]?.urn).toBe(urn);
  });

  test("keeps a session a host and its own key", async () => {
    provider.configure({
      values: {
        privateKey: pem("main"),
        hostPrivateKeys: JSON.stringify({ core: pem("core") }),
        stateDirectory: "/tmp/x",
      },
      secrets: [],
    });
    await create({});
    await create({ name: "b" }, { urn: urnOf("b") });
    await create({ name: "c", host: { name: "core", address: "192.0.2.1" } }, { urn: urnOf("c") });
    expect(opened).toEqual([
      { address: { name: "edge" }, credentials: { privateKey: pem("main") }, stateDirectory: "/tmp/x" },
      {
        address: { name: "core", address: "192.0.2.1" },
        credentials: { privateKey: pem("core") },
        stateDirectory: "/tmp/x",
      },
    ]);
  });
});

describe("a failure", () => {
  test("before anything was touched leaves nothing in the state", async () => {
    host.failing = { message: "no such file" };
    const error = await failing(create({}));
    expect(error).not.toBeInstanceOf(PartialResource);
    expect(error.message).toBe("site/a on edge: no such file");
  });

  test("after something was touched keeps the resource, in the kind's own words", async () => {
    host.failing = { message: "write: ENOSPC", after: true };
    const error = (await failing(create({ text: "x" }))) as PartialResource;
    expect(error).toBeInstanceOf(PartialResource);
    expect(error.message).toBe("site/a on edge: the disk is full: make room");
    expect(error.kept).toMatchObject({
      id: "edge/notes/a",
      inputs: { values: { text: "x" } },
      state: { values: { text: "x" } },
    });
  });

  test("of a step that said it succeeded names the property, what was wanted and what is there", async () => {
    const kept = await create({ text: "x", lines: ["1"] });
    host.ignoring = true;
    const error = await failing(update(kept, { text: "y", lines: ["1", "2"] }));
    expect(error).toBeInstanceOf(PartialResource);
    expect(error.message).toContain('text: wanted "y", found "x"; lines[1]: wanted "2", found nothing');
  });

  test("of a secret says neither what was wanted nor what is there", async () => {
    const kept = await create({ key: 7001, labels: { a: "1" } }, { secrets: [["key"]] });
    host.ignoring = true;
    const error = await failing(update(kept, { key: 7002, labels: { a: "2" } }, [["key"]]));
    expect(error.message).toContain('key: another secret than was wanted; labels.a: wanted "2", found "1"');
    expect(error.message).not.toMatch(/700[12]/);
  });

  test("has no secret in it, whatever the tool says", async () => {
    host.failing = { message: "RTNETLINK: key 16909060 (1.2.3.4, 0x1020304) refused", after: true };
    const error = await failing(create({ key: 0x01020304 }));
    expect(error.message).toBe("site/a on edge: RTNETLINK: key [secret] ([secret], [secret]) refused");
    host.failing = { message: `ssh: ${pem("secretkeymaterial")}` };
    provider.configure({ values: { privateKey: pem("secretkeymaterial") }, secrets: [] });
    expect((await failing(create({ name: "b" }))).message).not.toContain("secretkeymaterial");
  });

  test("to finish in time says so, and keeps what was begun", async () => {
    host.slow = 1500;
    const error = await failing(create({}, { timeoutSeconds: 1 }));
    expect(error.message).toContain("edge did not finish within the 1 s that customTimeouts allows");
    expect(error).toBeInstanceOf(PartialResource);
  });

  test("to reach the host is never a resource that is gone", async () => {
    const kept = await create({});
    host.unreachable = "cannot reach edge";
    expect((await failing(provider.read(urn, kept.id, kept))).message).toBe("site/a: cannot reach edge");
  });
});

describe("an update", () => {
  test("changes what is there, and remembers what is wanted now", async () => {
    const kept = await update(await create({ text: "x" }), { text: "y" });
    expect(there()).toMatchObject({ text: "y" });
    expect(kept.state.values.text).toBe("y");
    expect([...host.ledger.values()][0]?.specs).toEqual([{ name: "a", text: "y", colour: "red" }]);
  });

  test("gives a property that is wanted no longer its unset value, and leaves one without", async () => {
    await update(await create({ text: "x", lines: ["1"] }), {});
    expect(there()).toEqual({ name: "a", text: "x", colour: "red", lines: [] });
  });

  test("unsets what an interrupted update left", async () => {
    const kept = await create({ lines: ["1"] });
    host.failing = { message: "lost" };
    await failing(update(kept, { text: "y" }));
    host.failing = undefined;
    await update({ ...kept, inputs: inputs({ text: "y" }) }, { text: "y" });
    expect(there()).toMatchObject({ lines: [], text: "y" });
  });

  test("of nothing runs no step and writes no ledger", async () => {
    const kept = await create({ text: "x" });
    const record = [...host.ledger.values()][0];
    await update(kept, { text: "x" });
    expect([...host.ledger.values()][0]).toBe(record);
  });

  test("makes again what has gone", async () => {
    const kept = await create({ text: "x" });
    host.files.clear();
    await update(kept, { text: "x" });
    expect(there()).toMatchObject({ text: "x" });
  });

  test("takes the record over where the resource has another name by an alias", async () => {
    const kept = await create({ text: "x" }, { urn: urnOf("old") });
    await update(kept, { text: "y" });
    expect([...host.ledger.values()][0]?.urn).toBe(urn);
  });

  test("says when the host was rebuilt", async () => {
    const kept = await create({});
    host.machineId = "machine-2";
    const again = await update(kept, { text: "y" });
    expect(told).toEqual([
      "warning: edge was rebuilt or replaced: its machine-id was machine-1 and is machine-2 now",
    ]);
    expect(again.state.values.machineId).toBe("machine-2");
  });
});

describe("a host that was started anew", () => {
  test("gets back what its kernel forgot before the first change, and once", async () => {
    await create({ text: "x" });
    host.bootId = "boot-2";
    host.files.clear();
    provider = newProvider();
    await create({ name: "b" }, { urn: urnOf("b") });
    await create({ name: "c" }, { urn: urnOf("c") });
    expect(there()).toMatchObject({ text: "x" });
    expect(told).toEqual([
      expect.stringContaining("edge was started anew; what this stack made on it is made again"),
    ]);
  });

  test("that does not take it back is said without a secret, though the ledger knows of none", async () => {
    await create({ key: 7001 }, { secrets: [["key"]] });
    host.bootId = "boot-2";
    host.files.clear();
    host.failing = { message: "key 7001 refused" };
    provider = newProvider();
    await failing(create({ name: "b" }, { urn: urnOf("b") }));
    expect(told.at(-1)).toBe("warning: edge/notes/a was not made again on edge: key [secret] refused");
  });
});

describe("what was there before us", () => {
  beforeEach(() =>
    put({ name: "a", text: "theirs", colour: "red", lines: ["9"], labels: { a: "0", z: "26" } }),
  );

  test("is taken over on request, and put back at the end", async () => {
    const kept = await create({ adopt: true, text: "ours", labels: { a: "1" } });
    expect(there()).toMatchObject({ text: "ours", lines: ["9"] });
    expect([...host.ledger.values()][0]).toMatchObject({
      how: "adopted",
      before: { text: "theirs", labels: { a: "0" } },
    });
    await provider.delete(urn, kept.id, kept);
    expect(there()).toMatchObject({ text: "theirs", lines: ["9"], labels: { a: "0" } });
    expect(host.ledger.size).toBe(0);
  });

  test("is remembered as it was before the first change of each property", async () => {
    const kept = await create({ adopt: true, text: "ours" });
    put({ ...(there() as object), lines: ["8"] });
    const next = await update(kept, { adopt: true, text: "more", lines: ["1"] });
    await update(next, { adopt: true, text: "most", lines: ["2"] });
    expect([...host.ledger.values()][0]?.before).toEqual({
      name: "a",
      colour: "red",
      text: "theirs",
      lines: ["8"],
    });
  });

  test("gets back a property that is wanted no longer", async () => {
    const kept = await create({ adopt: true, text: "ours", lines: ["1"] });
    await update(kept, { adopt: true });
    expect(there()).toMatchObject({ text: "theirs", lines: ["9"] });
    expect([...host.ledger.values()][0]?.before).toEqual({ name: "a", colour: "red" });
  });

  test("is deleted only when that is asked for", async () => {
    const kept = await create({ adopt: true, deleteAdopted: true, text: "ours" });
    await provider.delete(urn, kept.id, kept);
    expect(there()).toBeNull();
  });
});

describe("a delete", () => {
  test("whose step fails because something else took the object along finds it gone", async () => {
    const kept = await create({ text: "x" });
    host.failing = { message: "RTNETLINK answers: No such file or directory", after: true };
    await provider.delete(urn, kept.id, kept);
    expect(host.ledger.size).toBe(0);
  });

  test("whose step fails with the object still there is an error", async () => {
    const kept = await create({ text: "x" });
    host.failing = { message: "Device or resource busy" };
    expect((await failing(provider.delete(urn, kept.id, kept))).message).toContain("Device or resource busy");
    expect(host.ledger.size).toBe(1);
  });

  test("removes what we made, and forgets it", async () => {
    const kept = await create({});
    await provider.delete(urn, kept.id, kept);
    expect([host.files.size, host.ledger.size]).toEqual([0, 0]);
  });

  test("of what has gone already succeeds", async () => {
    const kept = await create({});
    host.files.clear();
    await provider.delete(urn, kept.id, kept);
    expect(host.ledger.size).toBe(0);
  });

  test("leaves what the ledger does not call ours, and says so", async () => {
    const kept = await create({});
    host.ledger.clear();
    await provider.delete(urn, kept.id, kept);
    expect(there()).not.toBeNull();
    expect(told).toEqual([
      "warning: edge/notes/a was left on edge: its ledger does not say that this stack made it",
    ]);
  });

  test("leaves what another resource of this run has taken", async () => {
    const old = await create({}, { urn: urnOf("old") });
    host.files.clear();
    await create({});
    await provider.delete(urnOf("old"), old.id, old);
    expect(there()).not.toBeNull();
    expect(host.ledger.size).toBe(1);
  });

  test("on a host that cannot be reached names the way out, which only forgets", async () => {
    const kept = await create({});
    host.unreachable = "cannot reach edge";
    const { message } = await failing(provider.delete(urn, kept.id, kept));
    expect(message).toContain("cannot reach edge");
    expect(message).toContain("deleteUnreachable: true");
    provider.configure({ values: { deleteUnreachable: "true" }, secrets: [] });
    await provider.delete(urn, kept.id, kept);
    expect(told).toEqual([expect.stringContaining("edge/notes/a is forgotten")]);
    expect(there()).not.toBeNull();
  });

  test("that did nothing is an error", async () => {
    const kept = await create({});
    host.ignoring = true;
    expect((await failing(provider.delete(urn, kept.id, kept))).message).toContain(
      "note a on edge is still there",
    );
  });
});

describe("a read", () => {
  test("shows what is really there, in the properties that the program speaks of", async () => {
    const kept = await create({ text: "x", key: 7 }, { secrets: [["key"]] });
    put({ name: "a", text: "drifted", colour: "red", key: 8, lines: ["5"] });
    const read = await provider.read(urn, kept.id, kept);
    expect(read.inputs).toMatchObject({
      values: { name: "a", text: "drifted", key: 8, colour: "red", host: { name: "edge" } },
    });
    expect(read.inputs.values.lines).toBeUndefined();
    expect(read.inputs.secrets).toContainEqual(["key"]);
    expect(read.state.secrets).toContainEqual(["key"]);
    expect(host.seen.at(-1)).toBe("read edge/notes/a");
  });

  test("of what has gone says so by an empty id", async () => {
    const kept = await create({});
    host.files.clear();
    expect((await provider.read(urn, kept.id, kept)).id).toBe("");
  });

  test("without inputs is an import of everything that can be read, with what is secret by nature hidden", async () => {
    put({ name: "a", text: "x", colour: "blue", key: 5 });
    provider.configure({ values: { hosts: JSON.stringify({ edge: "root@192.0.2.7:2222" }) }, secrets: [] });
    const kept = await provider.read(urn, "edge/notes/a", { state: nothing, inputs: nothing });
    const address = { name: "edge", address: "192.0.2.7", port: 2222, user: "root" };
    expect(kept.inputs.values).toEqual({ host: address, name: "a", text: "x", colour: "blue", key: 5 });
    expect(kept.inputs.secrets).toEqual([["key"]]);
    expect(opened[0]?.address).toEqual(address);
  });

  test.each([
    [{}, { name: "edge", address: "edge" }],
    [{ hosts: { edge: "local" } }, { name: "edge" }],
    [
      { hosts: { edge: { address: "a", port: 22, hostKey: "ssh-ed25519 AAAA" } } },
      { name: "edge", address: "a", port: 22, hostKey: "ssh-ed25519 AAAA" },
    ],
    [{ hosts: { edge: "2001:db8::1" } }, { name: "edge", address: "2001:db8::1" }],
    [{ hosts: { edge: "[2001:db8::1]:22" } }, { name: "edge", address: "2001:db8::1", port: 22 }],
    [{ hosts: { edge: "u@edge.example" } }, { name: "edge", address: "edge.example", user: "u" }],
  ])("finds the host of an import with %j at %j", async (values, address) => {
    provider.configure({ values, secrets: [] });
    await provider.read(urn, "edge/notes/a", { state: nothing, inputs: nothing });
    expect(opened[0]?.address).toEqual(address);
  });

  test("of an id that is none says what one looks like", async () => {
    const read = (id: string) => failing(provider.read(urn, id, { state: nothing, inputs: nothing }));
    expect((await read("edge")).message).toContain("edge is no id: it reads HOST/NAME");
    expect((await read("edge/other/a")).message).toContain("edge/other/a is no id of a netloom:test:Note");
  });
});

describe("a cancel", () => {
  test("reaches the sessions, and nothing is begun after it", async () => {
    await create({});
    provider.cancel();
    expect(host.cancelled).toBe(true);
    expect((await failing(create({ name: "b" }))).message).toContain("cancelled before anything was done");
  });

  test("never makes a delete forget, nor does a host that answers and cannot be worked with", async () => {
    const kept = await create({});
    provider.configure({ values: { deleteUnreachable: true }, secrets: [] });
    host.run = () => Promise.reject(new HostError('host "edge": another run holds the lock'));
    expect((await failing(provider.delete(urn, kept.id, kept))).message).toBe(
      'site/a: host "edge": another run holds the lock',
    );
    provider.cancel();
    expect((await failing(provider.delete(urn, kept.id, kept))).message).toContain(
      "cancelled before anything was done",
    );
    expect(host.ledger.size).toBe(1);
  });
});

function pem(text: string): string {
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${text}\n-----END OPENSSH PRIVATE KEY-----\n`;
}
