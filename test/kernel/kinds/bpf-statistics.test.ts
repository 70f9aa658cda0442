import { execFileSync } from "node:child_process";
import { statisticsOf } from "../../../constructs/bpf/statistics";
import { folderOf, mapPin } from "../../../lib/kinds/bpf/names";
import { object, objectDigest, objectPath } from "../../../lib/kinds/bpf/object";
import { program } from "../../../lib/kinds/bpf/program";
import { closeShared, run } from "../../support/host";

/** What a program counts, read from its maps as they are in the kernel. */

const name = `nlt-${process.pid}-stats`;
const owner = { owner: "netloom:test" };
const source = `
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct stat { __u64 packets; __u64 bytes; };
struct drop { __u32 tunnel; __u32 reason; };
struct line { __u32 other; __u32 pad; __u64 packets; };
#define MAP(name, of, size, keys, values) struct { __uint(type, of); __uint(max_entries, size); \\
	__type(key, keys); __type(value, values); } name SEC(".maps")
MAP(reasons, BPF_MAP_TYPE_PERCPU_ARRAY, 4, __u32, struct stat);
MAP(drops_by_tunnel, BPF_MAP_TYPE_HASH, 16, struct drop, __u64);
MAP(lines, BPF_MAP_TYPE_ARRAY, 8, __u32, struct line);
SEC("xdp") int count(struct xdp_md *ctx)
{
	__u32 length = ctx->data_end - ctx->data, key = length < 64 ? 0 : 2;
	struct drop drop = { .tunnel = 7, .reason = key };
	struct stat *stat = bpf_map_lookup_elem(&reasons, &key);
	__u64 *dropped = bpf_map_lookup_elem(&drops_by_tunnel, &drop), one = 1;
	struct line *line = bpf_map_lookup_elem(&lines, &key);

	if (stat) {
		stat->packets++;
		stat->bytes += length;
	}
	if (dropped)
		__sync_fetch_and_add(dropped, 1);
	else
		bpf_map_update_elem(&drops_by_tunnel, &drop, &one, BPF_ANY);
	if (line)
		line->packets++;
	key += 4; /* another copy */
	line = bpf_map_lookup_elem(&lines, &key);
	if (line) {
		line->other = 99;
		line->packets++;
	}
	return XDP_PASS;
}
char _license[] SEC("license") = "GPL";
`;
const statistics = statisticsOf({
  reasons: {
    key: "u32",
    value: { packets: "u64", bytes: "u64" },
    names: { key: ["short", "never", "long"] },
  },
  "drops-by-tunnel": {
    key: { tunnel: "u32", reason: "u32" },
    value: "u64",
    names: { reason: { 0: "short" }, tunnel: { 7: "paris" } },
  },
  lines: { key: "u32", value: { other: "pad:8", packets: "u64" }, stride: 4 },
});

beforeAll(async () => {
  const built = object.schema.parse({ name, main: "count.bpf.c", sources: { "count.bpf.c": source } });
  const version = objectDigest(built);
  const loaded = program.schema.parse({ name, object: objectPath(name, version), version, statistics });
  await run([...object.plan(undefined, built, owner), ...program.plan(undefined, loaded, owner)]);
  const pin = `${folderOf(name)}/current/programs/count`;
  for (const [length, times] of [
    [60, 3],
    [100, 5],
  ] as const) {
    const input = Buffer.alloc(length);
    execFileSync("bpftool", ["prog", "run", "pinned", pin, "data_in", "-", "repeat", String(times)], {
      input,
    });
  }
});

afterAll(async () => {
  const built = object.schema.parse({ name, main: "count.bpf.c", sources: { "count.bpf.c": source } });
  await run([{ tool: "bpf-rm", path: folderOf(name) }, ...object.plan(built, undefined, owner)]);
  await closeShared();
});

const read = async (tables: typeof statistics) => {
  const counters = program.statistics!(
    program.schema.parse({ name, object: "/x.o", version: "1", statistics: tables }),
  );
  const facts = await run(
    [],
    counters.flatMap(({ queries }) => queries),
  );
  return Object.fromEntries(counters.map((one) => [one.name, one.read(facts)]));
};

test("the counts of all CPUs are added up, and every reason has its name", async () => {
  expect((await read(statistics)).reasons).toEqual([
    { of: { key: "short" }, counters: { packets: 3, bytes: 180 } },
    { of: { key: "never" }, counters: { packets: 0, bytes: 0 } },
    { of: { key: "long" }, counters: { packets: 5, bytes: 500 } },
  ]);
});

test("a key of several fields is several columns, and what has no name keeps its number", async () => {
  const rows = (await read(statistics))["drops-by-tunnel"]!;
  expect([...rows].sort((a, b) => Number(a.counters.packets) - Number(b.counters.packets))).toEqual([
    { of: { tunnel: "paris", reason: "short" }, counters: { packets: 3 } },
    { of: { tunnel: "paris", reason: "2" }, counters: { packets: 5 } },
  ]);
});

test("copies of a line are added up, and bytes that are no counter are left", async () => {
  expect((await read(statistics)).lines).toEqual([
    { of: { key: "0" }, counters: { packets: 6 } },
    { of: { key: "2" }, counters: { packets: 10 } },
  ]);
});

test("counts beyond 2^53 are whole, as text", async () => {
  execFileSync("bpftool", [
    ...["map", "update", "pinned", mapPin(name, "drops_by_tunnel"), "key", "hex"],
    ...["08", "00", "00", "00", "01", "00", "00", "00", "value", "hex"],
    ..."01 00 00 00 00 00 00 80".split(" "),
  ]);
  expect((await read(statistics))["drops-by-tunnel"]).toContainEqual({
    of: { tunnel: "8", reason: "1" },
    counters: { packets: "9223372036854775809" },
  });
});

test("fields that do not fit the map are refused with both sizes", async () => {
  const { reasons } = statistics;
  const wrong = { reasons: { ...reasons!, value: [{ name: "packets", type: "u32" }] } };
  await expect(read(wrong)).rejects.toThrow(
    `the value of the map reasons of ${name} has 16 bytes, and its fields in \`statistics\` 4`,
  );
});

test("a name of a field that there is not, and a counter that is no number, are refused before a host is asked", () => {
  const check = (tables: typeof statistics) =>
    program.check?.(program.schema.parse({ name, object: "/x.o", version: "1", statistics: tables }));
  expect(check(statistics)).toEqual([]);
  const lines = { ...statistics.lines!, names: { line: { 0: "a" } } };
  expect(check({ lines })).toEqual([
    { path: ["statistics", "lines", "names", "line"], message: "is no field of the key: there are key" },
  ]);
  const value = [{ name: "from", type: "ipv4" }];
  expect(check({ lines: { ...statistics.lines!, value } })).toEqual([
    { path: ["statistics", "lines", "value"], message: "from is ipv4, and a counter is a whole number" },
  ]);
});
