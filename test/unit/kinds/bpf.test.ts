import * as fc from "fast-check";
import { attachment } from "../../../lib/kinds/bpf/attachment";
import { isAlike, mapLayouts, migrationProblem } from "../../../lib/kinds/bpf/btf";
import {
  decodeKey,
  decodeValue,
  encodeKey,
  encodeValue,
  sizeOf,
  type Field,
} from "../../../lib/kinds/bpf/fields";
import { mapEntries } from "../../../lib/kinds/bpf/map-entries";
import { object, objectDigest } from "../../../lib/kinds/bpf/object";
import { program } from "../../../lib/kinds/bpf/program";

const fields = (...types: string[]): Field[] => types.map((type, index) => ({ name: `f${index}`, type }));

describe("fields are bytes", () => {
  test.each<[string, number | string, number[]]>([
    ["u16", 258, [2, 1]],
    ["be16", 258, [1, 2]],
    ["s32", -2, [254, 255, 255, 255]],
    ["u64", "18446744073709551615", new Array<number>(8).fill(255)],
    ["ipv4", "192.0.2.1", [192, 0, 2, 1]],
    ["ipv6", "2001:db8::1", [32, 1, 13, 184, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]],
    ["prefix4", "192.0.2.0/24", [24, 0, 0, 0, 192, 0, 2, 0]],
    ["mac", "02:00:00:00:00:0a", [2, 0, 0, 0, 0, 10]],
    ["bytes:3", "00ff10", [0, 255, 16]],
  ])("%s %s", (type, value, bytes) => {
    expect(encodeValue(fields(type), value)).toEqual(bytes);
    expect(decodeValue(fields(type), bytes)).toBe(value);
    expect([sizeOf(fields(type)), decodeKey(fields(type), encodeKey(fields(type), String(value)))]).toEqual([
      bytes.length,
      String(value),
    ]);
  });

  test("of any whole numbers are read as they were written", () => {
    const layout = fields("u8", "pad:3", "be32", "u32", "s32", "u64");
    const members = fc.record({
      f0: fc.nat({ max: 255 }),
      f2: fc.nat({ max: 0xffff_ffff }),
      f3: fc.nat({ max: 0xffff_ffff }),
      f4: fc.integer(),
      f5: fc.maxSafeNat(),
    });
    fc.assert(
      fc.property(members, (value) => {
        const bytes = encodeValue(layout, value);
        expect(bytes).toHaveLength(24);
        expect(decodeValue(layout, bytes)).toEqual(value);
      }),
    );
  });

  test.each([
    [["u8"], 256, "f0 must be a whole number from 0 to 255"],
    [["u32"], 1.5, "f0 must be a whole number from 0 to 4294967295"],
    [["ipv4"], "$(id)", "f0 must be an IPv4 address such as 192.0.2.1"],
    [["prefix4"], "192.0.2.1/24", "f0 has host bits set: the network is 192.0.2.0/24"],
    [["bytes:2"], "0g00", "f0 must be 4 hexadecimal digits"],
    [["u8", "u8"], 7, "must be an object of f0, f1"],
    [["u8", "u8"], { f0: 1 }, "f1 is missing"],
    [["u8", "u8"], { f0: 1, f1: 2, f2: 3 }, 'has "f2", and the fields are f0, f1'],
  ])("%j does not take %j", (types, value, message) => {
    expect(() => encodeValue(fields(...types), value)).toThrow(message);
  });
});

describe("layouts of maps", () => {
  const int = { id: 1, kind: "INT", name: "int", size: 4, encoding: "SIGNED" };
  /** A map `table` of u32 to a struct of one member, as bpftool prints BTF. */
  const dump = (size: number, member: string, type = 1) => ({
    types: [
      int,
      { id: 2, kind: "ARRAY", name: "(anon)", type_id: 1, nr_elems: type },
      { id: 3, kind: "PTR", name: "(anon)", type_id: 2 },
      { id: 4, kind: "ARRAY", name: "(anon)", type_id: 1, nr_elems: size },
      { id: 5, kind: "PTR", name: "(anon)", type_id: 4 },
      { id: 6, kind: "INT", name: "unsigned int", size: 4, encoding: "(none)" },
      { id: 7, kind: "TYPEDEF", name: "__u32", type_id: 6 },
      { id: 8, kind: "PTR", name: "(anon)", type_id: 7 },
      { id: 9, kind: "STRUCT", name: "v", size: 4, members: [{ name: member, type_id: 7, bits_offset: 0 }] },
      { id: 10, kind: "PTR", name: "(anon)", type_id: 9 },
      {
        id: 11,
        kind: "STRUCT",
        name: "(anon)",
        size: 32,
        members: (
          [
            ["type", 3],
            ["max_entries", 5],
            ["key", 8],
            ["value", 10],
          ] as const
        ).map(([name, type_id]) => ({ name, type_id, bits_offset: 0 })),
      },
      { id: 12, kind: "VAR", name: "table", type_id: 11 },
      { id: 13, kind: "DATASEC", name: ".maps", vars: [{ type_id: 12 }] },
    ],
  });
  const layout = (...args: Parameters<typeof dump>) => mapLayouts(dump(...args)).table!;

  test("are told by type, size and members, and not by names of types", () => {
    expect(layout(8, "rate")).toEqual({
      type: 1,
      key: "u32",
      value: "struct(4){rate@0 u32}",
      rest: "max_entries 8",
    });
    expect(mapLayouts({})).toEqual({});
  });

  test("say what can be taken over", () => {
    expect(isAlike(layout(8, "rate"), layout(8, "rate"))).toBe(true);
    expect(isAlike(layout(8, "rate"), layout(9, "rate"))).toBe(false);
    expect(migrationProblem(layout(8, "rate"), layout(9, "rate"))).toBeUndefined();
    expect(migrationProblem(layout(8, "rate"), layout(8, "burst"))).toBe(
      "its value was struct(4){rate@0 u32} and is struct(4){burst@0 u32}",
    );
    expect(migrationProblem(layout(8, "rate", 5), layout(9, "rate", 5))).toBe("it has a value for each CPU");
  });
});

describe("what a user types", () => {
  const sources = { "a.bpf.c": "" };

  test.each([
    "-o/etc/passwd",
    "-fplugin=x.so",
    "@file",
    "-DX=$(id)",
    "-I../..",
    "-include/etc/shadow",
    "-D X",
    "",
  ])("%j is no flag of a compiler", (flag) => {
    expect(object.schema.safeParse({ name: "a", main: "a.bpf.c", sources, flags: [flag] }).success).toBe(
      false,
    );
  });

  test.each(["../a.c", "/a.c", "a b.c", "$(id).c", "-x.c"])("%j is no path of a source", (path) => {
    expect(object.schema.safeParse({ name: "a", main: path, sources: { [path]: "" } }).success).toBe(false);
  });

  test.each(["a.b", "a/b", "../x", "", "-a", "$(id)"])("%j is no name of pins", (name) => {
    const spec = { name, object: "/x.o", version: "1" };
    expect(program.schema.safeParse(spec).success).toBe(false);
  });

  test.each(["/sys/fs/bpf/netloom/../x", "/sys/fs/bpf/x", "/sys/fs/bpf/netloom/a b", "x"])(
    "%j is no pin",
    (pin) => {
      expect(attachment.schema.safeParse({ link: "v0", hook: "xdp", program: pin }).success).toBe(false);
    },
  );

  test("another spelling of a key or value is told", () => {
    const spec = mapEntries.schema.parse({
      program: "a",
      map: "m",
      key: fields("ipv6"),
      value: fields("u32"),
      entries: { "2001:DB8::1": 1, "2001:db8::2": "2" },
    });
    expect(mapEntries.check?.(spec)).toEqual([
      { path: ["entries", "2001:DB8::1"], message: 'is another spelling of the key: write "2001:db8::1"' },
      { path: ["entries", "2001:db8::2"], message: "is another spelling: write 2" },
    ]);
  });

  test("of sources makes another version with every other text, flag and path, and no other", () => {
    const one = { main: "a.bpf.c", sources: { "a.bpf.c": "x", "b.h": "y" }, flags: ["-DA=1"] };
    const others = [
      { ...one, flags: [] },
      { ...one, sources: { ...one.sources, "b.h": "z" } },
      { ...one, main: "b.h" },
      { ...one, sources: { "a.bpf.c": "x", "c.h": "y" } },
    ];
    const digests = [one, ...others].map(objectDigest);
    expect(new Set(digests).size).toBe(5);
    expect(objectDigest({ ...one, sources: { "b.h": "y", "a.bpf.c": "x" } })).toBe(digests[0]);
  });
});
