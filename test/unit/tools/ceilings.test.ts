import { figuresOf, withFigures } from "../../../tools/support/ceilings.mjs";

const table = `Linux 6.1
object       program         instructions verified  largest frame [B]     machine code [B]
classify     shape_download                    333                 40                  777  (no ceiling for this kernel)
geneve-mux   mux_push                        32089                168                27294
`;

test("what bpf/verify prints is read with or without a remark behind it", () => {
  expect(figuresOf(table)).toEqual({
    kernel: "6.1",
    lines: ["6.1 classify shape_download 333 40 777", "6.1 geneve-mux mux_push 32089 168 27294"],
  });
});

test("a table that is none is refused", () => {
  expect(() => figuresOf("error load: Operation not permitted")).toThrow(/Operation not permitted/);
});

test("new ceilings take the place of the kernel's own, and of no other's", () => {
  const before = "# kernel object\n5.10 a b 1 2 3\n6.1 a b 1 2 3\n6.12 a b 1 2 3\n";
  expect(withFigures(before, { kernel: "6.1", lines: ["6.1 a b 4 5 6", "6.1 c d 7 8 9"] })).toBe(
    "# kernel object\n5.10 a b 1 2 3\n6.1 a b 4 5 6\n6.1 c d 7 8 9\n6.12 a b 1 2 3\n",
  );
});

test("a kernel that has none yet is put between older and newer ones", () => {
  const before = "# kernel object\n5.10 a b 1 2 3\n6.12 a b 1 2 3\n";
  expect(withFigures(before, { kernel: "6.6", lines: ["6.6 a b 4 5 6"] })).toBe(
    "# kernel object\n5.10 a b 1 2 3\n6.6 a b 4 5 6\n6.12 a b 1 2 3\n",
  );
  expect(withFigures(before, { kernel: "6.18", lines: ["6.18 a b 4 5 6"] })).toBe(
    "# kernel object\n5.10 a b 1 2 3\n6.12 a b 1 2 3\n6.18 a b 4 5 6\n",
  );
});
