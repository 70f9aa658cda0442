import { execFileSync } from "node:child_process";

import fc from "fast-check";

import { identityScript } from "../../../lib/lab/identity";
import { cacheFolder, checkedName, machineFolder } from "../../../lib/lab/paths";
import { quoted } from "../../../lib/lab/ssh";

describe("an argument vector as a line for a shell", () => {
  test("leaves plain words as they are", () => {
    expect(quoted(["ip", "-j", "address", "192.0.2.1/24"])).toBe("ip -j address 192.0.2.1/24");
    expect(quoted(["a b", "it's", "", "$(id)", "~", "x;y"])).toBe(`'a b' 'it'\\''s' '' '$(id)' '~' 'x;y'`);
  });

  test("is read back by a shell as the same words, whatever they hold", () => {
    const word = fc.string({ unit: "grapheme" }).filter((text) => !text.includes("\0"));
    fc.assert(
      fc.property(fc.array(word, { minLength: 1, maxLength: 5 }), (words) => {
        const line = `printf '%s\\0' ${quoted(words)}`;
        const read = execFileSync("sh", ["-c", line], { encoding: "utf8" }).split("\0").slice(0, -1);
        expect(read).toEqual(words);
      }),
      { numRuns: 40 },
    );
  });
});

describe("names of machines and labs", () => {
  test.each(["edge", "a", "site-1", "a".repeat(31)])("%p is one", (name) => {
    expect(checkedName("machine", name)).toBe(name);
  });

  test.each(["", "1a", "-a", "a-", "Edge", "a b", "a/b", "..", "a;b", "$(id)", "a\n", "a".repeat(32)])(
    "%p is refused",
    (name) => {
      expect(() => checkedName("machine", name)).toThrow("cannot name a machine");
    },
  );
});

describe("folders", () => {
  test("the cache is where the environment says", () => {
    expect(cacheFolder({ NETLOOM_CACHE: "/c", XDG_CACHE_HOME: "/x" })).toBe("/c");
    expect(cacheFolder({ XDG_CACHE_HOME: "/x" })).toBe("/x/netloom");
    expect(cacheFolder({})).toMatch(/\/\.cache\/netloom$/);
  });

  test("a path too long for a socket is said before anything is started", () => {
    const before = process.env.NETLOOM_CACHE;
    process.env.NETLOOM_CACHE = `/${"d".repeat(80)}`;
    try {
      expect(() => machineFolder("default", "edge")).toThrow(
        "set NETLOOM_CACHE to a folder with a shorter path",
      );
    } finally {
      if (before === undefined) delete process.env.NETLOOM_CACHE;
      else process.env.NETLOOM_CACHE = before;
    }
  });
});

test("a clone is given its name, its addresses and the time", () => {
  const script = identityScript("edge", ["52:54:00:00:00:01", "52:54:00:00:00:02"], 1_700_000_000_123);
  expect(script).toContain("date --utc --set=@1700000000.123");
  expect(script).toContain("hostname edge\n");
  expect(script).toContain("ip link set dev eth2 address 52:54:00:00:00:02");
  const id = (text: string) => /echo ([0-9a-f]{32}) >\/etc\/machine-id/.exec(text)?.[1];
  expect(id(script)).toBeDefined();
  expect(id(identityScript("edge", []))).not.toBe(id(script));
});
