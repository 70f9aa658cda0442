import { Scrubber } from "../../../lib/provider/secrets";

const scrub = (secret: unknown, text: string) =>
  Scrubber.of({ values: { secret, plain: "10.0.0.1" }, secrets: [["secret"]] }).scrub(text);

describe("taking secrets out of text", () => {
  test.each([
    ["a word", "hunter2", "said hunter2.", "said [secret]."],
    ["a word in another case", "Hunter2", "said HUNTER2", "said [secret]"],
    ["characters of regular expressions", "a.b*(c)", "x a.b*(c) y aXb", "x [secret] y aXb"],
    ["a number", 4711, "key 4711 and 14711 and 47110", "key [secret] and 14711 and 47110"],
    ["a small number", 1, "key 1 on 10.0.0.1, mtu 1400", "key [secret] on 10.0.0.1, mtu 1400"],
    ["a number as a dotted quad", 0x01020304, "ikey 1.2.3.4 okey 1.2.3.4.", "ikey [secret] okey [secret]."],
    ["a number in hexadecimal", 0xdeadbeef, "key 0xdeadbeef", "key [secret]"],
    ["a dotted quad as a number", "0.0.18.103", "key 4711", "key [secret]"],
    ["a number given as text", "4711", "ikey 0.0.18.103", "ikey [secret]"],
    ["a text in JSON", 'a"b\nc', 'in {"x":"a\\"b\\nc"}', 'in {"x":"[secret]"}'],
    ["one line of several", "first line here\nsecond line here", "bad: second line here", "bad: [secret]"],
    [
      "values inside",
      { a: ["alpha-secret"], b: { c: "beta-secret" } },
      "alpha-secret beta-secret",
      "[secret] [secret]",
    ],
    ["a secret that contains another", ["abcdef", "abcdefghi"], "abcdefghi abcdef", "[secret] [secret]"],
    ["nothing", "", "as it is", "as it is"],
    ["a boolean", true, "true", "true"],
  ])("%s", (_, secret, text, expected) => {
    expect(scrub(secret, text)).toBe(expected);
  });

  test("what is not secret stays readable", () => {
    expect(scrub("hunter2", "10.0.0.1 is taken")).toBe("10.0.0.1 is taken");
  });
});
