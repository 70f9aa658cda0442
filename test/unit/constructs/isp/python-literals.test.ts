import fc from "fast-check";
import {
  parsePythonAssignments,
  renderPythonValue,
} from "../../../../constructs/isp/libreqos/python-literals";
import type { PyValue } from "../../../../constructs/isp/libreqos/python-literals";

const { value } = fc.letrec<{ value: PyValue }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    fc.constantFrom<PyValue>(null, true, false),
    fc.integer(),
    fc.string({ unit: "binary" }),
    fc
      .double({ noNaN: true, noDefaultInfinity: true })
      .filter((n) => !Object.is(n, -0))
      .map((float): PyValue => ({ float })),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.array(tie("value"), { maxLength: 3 }).map((tuple): PyValue => ({ tuple })),
    fc.array(fc.tuple(fc.string(), tie("value")), { maxLength: 3 }).map((dict): PyValue => ({ dict })),
  ),
}));

describe("Python values", () => {
  it("come back the same after they were written", () => {
    fc.assert(
      fc.property(fc.array(value, { maxLength: 4 }), (values) => {
        const text = values.map((one, i) => `v${i} = ${renderPythonValue(one)}\n`).join("");
        const { assignments, skipped } = parsePythonAssignments(text);
        expect(skipped).toEqual([]);
        expect(assignments).toEqual(values.map((one, i) => ({ name: `v${i}`, value: one, row: i + 1 })));
      }),
    );
  });

  it.each<[string, PyValue]>([
    ["'a\\'b' \"c\"", "a'bc"],
    ["r'\\n'", "\\n"],
    ["'\\x41\\u00e9\\101\\q'", "AéA\\q"],
    ["-5", -5],
    ["1_000.5e1", { float: 10_005 }],
    [".5", { float: 0.5 }],
    ["(1,)", { tuple: [1] }],
    ["(1)", 1],
    ["()", { tuple: [] }],
    ["{'a': [1, 2,], }", { dict: [["a", [1, 2]]] }],
  ])("may be written as %s", (text, expected) => {
    expect(parsePythonAssignments(`x = ${text}  # so\n`).assignments[0]?.value).toEqual(expected);
  });

  it.each([
    "1 + 1",
    "os.system('reboot')",
    "[x for x in y]",
    "{1, 2}",
    "'a' % 1",
    "f'x'",
    "b'x'",
    "'open",
    "[1 2]",
    "1.2.3",
    "12abc",
    "lambda: 0",
    "(1",
    "",
  ])("are not taken from %s, and what follows is still read", (text) => {
    const { assignments, skipped } = parsePythonAssignments(`x = ${text}\n`);
    expect(assignments).toEqual([]);
    expect(skipped).toEqual([{ row: 1, name: "x", reason: expect.any(String) }]);
    if (text === "(1") return;
    expect(parsePythonAssignments(`x = ${text}\ny = 2\n`).assignments).toEqual([
      { name: "y", value: 2, row: 2 },
    ]);
  });

  it("are found in any text without an end or a crash", () => {
    const piece = fc.constantFrom(
      "x",
      "=",
      " ",
      "\n",
      "'",
      '"',
      "'''",
      "[",
      "]",
      "(",
      ")",
      "{",
      "}",
      ",",
      ":",
      "#",
      "\\",
      "1",
      ".5",
      "None",
      "if",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        const text = pieces.join("");
        const { assignments, skipped } = parsePythonAssignments(text);
        expect(assignments.length + skipped.length).toBeLessThanOrEqual(text.split("\n").length + 1);
      }),
      { numRuns: 2_000 },
    );
    expect(parsePythonAssignments(`x = ${"[".repeat(100_000)}`).skipped[0]?.reason).toBe(
      "brackets more than 50 deep",
    );
  });
});
