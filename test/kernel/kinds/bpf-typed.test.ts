import { execFileSync } from "node:child_process";
import * as fc from "fast-check";
import { folderOf, mapPin } from "../../../lib/kinds/bpf/names";
import { mapEntries } from "../../../lib/kinds/bpf/map-entries";
import { object, objectDigest, objectPath } from "../../../lib/kinds/bpf/object";
import { program } from "../../../lib/kinds/bpf/program";
import { converges } from "../../support/converge";
import { closeShared, run } from "../../support/host";

/** Entries as a person writes them, by the types that the compiler wrote down of a real object. */

const name = `nlt-${process.pid}-typed`;
const source = `
#include <linux/bpf.h>
#include <linux/in6.h>
#include <bpf/bpf_helpers.h>
enum state { DOWN, UP };
struct end { __be32 address; __be16 port; };
struct tunnel {
	__u32 vni;
	__be32 remote;
	__u8 mac[6];
	__u16 pad;
	struct end hops[2];
	union { struct in6_addr six; __u64 words[2]; };
	char label[8];
	enum state state;
	__s64 packets;
};
struct net { __u32 prefixlen; __be32 address; };
struct pair { __be32 from; __u16 port; __u16 pad; };
#define MAP(name, of, size, keys, values, ...) struct { __uint(type, of); __uint(max_entries, size); \\
	__type(key, keys); __type(value, values); __VA_ARGS__ } name SEC(".maps")
MAP(tunnels, BPF_MAP_TYPE_HASH, 16384, __u32, struct tunnel);
MAP(nets, BPF_MAP_TYPE_LPM_TRIE, 64, struct net, __be32, __uint(map_flags, BPF_F_NO_PREALLOC););
MAP(pairs, BPF_MAP_TYPE_HASH, 64, struct pair, __u16);
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 4); __uint(key_size, 4); __uint(value_size, 4); } plain SEC(".maps");
SEC("xdp") int look(struct xdp_md *ctx)
{
	__u32 key = 1;
	struct net net = { .prefixlen = 32 };
	struct pair pair = {};
	return bpf_map_lookup_elem(&tunnels, &key) || bpf_map_lookup_elem(&nets, &net) ||
	       bpf_map_lookup_elem(&pairs, &pair) || bpf_map_lookup_elem(&plain, &key) ? XDP_DROP : XDP_PASS;
}
char _license[] SEC("license") = "GPL";
`;
const built = object.schema.parse({ name, main: "t.bpf.c", sources: { "t.bpf.c": source } });
const of = (map: string, entries: object, more: object = {}) =>
  mapEntries.schema.parse({ program: name, map, entries, ...more });
type Spec = ReturnType<typeof of>;

async function look(spec: Spec) {
  const facts = await run([], mapEntries.queries(spec));
  return { facts, there: mapEntries.observe(facts, [spec]) };
}
/** As the provider does it. */
async function make(spec: Spec, limit = 1e6): Promise<Spec | undefined> {
  const { facts, there } = await look(spec);
  const steps = mapEntries.plan(there, spec, { owner: "netloom:test", facts });
  expect(steps.length).toBeLessThanOrEqual(limit);
  return mapEntries.observe(await run(steps, mapEntries.queries(spec)), [spec]);
}
const dump = (map: string) =>
  JSON.parse(
    execFileSync("bpftool", ["-j", "map", "dump", "pinned", mapPin(name, map)], {
      encoding: "utf8",
      maxBuffer: 1 << 30,
    }),
  ) as { key: string[]; value: string[]; formatted: { value: Record<string, never> } }[];

beforeAll(async () => {
  const version = objectDigest(built);
  const loaded = program.schema.parse({ name, object: objectPath(name, version), version });
  const owner = { owner: "netloom:test" };
  await run([...object.plan(undefined, built, owner), ...program.plan(undefined, loaded, owner)]);
});

afterAll(async () => {
  const owner = { owner: "netloom:test" };
  await run([{ tool: "bpf-rm", path: folderOf(name) }, ...object.plan(built, undefined, owner)]);
  await closeShared();
});

const one = {
  vni: 7,
  remote: "10.0.0.1",
  mac: "02:00:00:00:00:0a",
  hops: [{ address: "192.0.2.1", port: 6081 }],
  six: "2001:db8::1",
  label: "paris",
  state: "UP",
};

test("a value is what the program's own types make of it, and is found again as it was written", async () => {
  const spec = of("tunnels", { 1: one });
  expect((await make(spec))?.entries).toEqual({ 1: one });
  // The kernel's own view of the bytes, by the same BTF.
  expect(dump("tunnels")[0]?.formatted.value).toMatchObject({
    vni: 7,
    remote: 0x0100000a,
    mac: [2, 0, 0, 0, 0, 10],
    hops: [
      { address: 0x010200c0, port: 0xc117 },
      { address: 0, port: 0 },
    ],
    state: "UP",
    packets: 0,
  });
  const { there, facts } = await look(spec);
  expect(mapEntries.plan(there, spec, { owner: "netloom:test", facts })).toEqual([]);
});

test("what was changed behind their back is told by the member, and what a program counts is not", async () => {
  const spec = of("tunnels", { 1: one });
  await make(spec);
  const [entry] = dump("tunnels");
  const bytes = entry!.value.map((byte) => byte.slice(2));
  bytes[7] = "09";
  bytes[bytes.length - 8] = "ff";
  const key = ["01", "00", "00", "00"];
  const pin = ["pinned", mapPin(name, "tunnels")];
  execFileSync("bpftool", ["map", "update", ...pin, "key", "hex", ...key, "value", "hex", ...bytes]);
  expect((await look(spec)).there?.entries).toEqual({ 1: { ...one, remote: "10.0.0.9" } });
  await make(spec, 1);
  expect((await look(spec)).there?.entries).toEqual({ 1: one });
});

test.each([
  ["nets", { "10.0.0.0/8": "192.0.2.1", "10.1.0.0/16": 7 }, ["100000000a010000", "080000000a000000"]],
  ["pairs", { "10.0.0.1 80": 1, "10.0.0.2 443": 2 }, ["0a00000150000000", "0a000002bb010000"]],
])("keys of %s are written as what they are", async (map, entries, keys) => {
  const spec = of(map, entries, { exclusive: true });
  expect((await make(spec))?.entries).toEqual(entries);
  expect(
    dump(map)
      .map(({ key }) => key.map((byte) => byte.slice(2)).join(""))
      .sort(),
  ).toEqual([...keys].sort());
});

test("others are removed where the set is exclusive, though nobody named them", async () => {
  await make(of("pairs", { "10.0.0.1 80": 1, "10.0.0.2 443": 2, "10.0.0.3 22": 3 }));
  const exclusive = of("pairs", { "10.0.0.1 80": 1 }, { exclusive: true });
  expect(Object.keys((await look(exclusive)).there?.entries ?? {})).toHaveLength(3);
  await make(exclusive);
  expect(dump("pairs")).toHaveLength(1);
});

test("they converge from any to any, also after an interruption", async () => {
  const tunnel = fc.record(
    {
      vni: fc.nat({ max: 0xffffff }),
      remote: fc.ipV4(),
      label: fc.constantFrom("a", "bc"),
      state: fc.constantFrom("UP", "DOWN"),
    },
    { requiredKeys: ["vni"] },
  );
  const specs = fc
    .dictionary(fc.constantFrom("11", "12", "13", "10.0.0.14"), tunnel, { minKeys: 1 })
    .map((entries) => ({ program: name, map: "tunnels", entries }));
  await make(of("tunnels", { 1: one }));
  await converges({ kind: mapEntries, specs, run, cases: 12 });
  expect(dump("tunnels")).toHaveLength(1);
});

test.each([
  [
    "a member that is none",
    "tunnels",
    { 1: { vmi: 7 } },
    /"1": has "vmi", and the members are vni, remote, mac/,
  ],
  [
    "a value out of range",
    "tunnels",
    { 1: { hops: [{ port: 65536 }] } },
    /"1": hops\[0\]\.port must be a whole number from 0 to 65535/,
  ],
  [
    "a key that is none",
    "pairs",
    { "10.0.0.1": 1 },
    /"10\.0\.0\.1": is not from port, one space between them/,
  ],
  [
    "a map without types",
    "plain",
    { 1: 1 },
    /the program's types say nothing of it: define it with __type\(key/,
  ],
  ["a map that is not there", "absent", { 1: 1 }, /No such file or directory/],
])("%s is refused by name before anything is written", async (_, map, entries, message) => {
  const before = map === "absent" ? [] : dump(map);
  await expect(make(of(map, entries))).rejects.toThrow(message);
  expect(map === "absent" ? [] : dump(map)).toEqual(before);
});

test("10,000 typed entries are one batch, and a change among them is one line", async () => {
  const entries = Object.fromEntries(
    Array.from({ length: 10_000 }, (__, id) => [
      id,
      { vni: id, remote: `10.${id >> 16}.${(id >> 8) & 255}.${id & 255}` },
    ]),
  );
  const from = Date.now();
  const there = await make(of("tunnels", entries));
  process.stderr.write(
    `10,000 typed entries of 72 bytes looked at, written and read back in ${Date.now() - from} ms\n`,
  );
  expect(there?.entries).toEqual(entries);
  await make(of("tunnels", { ...entries, 5: { vni: 1, remote: "10.9.9.9" } }), 1);
});
