import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import fc from "fast-check";
import { absolutePath, batchLine, netnsName, quote, quoteAll, sysctlPath } from "../../../lib/host/quote";

const shells = ["/bin/sh", "/bin/bash", "/bin/dash"].filter((shell) => existsSync(shell));

// Bytes that shells use for their own bookkeeping (0x81 to 0x88 in dash, 0x01 and 0x7f in bash) are wanted too.
const text = fc
  .oneof(
    fc.string({ unit: "binary", maxLength: 60 }),
    fc.string({ unit: fc.constantFrom(..."'\"\\$`!*?[]{}()<>|&;#~ \t\n\r%-=\u0001\u007f\u0081\u0088éǅ") }),
  )
  .map((string) => Buffer.from(string.replaceAll("\0", "")).toString());

test.each(shells)("any text comes through %s as it was, as a word and in a builtin's argument", (shell) => {
  fc.assert(
    fc.property(fc.array(text, { minLength: 1, maxLength: 8 }), (words) => {
      const script = `{\nprintf '%s\\0' ${quoteAll(words)}\n}\n`;
      const printed = execFileSync(shell, { input: script, env: { LC_ALL: "C", PATH: "/usr/bin:/bin" } });
      expect(printed.toString("utf8")).toBe(words.map((word) => `${word}\0`).join(""));
    }),
    { numRuns: 150 },
  );
});

test("a NUL byte is refused", () => {
  expect(() => quote("a\0b")).toThrow("holds a NUL byte");
});

describe("a line of ip -batch", () => {
  test("is the arguments when they are plain words", () => {
    expect(batchLine("ip", ["addr", "add", "fe80::1/64", "dev", "eth0.1@x", "label", "a+b%c,d=e"])).toBe(
      "addr add fe80::1/64 dev eth0.1@x label a+b%c,d=e",
    );
  });

  test("never holds what was not a plain word", () => {
    fc.assert(
      fc.property(text, (word) => {
        if (/^[A-Za-z0-9_.:/@%+,=-]+$/.test(word)) return;
        expect(() => batchLine("ip", ["link", "del", word])).toThrow(
          /^argument 3 of "ip link del" (holds|is empty)/,
        );
      }),
    );
  });

  test("is refused without the value of the argument", () => {
    expect(() => batchLine("ip", ["link", "add", "key", "s3cret word"])).toThrow(/^(?!.*s3cret).*holds " "/);
  });

  test("begins with an object and not with an option", () => {
    expect(() => batchLine("tc", ["-batch", "/etc/x"])).toThrow("begins with an object");
    expect(() => batchLine("tc", [])).toThrow("begins with an object");
  });
});

test.each(["", "-all", ".", "..", "a/b", "a b", "a\n", "$(x)"])("%j names no namespace", (name) => {
  expect(() => netnsName(name)).toThrow("is no name for a network namespace");
});

test.each(["", "/net/ipv4/ip_forward", "net//x", "net/../../etc/passwd", "net/ipv4/", "a\nb", "net/./x"])(
  "%j is no kernel setting",
  (key) => {
    expect(() => sysctlPath(key)).toThrow("is no kernel setting");
  },
);

test.each(["", "etc/x", "/etc/", "/etc/../x", "/etc/a\nb", "/a\0"])("%j is no path", (path) => {
  expect(() => absolutePath(path)).toThrow("is no absolute path");
});
