import { execFileSync } from "node:child_process";
import { appendFileSync, existsSync, readdirSync, rmSync } from "node:fs";
import * as fc from "fast-check";
import type { z } from "zod";
import { attachment } from "../../../lib/kinds/bpf/attachment";
import { mapEntries } from "../../../lib/kinds/bpf/map-entries";
import { folderOf, mapPin, programPin } from "../../../lib/kinds/bpf/names";
import { object, objectDigest, objectPath } from "../../../lib/kinds/bpf/object";
import { program } from "../../../lib/kinds/bpf/program";
import type { AnyKind, AnySpec } from "../../../lib/kinds/kind";
import { tableObject, tableProgram, type Variant } from "../../support/bpf-programs";
import { converges } from "../../support/converge";
import { run } from "../../support/host";
import { scratchNetns } from "../../support/scratch";

const name = `nlt-${process.pid}`;
// Registered before the hooks of the namespace, which end the session.
afterAll(async () => {
  await run([{ tool: "bpf-rm", path: folderOf(name) }]);
  for (const folder of existsSync("/var/lib/netloom/bpf") ? readdirSync("/var/lib/netloom/bpf") : [])
    if (existsSync(`/var/lib/netloom/bpf/${folder}/${name}.bpf.o`))
      rmSync(`/var/lib/netloom/bpf/${folder}`, { recursive: true });
});
const netns = scratchNetns("bpf");
const owner = { owner: "netloom:test" };
const variants: readonly Variant[] = [{}, { mark: 1 }, { mark: 2, size: 2048 }];

/** What is there of a spec. */
async function look(kind: AnyKind, spec: AnySpec): Promise<AnySpec | undefined> {
  return kind.observe(await run([], kind.queries(spec)), [spec]) as AnySpec | undefined;
}
/** Makes it so; what is there then. */
async function make(kind: AnyKind, input: object): Promise<AnySpec> {
  const spec = (kind.schema as z.ZodObject).parse(input) as AnySpec;
  const current = await look(kind, spec);
  const facts = await run(kind.plan(current, spec, owner), kind.queries(spec));
  return kind.observe(facts, [spec]) as AnySpec;
}
const shell = (...argv: [string, ...string[]]) => execFileSync(argv[0], argv.slice(1), { encoding: "utf8" });
const idOf = (pin: string) =>
  (
    JSON.parse(shell("bpftool", "-j", pin.includes("/maps/") ? "map" : "prog", "show", "pinned", pin)) as {
      id: number;
    }
  ).id;
const build = async (variant?: Variant) => {
  await make(object, tableObject(name, variant));
  return tableProgram(name, variant);
};

type Value = number | Record<string, number | string>;

describe("an object", () => {
  test("converges from any sources to any others, also after an interruption", async () => {
    const specs = fc.constantFrom(...variants.map((variant) => tableObject(name, variant)));
    await converges({ kind: object, specs, run, cases: 8, interruptions: 1 });
    expect(existsSync(objectPath(name, objectDigest(tableObject(name))))).toBe(false);
  });

  test("that was altered or removed behind its back shows as drift, and is built again", async () => {
    const spec = object.schema.parse(tableObject(name));
    await make(object, spec);
    const file = objectPath(name, objectDigest(spec));
    appendFileSync(file, "x");
    expect(await look(object, spec)).toMatchObject({ sources: {} });
    expect(await make(object, spec)).toEqual(spec);
    rmSync(file);
    expect(await look(object, spec)).toMatchObject({ sources: {} });
    expect(await make(object, spec)).toEqual(spec);
  });
});

describe("a program", () => {
  test("converges from any version to any other, also after an interruption", async () => {
    const inputs: object[] = [];
    for (const [index, variant] of variants.entries()) {
      // Objects of several versions at once: each is built under a name of its own.
      await make(object, tableObject(`${name}${index}`, variant));
      const version = objectDigest(tableObject(`${name}${index}`, variant));
      inputs.push({ name, object: objectPath(`${name}${index}`, version), version, programs: ["count_xdp"] });
    }
    const specs = fc.constantFrom(...inputs) as fc.Arbitrary<{
      name: string;
      object: string;
      version: string;
    }>;
    await converges({ kind: program, specs, run, cases: 12, interruptions: 4 });
    expect(existsSync(folderOf(name))).toBe(false);
    for (const [index, variant] of variants.entries()) {
      const spec = object.schema.parse(tableObject(`${name}${index}`, variant));
      await run(object.plan(spec, undefined, owner));
    }
  });

  test("keeps the maps that are laid out as before, and the entries of one that grew", async () => {
    await make(program, await build());
    const [table, seen] = ["table", "seen"].map((map) => mapPin(name, map)) as [string, string];
    const before = [idOf(table), idOf(seen)];
    await make(mapEntries, { ...entriesOf({ 7: { rate: 9, mac: "02:00:00:00:00:07", vlan: 3 } }) });
    await make(program, await build({ mark: 1 }));
    expect([idOf(table), idOf(seen)]).toEqual(before);
    await make(program, await build({ mark: 2, size: 4096 }));
    expect(idOf(table)).not.toBe(before[0]);
    expect(idOf(seen)).toBe(before[1]);
    const { entries } = (await look(mapEntries, entriesOf({ 7: 0 }))) ?? {};
    expect(entries).toEqual({ 7: { rate: 9, mac: "02:00:00:00:00:07", vlan: 3 } });
    expect(readdirSync(folderOf(name)).sort()).toEqual(
      ["current", tableProgram(name, { mark: 2, size: 4096 }).version].sort(),
    );
  });

  test("with a map of another layout is refused, and starts with an empty map when it is asked for", async () => {
    const before = await make(program, await build());
    const wide = await build({ wide: true });
    await expect(make(program, wide)).rejects.toThrow(
      /the map table of .* would lose its entries: its value was struct\(12\)\{rate@0 u32; .*and is struct\(\d+\).*onMapChange/,
    );
    await build();
    expect((await look(program, program.schema.parse(tableProgram(name))))?.version).toBe(before.version);
    const again = await build({ wide: true });
    expect(await make(program, { ...again, onMapChange: "recreate" })).toMatchObject({
      version: again.version,
    });
  });

  test("whose map or program was unpinned shows as drift, and is loaded again", async () => {
    const wanted = {
      ...(await build({ wide: true })),
      onMapChange: "recreate",
      programs: ["count_tc", "count_xdp"],
    };
    const spec = program.schema.parse(wanted);
    await make(program, spec);
    shell("rm", mapPin(name, "table"));
    expect(await look(program, spec)).toMatchObject({ version: "incomplete" });
    expect(await make(program, spec)).toMatchObject({ version: spec.version });
    shell("rm", programPin(name, "count_tc"));
    expect(await look(program, spec)).toMatchObject({ programs: ["count_xdp"] });
    expect(await make(program, spec)).toMatchObject({ programs: ["count_tc", "count_xdp"] });
  });

  test("that the verifier refuses leaves the one before in use", async () => {
    const good = await build({ wide: true });
    await make(program, good);
    const bad = await build({ wide: true, code: "count(*(__u32 *)(long)ctx->data);" });
    await expect(make(program, bad)).rejects.toThrow(
      /the verifier refused the program count_xdp:[^]*invalid access to packet/,
    );
    expect(await look(program, program.schema.parse(good))).toMatchObject({ version: good.version });
  });
});

function entriesOf(entries: Record<string, Value>, more: object = {}) {
  const value = [
    { name: "rate", type: "u32" },
    { name: "mac", type: "mac" },
    { name: "vlan", type: "u16" },
  ];
  const key = [{ name: "id", type: "u32" }];
  return { program: name, map: "table", key, value, entries, ...more };
}

describe("entries of a map", () => {
  const one = fc.record({
    rate: fc.nat({ max: 0xffff_ffff }),
    mac: fc.constantFrom("02:00:00:00:00:01", "ff:00:00:00:00:ff"),
    vlan: fc.nat({ max: 0xffff }),
  });

  beforeAll(async () => {
    await run([{ tool: "bpf-rm", path: folderOf(name) }]);
    await make(program, await build());
  });

  test("converge from any set to any other, also after an interruption", async () => {
    const specs = fc
      .tuple(fc.dictionary(fc.nat({ max: 40 }).map(String), one, { minKeys: 1, maxKeys: 12 }), fc.boolean())
      .map(([entries, exclusive]) => entriesOf(entries, { exclusive }));
    await converges({ kind: mapEntries, specs, run, cases: 25 });
  });

  test("of an array become zero when they go", async () => {
    const wanted = {
      program: name,
      map: "seen",
      key: [{ name: "key", type: "u32" }],
      value: [{ name: "count", type: "u64" }],
    };
    const specs = fc
      .dictionary(fc.constantFrom("0", "2", "3"), fc.nat({ max: 5 }), { minKeys: 1 })
      .filter((entries) => Object.values(entries).some((count) => count > 0))
      .map((entries) => ({ ...wanted, entries }));
    await converges({ kind: mapEntries, specs, run, cases: 10 });
    expect(shell("bpftool", "map", "dump", "pinned", mapPin(name, "seen"), "-j")).not.toMatch(
      /0x0*[1-9a-f]\d*"\],"formatted":\{"key":[^0]/,
    );
  });

  test("show by the property what was changed behind their back; others are left", async () => {
    const wanted = entriesOf({
      1: { rate: 1, mac: "02:00:00:00:00:01", vlan: 1 },
      2: { rate: 2, mac: "02:00:00:00:00:02", vlan: 2 },
    });
    await make(mapEntries, wanted);
    const hex = (text: string) => text.split(" ");
    const table = mapPin(name, "table");
    shell(
      "bpftool",
      "map",
      "update",
      "pinned",
      table,
      "key",
      "hex",
      ...hex("01 00 00 00"),
      "value",
      "hex",
      ...hex("05 00 00 00 02 00 00 00 00 01 01 00"),
    );
    shell("bpftool", "map", "delete", "pinned", table, "key", "hex", ...hex("02 00 00 00"));
    shell(
      "bpftool",
      "map",
      "update",
      "pinned",
      table,
      "key",
      "hex",
      ...hex("09 00 00 00"),
      "value",
      "hex",
      ...hex("00 00 00 00 02 00 00 00 00 01 01 00"),
    );
    const spec = mapEntries.schema.parse(wanted);
    const there = await look(mapEntries, spec);
    expect(there?.entries).toEqual({ 1: { rate: 5, mac: "02:00:00:00:00:01", vlan: 1 } });
    expect(mapEntries.plan(there as typeof spec, spec, owner)).toHaveLength(2);
    expect((await make(mapEntries, wanted)).entries).toEqual(spec.entries);
    expect(Object.keys((await make(mapEntries, { ...wanted, exclusive: true })).entries as object)).toEqual([
      "1",
      "2",
    ]);
    expect(JSON.parse(shell("bpftool", "-j", "map", "dump", "pinned", table))).toHaveLength(2);
  });

  test("that do not fit the map are refused before anything is written", async () => {
    const wanted = entriesOf({ 1: { rate: 1 } }, { value: [{ name: "rate", type: "u32" }] });
    await expect(make(mapEntries, wanted)).rejects.toThrow(
      `entries of the map table of ${name}: value has fields of 4 bytes together and is of 12 bytes in the map`,
    );
  });

  test("100,000 of them are written in one batch, and one of them alone when one changes", async () => {
    await run([{ tool: "bpf-rm", path: folderOf(name) }]);
    await make(program, await build({ size: 131072 }));
    const entries = Object.fromEntries(
      Array.from({ length: 100_000 }, (_, id) => [
        id,
        { rate: id, mac: "02:00:00:00:00:01", vlan: id % 4096 },
      ]),
    );
    const spec = mapEntries.schema.parse(entriesOf(entries));
    const from = Date.now();
    await make(mapEntries, spec);
    const all = Date.now() - from;
    const changed = {
      ...spec,
      entries: { ...spec.entries, 5: { rate: 1, mac: "02:00:00:00:00:01", vlan: 1 } },
    };
    const steps = mapEntries.plan((await look(mapEntries, spec)) as typeof spec, changed, owner);
    expect(steps).toHaveLength(1);
    process.stderr.write(`100,000 entries written and read back in ${all} ms\n`);
    expect(all).toBeLessThan(60_000);
  });
});

describe("an attachment", () => {
  const at = (hook: string, pin: string, more: object = {}) => ({
    netns,
    link: "v0",
    hook,
    program: programPin(name, pin),
    ...more,
  });
  const xdp = (link = "v0") => {
    const [found] = JSON.parse(shell("ip", "-n", netns, "-d", "-j", "link", "show", link)) as {
      xdp?: { mode: number; prog: { id: number } };
    }[];
    return found?.xdp && { mode: found.xdp.mode, id: found.xdp.prog.id };
  };

  beforeAll(async () => {
    await run([{ tool: "bpf-rm", path: folderOf(name) }]);
    await make(program, await build());
  });

  test.each([
    ["xdp", "count_xdp", [{}, { mode: "native" }, { mode: "generic" }]],
    ["ingress", "count_tc", [{}, { version: "a1" }]],
    ["egress", "count_tc", [{ preference: 7 }]],
  ])("to %s converges, also after an interruption", async (hook, pin, options) => {
    const specs = fc.constantFrom(...options.map((more) => at(hook, pin, more))) as fc.Arbitrary<never>;
    await converges({ kind: attachment, specs, run, cases: 12 });
    expect(xdp()).toBeUndefined();
    expect(shell("tc", "-n", netns, "qdisc", "show", "dev", "v0")).not.toContain("clsact");
  });

  test("reports the mode that the kernel chose, and another program in its place", async () => {
    const wanted = attachment.schema.parse(at("xdp", "count_xdp"));
    expect(await make(attachment, wanted)).toEqual({ ...wanted, mode: "native" });
    expect(xdp()).toEqual({ mode: 1, id: idOf(programPin(name, "count_xdp")) });
    shell("ip", "-n", netns, "link", "set", "dev", "v0", "xdpdrv", "off");
    expect(await look(attachment, wanted)).toBeUndefined();
    shell(
      "bash",
      "-c",
      `nsenter --net=/run/netns/${netns} bpftool net attach xdpgeneric pinned ${programPin(name, "count_xdp")} dev v0`,
    );
    expect(await look(attachment, wanted)).toEqual({ ...wanted, mode: "generic" });
    await run(attachment.plan({ ...wanted, mode: "generic" }, undefined, owner));
    expect(xdp()).toBeUndefined();
  });

  test("puts a program back that was there before it", async () => {
    const foreign = `${name}-foreign`;
    await run([{ tool: "bpf-mkdir", path: folderOf(foreign) }]);
    shell("make", "-s", "-C", `${__dirname}/../../../bpf`, "objects");
    shell(
      "bpftool",
      "prog",
      "load",
      `${__dirname}/../../../dist/bpf/xdp-pass.bpf.o`,
      `${folderOf(foreign)}/pass`,
    );
    const id = idOf(`${folderOf(foreign)}/pass`);
    shell(
      "bash",
      "-c",
      `nsenter --net=/run/netns/${netns} bpftool net attach xdpdrv pinned ${folderOf(foreign)}/pass dev v0`,
    );
    shell("rm", "-r", folderOf(foreign));
    const wanted = attachment.schema.parse(at("xdp", "count_xdp"));
    const before = (await look(attachment, wanted)) as typeof wanted;
    expect(before.program).toBe(`/sys/fs/bpf/netloom/replaced/${id}_xdp_pass`);
    const now = (await make(attachment, wanted)) as typeof wanted;
    expect(xdp()?.id).not.toBe(id);
    await run(attachment.plan(now, before, owner));
    expect(xdp()).toEqual({ mode: 1, id });
    expect(existsSync(before.program)).toBe(false);
    await run(attachment.plan(before, undefined, owner));
  });

  test("to a link that is not there says so", async () => {
    const wanted = attachment.schema.parse(at("xdp", "count_xdp", { link: "nope" }));
    await expect(make(attachment, wanted)).rejects.toThrow(/Cannot find device "nope".*there are lo, .*v0/);
  });
});
