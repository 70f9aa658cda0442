import type { z } from "zod";
import { files } from "../../../lib/kinds/files";
import { stays } from "../../../lib/kinds/files/folders";
import type { Facts } from "../../../lib/kinds/step";

type Input = z.input<typeof files.schema>;

const spec = (given: Input["files"], directory = "/etc/app") =>
  files.schema.parse({ directory, files: given });
const problems = (given: object) =>
  (
    files.schema.safeParse({ directory: "/etc/app", files: { a: { content: "" } }, ...given }).error
      ?.issues ?? []
  ).map(({ path, message }) => `${path.join(".")}: ${message}`);
type State = ReturnType<typeof spec>;
const plan = (current: State | undefined, desired: State | undefined) =>
  files
    .plan(current, desired, { owner: "" })
    .map((step) =>
      step.tool === "remove"
        ? [step.tool, step.path, ...(step.prune ?? [])]
        : [step.tool, "path" in step ? step.path : ""],
    );

const text = (content: string) => ({ content });

describe("files in their canonical form", () => {
  test("modes have four digits, defaults are filled in, and paths are sorted", () => {
    const parsed = spec({ b: { content: "x", mode: "600" }, a: text("y") });
    expect(Object.entries(parsed.files)).toEqual([
      ["a", { content: "y", mode: "0644", owner: "root:root" }],
      ["b", { content: "x", mode: "0600", owner: "root:root" }],
    ]);
    expect(files.schema.parse(parsed)).toEqual(parsed);
  });

  test.each<[object, RegExp]>([
    [{ directory: "etc/app" }, /^directory: .*not an absolute path/],
    [{ directory: "/" }, /^directory: is the root/],
    [{ directory: "/etc/" }, /^directory: has an empty part/],
    [{ directory: "/etc/../root" }, /^directory: has "\.\." in it/],
    [{ directory: "/etc//x" }, /^directory: has an empty part/],
    [{ directory: "/proc/sys" }, /^directory: .*Sysctls/],
    [{ files: { "/a": text("") } }, /absolute/],
    [{ files: { "../a": text("") } }, /has "\.\." in it/],
    [{ files: { "a/./b": text("") } }, /has "\." in it/],
    [{ files: { "a\nb": text("") } }, /control character/],
    [{ files: { "a/": text("") } }, /empty part/],
    [{ files: {} }, /holds no file/],
    [{ files: { a: text(""), "a/b": text("") } }, /^files\.a: is a folder of another file/],
    [{ files: { a: text("x\0y") } }, /^files\.a\.content: holds a NUL byte/],
    [{ files: { a: text("\ud800") } }, /^files\.a\.content: is no UTF-8/],
    [{ files: { a: { content: "", mode: "rwx" } } }, /^files\.a\.mode: .*octal/],
    [{ files: { a: { content: "", owner: "root" } } }, /^files\.a\.owner: .*user and a group/],
    [{ files: { a: { content: "", owner: "root:$(id)" } } }, /^files\.a\.owner: /],
  ])("%j is refused", (given, message) => {
    expect(problems(given).join("\n")).toMatch(message);
  });

  test("what a shell would run is text like any other", () => {
    const hostile = "$(id) `id`; rm -rf / 'x'";
    expect(spec({ [hostile.replaceAll("/", "")]: text(hostile) }).files).toHaveProperty(
      [hostile.replaceAll("/", ""), "content"],
      hostile,
    );
  });
});

describe("plans", () => {
  test.each<[string, State | undefined, State | undefined, string[][]]>([
    [
      "all of them",
      undefined,
      spec({ b: text(""), a: text("") }),
      [
        ["write", "/etc/app/a"],
        ["write", "/etc/app/b"],
      ],
    ],
    ["nothing for what is there", spec({ a: text("1") }), spec({ a: text("1") }), []],
    [
      "the one that differs",
      spec({ a: text("1"), b: text("1") }),
      spec({ a: text("1"), b: text("2") }),
      [["write", "/etc/app/b"]],
    ],
    [
      "a mode alone",
      spec({ a: text("1") }),
      spec({ a: { content: "1", mode: "0600" } }),
      [["write", "/etc/app/a"]],
    ],
    [
      "one that is wanted no longer, after what is new",
      spec({ a: text("") }),
      spec({ b: text("") }),
      [
        ["write", "/etc/app/b"],
        ["remove", "/etc/app/a", "/etc/app"],
      ],
    ],
    [
      "the end, with the folders that it leaves empty",
      spec({ "x/y/a": text("") }),
      undefined,
      [["remove", "/etc/app/x/y/a", "/etc/app/x/y", "/etc/app/x", "/etc/app"]],
    ],
    [
      "a file that becomes a folder",
      spec({ a: text("") }),
      spec({ "a/b": text("") }),
      [
        ["remove", "/etc/app/a", "/etc/app"],
        ["write", "/etc/app/a/b"],
      ],
    ],
    [
      "a folder that becomes a file",
      spec({ "a/b": text("") }),
      spec({ a: text("") }),
      [
        ["remove", "/etc/app/a/b", "/etc/app/a", "/etc/app"],
        ["write", "/etc/app/a"],
      ],
    ],
    [
      "the end, in a folder of the system's",
      spec({ "10-x.conf": text("") }, "/etc/sysctl.d"),
      undefined,
      [["remove", "/etc/sysctl.d/10-x.conf"]],
    ],
  ])("%s", (_, current, desired, steps) => {
    expect(plan(current, desired)).toEqual(steps);
  });

  test.each([
    "/etc",
    "/srv",
    "/home/me",
    "/etc/sysctl.d",
    "/etc/systemd/network",
    "/usr/local/bin",
    "/var/lib",
  ])("%s stays", (folder) => {
    expect(stays(folder)).toBe(true);
  });

  test.each([
    "/etc/libreqos",
    "/opt/app",
    "/var/lib/app",
    "/home/me/app",
    "/etc/systemd/system/x.service.d",
    "/usr/local/share/app",
  ])("%s goes when nothing is left in it", (folder) => {
    expect(stays(folder)).toBe(false);
  });
});

describe("looking", () => {
  const there = { "/etc/app/a": { content: "1", mode: "0644", owner: "root:root" } };
  const facts: Facts = {
    get: (query) => ({
      ok: true,
      value: Object.fromEntries(
        Object.entries(there).filter(([path]) => query.tool === "file" && query.paths.includes(path)),
      ),
    }),
  };

  test("one query a file, so that any set of them finds its own", () => {
    expect(files.queries(spec({ a: text(""), "b/c": text("") }))).toEqual([
      { tool: "file", paths: ["/etc/app/a"] },
      { tool: "file", paths: ["/etc/app/b/c"] },
    ]);
  });

  test("what is there of the sets that were ever wanted", () => {
    expect(files.observe(facts, [spec({ b: text("") }), spec({ a: text("") })])?.files).toEqual(
      spec({ a: text("1") }).files,
    );
    expect(files.observe(facts, [spec({ b: text("") })])).toBeUndefined();
  });
});

test("an id reads like a path, and two sets in one directory have two", () => {
  expect(files.identity(spec({ a: text("") }))).toEqual(["etc", "app", "files"]);
  expect(files.identity({ ...spec({ a: text("") }), name: "more" })).toEqual(["etc", "app", "more"]);
  expect(files.locate(["etc", "app", "files"])).toBeUndefined();
});

test.each([
  ["writing /etc/app/a failed: chown: invalid user: 'x:x'", /the host knows/],
  ["writing /etc/app/a failed: mkdir: cannot create directory: Read-only file system", /read-only/],
  ["writing /etc/app/a failed: a folder is in its place", /Remove it/],
  ["writing /etc/app/a failed: No space left on device", /full/],
])("%s is explained", (said, meaning) => {
  const told = files.explain?.(said, spec({ a: text("") }));
  expect(told).toContain(said);
  expect(told).toMatch(meaning);
});
