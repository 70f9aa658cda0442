import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PinsFact, Query, Step } from "../../../lib/kinds/step";
import { localHost, type TestHost } from "../../support/host";

/** clang, bpftool and the bpf file system as a session uses them. */

const pins = `/sys/fs/bpf/netloom/nlt-${process.pid}`;
const folder = mkdtempSync(join(tmpdir(), "nlt-bpf-"));
const object = join(folder, "table.bpf.o");
const record = join(folder, "table.record");
let host: TestHost;

const header = "struct value { __u32 rate; __u8 mac[6]; __u16 flags; };\n";
const source = (verdict = "XDP_PASS") => `
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "value.h"
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct value);
} table SEC(".maps");
SEC("xdp") int look(struct xdp_md *ctx)
{
	__u32 key = 1;
	return bpf_map_lookup_elem(&table, &key) ? XDP_DROP : ${verdict};
}
char _license[] SEC("license") = "GPL";
`;
const args = ["-g", "-O2", "-target", "bpf", "-I/usr/include/x86_64-linux-gnu", "-c", "src/table.bpf.c"];
const clang = (main = source(), value = header): Step => ({
  tool: "clang",
  files: { "src/table.bpf.c": main, "src/value.h": value },
  args,
  object,
  record,
});
const load = (version: string, ...more: string[]): Step[] => [
  { tool: "bpf-mkdir", path: `${pins}/${version}/maps` },
  {
    tool: "bpftool",
    args: [
      "prog",
      "loadall",
      object,
      `${pins}/${version}/programs`,
      ...more,
      "pinmaps",
      `${pins}/${version}/maps`,
    ],
  },
  { tool: "bpf-ln", target: version, path: `${pins}/current` },
];
const update = (key: number): Step => {
  const hex = (bytes: number[]) => bytes.map((byte) => byte.toString(16).padStart(2, "0"));
  const value = hex([key, 0, 0, 0, 2, 0, 0, 0, 0, 1, 0, 0]);
  const at = ["pinned", `${pins}/current/maps/table`];
  return {
    tool: "bpftool",
    args: ["map", "update", ...at, "key", "hex", ...hex([key, 0, 0, 0]), "value", "hex", ...value],
  };
};
const look: Query = { tool: "bpf-pins", path: pins };
const dump: Query = { tool: "bpftool", args: ["map", "dump", "pinned", `${pins}/current/maps/table`] };

beforeAll(() => {
  host = localHost();
});
afterAll(async () => {
  await host.apply([{ tool: "bpf-rm", path: pins }]);
  await host.close();
  rmSync(folder, { recursive: true, force: true });
});

test("sources are built with their headers, and the record tells what came out", async () => {
  const sums: Query = { tool: "sha256sum", paths: [object, join(folder, "none")] };
  const facts = await host.apply([clang()], [sums]);
  const [sum, compiler] = readFileSync(record, "utf8").trim().split("\n");
  expect(facts.get(sums)).toEqual({ ok: true, value: { [object]: sum } });
  expect(compiler).toMatch(/clang version \d+/);
  expect(readdirSync(folder).sort()).toEqual(["table.bpf.o", "table.record"]);
});

test("what the compiler says comes back whole, and what was built before stays", async () => {
  const before = readFileSync(record, "utf8");
  const failing = host.apply([
    clang(source("NOTHING"), `${header}int f(void) { return "x"; }\n#error first\n`),
  ]);
  await expect(failing).rejects.toThrow(
    /src\/value\.h:3:2: error: first[^]*src\/table\.bpf\.c:\d+:\d+: error: /,
  );
  expect(readFileSync(record, "utf8")).toBe(before);
  expect(existsSync(`${object}_build`)).toBe(false);
});

test("sources are built here and copied as they would be built there, and errors name file and line", async () => {
  const sums: Query = { tool: "sha256sum", paths: [object] };
  const [, compiler] = readFileSync(record, "utf8").split("\n");
  for (const file of [object, record]) rmSync(file);
  const here = { ...clang(), here: true } as Step;
  const facts = await host.apply([here], [sums]);
  const written = readFileSync(record, "utf8");
  const [sum, version] = written.split("\n");
  expect(facts.get(sums)).toEqual({ ok: true, value: { [object]: sum } });
  expect(version).toBe(compiler);
  expect(readdirSync(folder).sort()).toEqual(["table.bpf.o", "table.record"]);
  const failing = host.apply([{ ...clang(source("NOTHING")), here: true } as Step]);
  await expect(failing).rejects.toThrow(/src\/table\.bpf\.c:\d+:\d+: error: /);
  expect(readFileSync(record, "utf8")).toBe(written);
});

test("an object is loaded, pinned and found; a second load shares its maps", async () => {
  expect((await host.look([look])).get(look)).toEqual({
    ok: true,
    value: { programs: {}, maps: {}, versions: [] },
  });
  const first = (await host.apply(load("one"), [look])).get(look) as { value: PinsFact };
  expect(first.value).toMatchObject({
    current: "one",
    versions: ["one"],
    programs: { look: { type: "xdp", name: "look" } },
    maps: { table: { type: "hash", bytes_key: 4, bytes_value: 12, max_entries: 64 } },
    btf: { types: expect.any(Array) },
  });
  const reuse = ["map", "name", "table", "pinned", `${pins}/current/maps/table`];
  const second = (await host.apply(load("two", ...reuse), [look])).get(look) as { value: PinsFact };
  expect(second.value).toMatchObject({ current: "two", versions: ["one", "two"] });
  const id = ({ value }: { value: PinsFact }) => (value.maps.table as { id: number }).id;
  expect(id(second)).toBe(id(first));
});

test("lines of one batch that fail blame the operation that they are of", async () => {
  const run = (label: string, steps: Step[]) =>
    host.run({ label, stack: "test/test", queries: [dump], decide: () => ({ steps }) });
  const wrong: Step = {
    tool: "bpftool",
    args: ["map", "update", "pinned", `${pins}/current/maps/none`, "key", "0"],
  };
  const ends = await Promise.allSettled([
    run("a", [update(1), update(2)]),
    run("b", [wrong]),
    run("c", [update(3)]),
  ]);
  expect(ends.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect(String((ends[1] as PromiseRejectedResult).reason)).toMatch(/bpftool map update failed: .*none/);
  const { value } = (await host.look([dump])).get(dump) as { value: { formatted: { key: number } }[] };
  expect(value.map(({ formatted }) => formatted.key).sort()).toEqual([1, 2, 3]);
});

test("entries are copied from one map to another", async () => {
  await host.apply(load("three"));
  expect((await host.look([dump])).get(dump)).toEqual({ ok: true, value: [] });
  const entries = (version: string): Query => ({
    tool: "bpftool",
    args: ["map", "dump", "pinned", `${pins}/${version}/maps/table`],
  });
  const [from, to] = [entries("two"), entries("three")];
  const facts = await host.apply(
    [{ tool: "bpf-copy", from: `${pins}/two/maps/table`, to: `${pins}/three/maps/table` }],
    [from, to],
  );
  const sorted = (query: Query) =>
    (facts.get(query) as unknown as { value: object[] }).value.map((one) => JSON.stringify(one)).sort();
  expect(sorted(from)).toHaveLength(3);
  expect(sorted(to)).toEqual(sorted(from));
});

test("the verifier's log comes back cut to what it refused", async () => {
  const bad = source().replace("__u32 key = 1;", "__u32 key = *(__u32 *)(long)ctx->data;");
  await host.apply([clang(bad)]);
  const failing = host.apply(load("four"));
  await expect(failing).rejects.toThrow(/the verifier refused the program look:[^]*invalid access to packet/);
  await failing.catch(({ message }: Error) => expect(message.split("\n").length).toBeLessThan(30));
  expect((await host.look([look])).get(look)).toMatchObject({ value: { current: "three" } });
});

test("a pin's place is refused where it is none", async () => {
  for (const path of ["/sys/fs/bpf/other", "/sys/fs/bpf/netloom/../x", "/sys/fs/bpf/netloom", `${pins}/a.b`])
    await expect(host.apply([{ tool: "bpf-rm", path }])).rejects.toThrow(/is no name for a pin|is not below/);
});

test("a pinned program is attached to a link in another network namespace, and replaced", async () => {
  const netns = `nlt-${process.pid}-bpf`;
  const ip = (...words: string[]) => execFileSync("ip", words, { encoding: "utf8" });
  ip("netns", "add", netns);
  try {
    ip("-n", netns, "link", "add", "v0", "type", "veth", "peer", "name", "v1");
    const pinned = `${pins}/current/programs/look`;
    const attach: Step = {
      tool: "ip",
      netns,
      force: true,
      args: ["link", "set", "dev", "v0", "xdpdrv", "pinned", pinned],
    };
    const links: Query = { tool: "ip", netns, args: ["-d", "link", "show"] };
    const facts = await host.apply([attach, attach], [links]);
    expect(facts.get(links)).toMatchObject({
      value: expect.arrayContaining([
        expect.objectContaining({ ifname: "v0", xdp: expect.objectContaining({ mode: 1 }) }),
      ]),
    });
    const net: Query = { tool: "bpftool", netns, args: ["net", "show"] };
    expect((await host.look([net])).get(net)).toMatchObject({
      value: [{ xdp: [{ devname: "v0", mode: "driver" }] }],
    });
  } finally {
    ip("netns", "del", netns);
  }
  const gone: Query = { tool: "bpftool", netns, args: ["net", "show"] };
  expect((await host.look([gone])).get(gone)).toMatchObject({ error: expect.stringContaining("nsenter:") });
});
