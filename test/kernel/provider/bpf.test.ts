import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BpfMap, BpfObject, Host, Namespace, TcProgram, VethPair, XdpProgram } from "../../../constructs";
import { folderOf, mapPin } from "../../../lib/kinds/bpf/names";
import { App } from "../../../lib/synth";
import { tableObject, type Variant } from "../../support/bpf-programs";
import { engineStack, type Run, type TestStack } from "../../support/engine";
import { descendantsWith } from "../../support/processes";

/** A program in C from a stack to a kernel, by the real CLI and the plugin as a user runs it. */

const name = `nlt-${process.pid}`;
const [near, far] = [`${name}-near`, `${name}-far`];
let sources: string;
let folder: string;
let stack: TestStack;

function write(variant: Variant): void {
  for (const [path, text] of Object.entries(tableObject(name, variant).sources))
    writeFileSync(join(sources, path.replace("table/", "")), text);
}

interface Options {
  readonly entries?: Readonly<Record<string, object>>;
  readonly link?: string;
  readonly adopt?: boolean;
  /** The network without any program. */
  readonly bare?: boolean;
}

/** Two namespaces and a cable; the program at one end, by XDP and tc. */
function network(options: Options = {}) {
  const { entries = { 7: { rate: 1, mac: "02:00:00:00:00:07", vlan: 1 } }, link, adopt } = options;
  return () => {
    const app = new App({ stateDirectory: folder });
    const here = new Host(app, "here");
    const [a, b] = [near, far].map((netns) => new Namespace(here, netns)) as [Namespace, Namespace];
    const cable = new VethPair(here, "cable", {
      a: { namespace: a, name: "v0", addresses: ["10.9.0.1/24"] },
      b: { namespace: b, name: "v1", addresses: ["10.9.0.2/24"] },
    });
    if (options.bare) return Promise.resolve(app.deploy());
    const table = new BpfObject(here, "table", {
      folder: sources,
      source: "table.bpf.c",
      name,
      programs: ["count_tc", "count_xdp"],
    });
    new XdpProgram(here, "xdp", {
      object: table,
      program: "count_xdp",
      link: link ?? cable.a,
      namespace: a,
      peerStub: cable.b,
      adopt,
    });
    new TcProgram(here, "tc", { object: table, program: "count_tc", link: cable.a, direction: "ingress" });
    new BpfMap(here, "entries", {
      object: table,
      map: "table",
      key: { id: "u32" },
      value: { rate: "u32", mac: "mac", vlan: "u16" },
      entries: entries as Readonly<Record<string, Record<string, number | string>>>,
    });
    return Promise.resolve(app.deploy());
  };
}

const ip = (...words: string[]) => execFileSync("ip", words, { encoding: "utf8" });
const attached = (netns: string, link: string) => {
  const [found] = JSON.parse(ip("-n", netns, "-d", "-j", "link", "show", link)) as {
    xdp?: { mode: number; prog: { id: number; name: string } };
  }[];
  return found?.xdp?.prog;
};
const ping = () => spawnSync("ip", ["netns", "exec", far, "ping", "-c1", "-W2", "10.9.0.1"]).status;
const bpftool = (...words: string[]) => execFileSync("bpftool", words, { encoding: "utf8" });
/** The modes of attachments, as the state has them. */
const modes = () => {
  const { checkpoint } = JSON.parse(stack.stateText()) as {
    checkpoint: { latest: { resources: { urn: string; outputs?: { mode?: string } }[] } };
  };
  return Object.fromEntries(
    checkpoint.latest.resources.flatMap(({ urn, outputs }) =>
      outputs?.mode === undefined ? [] : [[urn.slice(urn.lastIndexOf("::") + 2), outputs.mode]],
    ),
  ) as Record<string, string>;
};
const names = (done: Run, op: string) =>
  done.changes
    .filter((one) => one.op === op)
    .map((one) => one.name)
    .sort();

beforeEach(async () => {
  sources = mkdtempSync(join(tmpdir(), "nlt-src-"));
  folder = mkdtempSync(join(tmpdir(), "nlt-net-"));
  write({});
  stack = await engineStack({ program: network() });
});

afterEach(async () => {
  await stack.destroy({ mayFail: true });
  for (const netns of [near, far]) spawnSync("ip", ["netns", "del", netns]);
  rmSync(folderOf(name), { recursive: true, force: true });
  stack.remove();
  for (const one of [folder, sources]) rmSync(one, { recursive: true, force: true });
});

test("is built, loaded, filled and attached; a new version takes its place; nothing is left at the end", async () => {
  await stack.up();
  expect(attached(near, "v0")?.name).toBe("count_xdp");
  expect(attached(far, "v1")?.name).toBe("xdp_pass");
  expect(ping()).toBe(0);
  await stack.up({ expectNoChanges: true });
  await stack.refresh({ expectNoChanges: true });
  // Nobody said in which mode: the state says what the kernel chose.
  expect(modes()).toEqual({ "here/xdp/attachment": "native", "here/xdp/peer": "native" });

  const before = attached(near, "v0")?.id;
  const map = JSON.parse(bpftool("-j", "map", "show", "pinned", mapPin(name, "table"))) as { id: number };
  write({ mark: 5 });
  const changed = await stack.up();
  expect(names(changed, "update")).toEqual([
    "here/entries",
    "here/table/object",
    "here/table/program",
    "here/tc/attachment",
    "here/xdp/attachment",
  ]);
  expect(attached(near, "v0")?.id).not.toBe(before);
  expect(JSON.parse(bpftool("-j", "map", "show", "pinned", mapPin(name, "table")))).toMatchObject({
    id: map.id,
  });
  await stack.refresh({ expectNoChanges: true });

  await stack.destroy();
  expect([existsSync(folderOf(name)), readdirSync(folder)]).toEqual([false, []]);
});

test("shows drift by what was done, and repairs it", async () => {
  await stack.up();
  ip("-n", near, "link", "set", "dev", "v0", "xdp", "off");
  bpftool("map", "delete", "pinned", mapPin(name, "table"), "key", "hex", "07", "00", "00", "00");
  const drifted = await stack.refresh();
  expect(names(drifted, "delete")).toEqual(["here/entries", "here/xdp/attachment"]);
  await stack.up();
  expect(attached(near, "v0")?.name).toBe("count_xdp");
  await stack.refresh({ expectNoChanges: true });
});

test("one version is at work after a source that does not build, and one that the verifier refuses", async () => {
  await stack.up();
  const before = attached(near, "v0")?.id;
  write({ code: "nonsense" });
  const unbuilt = await stack.up({ mayFail: true });
  expect(unbuilt.ok).toBe(false);
  expect(unbuilt.errors.join("\n")).toMatch(
    /table\.bpf\.c:\d+:\d+: error: use of undeclared identifier 'nonsense'/,
  );
  write({ code: "count(*(__u32 *)(long)ctx->data);" });
  const refused = await stack.up({ mayFail: true });
  expect(refused.errors.join("\n")).toMatch(
    /the verifier refused the program count_xdp:[^]*invalid access to packet/,
  );
  expect([attached(near, "v0")?.id, ping()]).toEqual([before, 0]);
  write({ mark: 3 });
  await stack.up();
  expect(attached(near, "v0")?.id).not.toBe(before);
});

test("one version is at work after the plugin was killed in the middle of a swap, and the next run ends it", async () => {
  await stack.up();
  for (const [mark, delay] of [
    [1, 0],
    [2, 150],
    [3, 300],
    [4, 450],
  ] as const) {
    write({ mark });
    let begin = () => {};
    const begun = new Promise<void>((resolve) => (begin = resolve));
    const running = stack.up({
      mayFail: true,
      onEvent({ resourcePreEvent }) {
        const { type, op } = resourcePreEvent?.metadata ?? {};
        if (type === "netloom:bpf:Program" && op !== "same") begin();
      },
    });
    // Not before the swap: what the program still has to register would find the engine gone.
    await Promise.race([begun, running]);
    await new Promise((resolve) => setTimeout(resolve, delay));
    for (const pid of descendantsWith("pulumi-resource-netloom")) process.kill(pid, "SIGKILL");
    await running;
    expect([attached(near, "v0")?.name, ping()]).toEqual(["count_xdp", 0]);
  }
  await stack.up();
  await stack.refresh({ expectNoChanges: true });
  expect([attached(near, "v0")?.name, ping()]).toEqual(["count_xdp", 0]);
});

test("a program of somebody else's is refused, replaced when it is asked for, and put back at the end", async () => {
  // The namespaces and the cable alone, then a program that this stack did not attach.
  await stack.up();
  const other = `${name}-other`;
  execFileSync("mkdir", ["-p", folderOf(other)]);
  const pin = `${folderOf(other)}/xdp_pass`;
  const passing = attached(far, "v1")?.id;
  bpftool("prog", "pin", "id", String(passing), pin);
  await stack.up({ program: network({ bare: true }) });
  execFileSync("nsenter", [`--net=/run/netns/${near}`, "ip", "link", "set", "v0", "xdpdrv", "pinned", pin]);
  rmSync(folderOf(other), { recursive: true });
  const refused = await stack.up({ program: network(), mayFail: true });
  expect(refused.errors.join("\n")).toMatch(
    /already exists in netns .* and this stack did not make it\. Set adopt: true/,
  );
  expect(attached(near, "v0")?.id).toBe(passing);
  await stack.up({ program: network({ adopt: true }) });
  expect(attached(near, "v0")?.name).toBe("count_xdp");
  await stack.up({ program: network({ bare: true }) });
  expect(attached(near, "v0")?.id).toBe(passing);
});

test("a link that is not there is told, with those that are", async () => {
  const failed = await stack.up({ program: network({ link: "nope" }), mayFail: true });
  expect(failed.errors.join("\n")).toMatch(/There is no link nope in netns .*: there are lo, v0/);
});
