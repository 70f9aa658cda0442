import * as fc from "fast-check";
import { mapEntries } from "../../../lib/kinds/bpf/map-entries";
import type { Shape } from "../../../lib/kinds/bpf/shapes";
import {
  decodeTyped,
  decodeTypedKey,
  encodeTyped,
  encodeTypedKey,
  type TypedValue,
} from "../../../lib/kinds/bpf/typed";

const number = (size: number, more: { signed?: boolean; big?: boolean } = {}): Shape => ({
  kind: "number",
  size,
  signed: false,
  big: false,
  ...more,
});
const list = (of: Shape, count: number): Shape => ({ kind: "array", of, count, size: of.size * count });
const struct = (size: number, members: Record<string, [number, Shape]>): Shape => ({
  kind: "struct",
  size,
  members: Object.entries(members).map(([name, [offset, shape]]) => ({ name, offset, shape })),
});

const hop = struct(8, { address: [0, number(4)], port: [4, number(2, { big: true })] });
/** `pad` fills the gap before what is after it. */
const tunnel = struct(64, {
  vni: [0, number(4)],
  remote: [4, number(4, { big: true })],
  mac: [8, list(number(1), 6)],
  pad: [14, number(2)],
  hops: [16, list(hop, 2)],
  name: [32, { kind: "text", size: 16 }],
  state: [48, { kind: "enum", size: 4, values: { DOWN: 0, UP: 1 } }],
  link: [52, { kind: "opaque", size: 8, what: "a pointer" }],
  delta: [60, number(4, { signed: true })],
});

test("members are bytes where the compiler put them, in the order that their types say", () => {
  const value = {
    vni: 7,
    remote: "10.0.0.1",
    mac: "02:00:00:00:00:0A",
    hops: [{ address: "192.0.2.1", port: 258 }],
    name: "müx",
    state: "UP",
    delta: -2,
  };
  const bytes = encodeTyped(tunnel, value);
  expect(Buffer.from(bytes).toString("hex")).toBe(
    "07000000" +
      "0a000001" +
      "02000000000a" +
      "0000" +
      "c0000201" +
      "0102" +
      "0000" +
      "00".repeat(8) +
      "6dc3bc78" +
      "00".repeat(12) +
      "01000000" +
      "00".repeat(8) +
      "feffffff",
  );
  expect(decodeTyped(tunnel, bytes, value)).toEqual(value);
});

test("what was written otherwise on the host is told in the words of what was wanted, member by member", () => {
  const wanted = { vni: 7, remote: "10.0.0.1", mac: "02:00:00:00:00:01" };
  const bytes = encodeTyped(tunnel, { vni: 7, remote: "10.0.0.9", mac: "02:00:00:00:00:01", delta: 5 });
  expect(decodeTyped(tunnel, bytes, wanted)).toEqual({ ...wanted, remote: "10.0.0.9" });
  expect(decodeTyped(hop, [1, 0, 0, 0, 0, 2, 0, 0])).toEqual({ address: 1, port: 2 });
});

test.each<[string, Shape, TypedValue, string]>([
  ["a member that is none", tunnel, { vmi: 7 }, 'has "vmi", and the members are vni, remote, mac, pad, hops'],
  [
    "a number too large",
    tunnel,
    { hops: [{ port: 65536 }] },
    "hops[0].port must be a whole number from 0 to 65535",
  ],
  [
    "an address of another family",
    tunnel,
    { remote: "::1" },
    "remote must be a whole number from 0 to 4294967295, or an IPv4",
  ],
  ["too many items", tunnel, { hops: [{}, {}, {}] }, "hops has 3 items, and there is room for 2"],
  ["a text too long", tunnel, { name: "x".repeat(17) }, "name is longer than its 16 bytes"],
  ["a word that is no value of an enum", tunnel, { state: "SIDEWAYS" }, "state must be one of DOWN, UP"],
  ["a pointer", tunnel, { link: 1 }, "link is a pointer, which cannot be written"],
  ["a list where a struct is", tunnel, { hops: [[1]] }, "hops[0] must be an object of address, port"],
  ["digits that are too few", list(number(1), 4), "0102", "must be 8 hexadecimal digits or a list"],
  [
    "a prefix with host bits",
    struct(8, { prefixlen: [0, number(4)], data: [4, list(number(1), 4)] }),
    "10.0.0.1/8",
    "has host bits set: the network is 10.0.0.0/8",
  ],
])("%s is refused by the member's name", (_, shape, value, message) => {
  expect(() => encodeTyped(shape, value)).toThrow(message);
});

describe("keys", () => {
  const trie = struct(8, { prefixlen: [0, number(4)], address: [4, number(4, { big: true })] });
  const flow = struct(12, { from: [0, number(4, { big: true })], pad: [4, number(4)], port: [8, number(4)] });

  test.each<[Shape, string, string, string]>([
    [trie, "lpm_trie", "10.1.0.0/16", "100000000a010000"],
    [flow, "hash", "10.0.0.1 80", "0a0000010000000050000000"],
    [number(4), "array", "7", "07000000"],
    [number(4), "hash", "10.0.0.1", "0a000001"],
    [list(number(1), 6), "hash", "02:00:00:00:00:01", "020000000001"],
    [{ kind: "text", size: 4 }, "hash", "eth0", "65746830"],
    [number(2), "hash", "0x0102", "0102"],
  ])("%# are bytes by their members", (shape, _, key, bytes) => {
    expect(Buffer.from(encodeTypedKey(shape, key)).toString("hex")).toBe(bytes);
  });

  test("that nobody named are read so that they can be written again, whatever they hold", () => {
    const nested = struct(12, { a: [0, list(number(2), 2)], b: [4, number(8)] });
    const shapes = fc.constantFrom<[Shape, string]>(
      [trie, "lpm_trie"],
      [flow, "hash"],
      [nested, "hash"],
      [number(8), "hash"],
      [{ kind: "text", size: 6 }, "hash"],
    );
    fc.assert(
      fc.property(
        shapes,
        fc.array(fc.nat({ max: 255 }), { minLength: 12, maxLength: 12 }),
        ([shape, type], all) => {
          // The length of a trie's prefix is what the kernel lets in.
          const bytes = all
            .slice(0, shape.size)
            .map((byte, nth) => (type !== "lpm_trie" ? byte : nth === 0 ? 32 : nth < 4 ? 0 : byte));
          expect(encodeTypedKey(shape, decodeTypedKey(shape, bytes, type))).toEqual(bytes);
        },
      ),
    );
    expect(decodeTypedKey(trie, [16, 0, 0, 0, 10, 1, 0, 0], "lpm_trie")).toBe("10.1.0.0/16");
  });

  test("with the wrong number of members say which there are", () => {
    expect(() => encodeTypedKey(flow, "10.0.0.1")).toThrow("is not from port, one space between them");
  });
});

test("values of any members come back as they were written", () => {
  const members = fc.record(
    {
      vni: fc.nat({ max: 0xffff_ffff }),
      remote: fc.ipV4(),
      mac: fc.array(fc.nat({ max: 255 }), { minLength: 6, maxLength: 6 }),
      name: fc.string({ unit: "grapheme-ascii", maxLength: 16 }),
      state: fc.constantFrom("UP", "DOWN", 1),
      delta: fc.integer(),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(members, (value) => {
      expect(decodeTyped(tunnel, encodeTyped(tunnel, value), value)).toEqual(value);
    }),
  );
});

test("fields of a key go with those of a value", () => {
  const key = [{ name: "key", type: "u32" }];
  const spec = mapEntries.schema.parse({ program: "a", map: "m", key, entries: { 1: 1 } });
  expect(mapEntries.check?.(spec)).toEqual([
    { path: ["key"], message: "goes with value: give the fields of both, or of neither" },
  ]);
});
