import { executable, executableDigest, executablePath } from "../../../lib/kinds/executable";
import { queryKey, type Fact, type Facts } from "../../../lib/kinds/step";

const input = { name: "probe", units: ["a.c"], sources: { "a.c": "int main;", "a.h": "" } };
const spec = executable.schema.parse(input);
const file = executablePath("probe", executableDigest(spec));

/** A host on which the executable is as it came out of gcc 12. */
function facts(compiler: string, sum = "a".repeat(64)): Facts {
  const record = `${"a".repeat(64)}\ngcc 12\n`;
  const values: Record<string, unknown> = {
    sha256sum: { [file]: sum },
    file: { [`${file}.record`]: { content: record, mode: "0644", owner: "root:root" } },
    cc: compiler,
  };
  return { get: (query): Fact => ({ ok: true, value: values[query.tool] ?? queryKey(query) }) };
}

test.each([
  "-o/etc/passwd",
  "-fplugin=x.so",
  "@file",
  "-Wl,-rpath,/tmp",
  "-I../..",
  "-include/etc/shadow",
  "-B/tmp",
  "-specs=x",
  "-wrapper",
  "a.c",
  "",
])("%j is no flag of a compiler", (flag) => {
  expect(executable.schema.safeParse({ ...input, flags: [flag] }).success).toBe(false);
});

test.each([
  "-DX=1",
  "-UX",
  "-Og",
  "-g",
  "-Wall",
  "-Wno-unused",
  "-std=gnu11",
  "-Iinclude/x",
  "-march=x86-64-v2",
  "-pthread",
  "-static",
])("%j is one", (flag) => {
  expect(executable.schema.parse({ ...input, flags: [flag] }).flags).toEqual([flag]);
});

test.each(["../m", "-lm", "m x", "$(id)", ""])("%j is no library", (library) => {
  expect(executable.schema.safeParse({ ...input, libraries: [library] }).success).toBe(false);
});

test.each([
  "usr/local/sbin/probe",
  "/usr/../etc/probe",
  "/usr/local/sbin/",
  "/proc/1/x",
  "/var/lib/netloom/x",
  "/a b",
])("%j is no place for a link", (link) => {
  expect(executable.schema.safeParse({ ...input, link }).success).toBe(false);
});

test("what is compiled must be among the sources, and what is reported cannot be set", () => {
  const wrong = executable.schema.parse({ ...input, units: ["a.c", "b.c"], problem: "none" });
  expect(executable.check?.(wrong)).toEqual([
    { path: ["problem"], message: "is reported: it cannot be set" },
    { path: ["units", 1], message: '"b.c" is not among the sources' },
  ]);
  expect(executable.schema.safeParse({ ...input, units: [] }).success).toBe(false);
  expect(executable.schema.safeParse({ ...input, units: ["a.c", "a.c"] }).success).toBe(false);
});

test("every text, flag, library and path is in its digest", () => {
  const others = [
    { ...input, units: ["a.h"] },
    { ...input, sources: { ...input.sources, "a.h": " " } },
    { ...input, flags: ["-g"] },
    { ...input, libraries: ["m"] },
    { ...input, libraries: ["m", "z"] },
    { ...input, libraries: ["z", "m"] },
  ];
  expect(new Set([input, ...others].map(executableDigest)).size).toBe(7);
  expect(executableDigest({ ...input, flags: [], libraries: [] })).toBe(executableDigest(input));
});

test("is as wanted on a host with the compiler that built it, and on one that has none any more", () => {
  expect(executable.observe(facts("gcc 12"), [spec])).toEqual(spec);
  expect(executable.observe(facts(""), [spec])).toEqual(spec);
});

test("is built again in its own place, and never removed before that", () => {
  for (const there of [facts("gcc 13"), facts("gcc 12", "b".repeat(64))]) {
    const current = executable.observe(there, [spec]);
    expect(current).toMatchObject({ sources: {}, stale: [file] });
    expect(executable.plan(current, spec, { owner: "x" })).toEqual([
      expect.objectContaining({ tool: "cc", object: file, args: ["-O2", "-Wall", "-I.", "a.c"] }),
    ]);
    expect(executable.plan(current, undefined, { owner: "x" }).map(({ tool }) => tool)).toEqual([
      "remove",
      "remove",
    ]);
  }
});
