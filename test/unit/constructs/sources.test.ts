import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { packagedSources, readSources } from "../../../constructs/sources";
import { temporaryFolder } from "../../support/folder";

const folder = temporaryFolder();

function write(files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(folder.path, path, ".."), { recursive: true });
    writeFileSync(join(folder.path, path), text);
  }
}

test("a source is read with every header that it includes, beside it or below the folder, and no other", () => {
  write({
    "a/a.bpf.c": '#include <linux/bpf.h>\n#include "a.h"\n # include "common/c.h"\n// #include "no.h"\n',
    "a/a.h": '#include "../common/c.h"\n#include "a.h"\n',
    "common/c.h": "",
    "a/unused.h": "",
  });
  expect(readSources(folder.path, "a/a.bpf.c")).toEqual({
    files: {
      "a/a.bpf.c": expect.any(String),
      "a/a.h": expect.any(String),
      "common/c.h": "",
    },
    problems: [],
  });
});

test("what is not there or outside of the folder is told, and not read", () => {
  write({ "x.c": '#include "../../etc/passwd"\n#include "missing.h"\n' });
  const { files, problems } = readSources(folder.path, "x.c");
  expect(Object.keys(files)).toEqual(["x.c"]);
  expect(problems).toEqual([
    `"../../etc/passwd", which x.c includes, is outside of ${folder.path}`,
    `"missing.h", which x.c includes, is not there: looked in ${folder.path}`,
  ]);
  expect(readSources(folder.path, "/etc/passwd").problems).toEqual([
    `"/etc/passwd" is outside of ${folder.path}`,
  ]);
});

test("the programs of this package are found", () => {
  expect(Object.keys(readSources(packagedSources(), "xdp-pass/xdp-pass.bpf.c").files)).toEqual([
    "xdp-pass/xdp-pass.bpf.c",
  ]);
});

test("several sources are read together, and headers are looked for in the folders of -I", () => {
  write({ "one.c": '#include "in.h"\n', "two.c": '#include "x/x.h"\n', "more/in.h": "", "x/x.h": "" });
  expect(readSources(folder.path, ["one.c", "two.c"], ["-DA", "-Imore"])).toEqual({
    files: expect.objectContaining({ "more/in.h": "", "two.c": expect.any(String), "x/x.h": "" }),
    problems: [],
  });
});
