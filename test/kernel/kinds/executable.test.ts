import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { executable, executableDigest, executablePath } from "../../../lib/kinds/executable";
import { converges } from "../../support/converge";
import { closeShared, run } from "../../support/host";

const name = `nlt-${process.pid}`;
const owner = { owner: "netloom:test" };

const folder = mkdtempSync(join(tmpdir(), "nlt-links-"));
const link = join(folder, "sbin", name);

const input = (greeting: number, code = "", flags: string[] = [], more: { readonly link?: string } = {}) => ({
  ...more,
  name,
  units: ["main.c", "lib/greet.c"],
  sources: {
    "main.c": `#include "lib/greet.h"\nint main(void)\n{\n\tgreet();\n\t${code}\n\treturn 0;\n}\n`,
    "lib/greet.c":
      '#include <stdio.h>\n#include "greet.h"\nvoid greet(void) { printf("%d\\n", GREETING + MORE); }\n',
    "lib/greet.h": `#define GREETING ${greeting}\n#ifndef MORE\n#define MORE 0\n#endif\nvoid greet(void);\n`,
  },
  flags,
  libraries: ["m"],
});
const parse = (...args: Parameters<typeof input>) => executable.schema.parse(input(...args));
type Spec = ReturnType<typeof parse>;
const look = async (spec: Spec, ...earlier: Spec[]) =>
  executable.observe(
    await run(
      [],
      [spec, ...earlier].flatMap((one) => executable.queries(one)),
    ),
    [spec, ...earlier],
  );
/** Makes it so, as an update of an earlier one; what is there then. */
async function make(spec: Spec, ...earlier: Spec[]) {
  const steps = executable.plan(await look(spec, ...earlier), spec, owner);
  const facts = await run(steps, executable.queries(spec));
  return executable.observe(facts, [spec]);
}
const fileOf = (spec: Spec) => executablePath(name, executableDigest(spec));
const says = (spec: Spec) => execFileSync(fileOf(spec), { encoding: "utf8" }).trim();

const made: Spec[] = [];
afterAll(async () => {
  for (const spec of made) {
    const current = await look(spec);
    if (current) await run(executable.plan(current, undefined, owner));
  }
  await closeShared();
  rmSync(folder, { recursive: true });
});

test("an executable converges from any sources to any others, also after an interruption", async () => {
  const specs = fc.constantFrom(
    input(1, "", [], { link }),
    input(2, "", [], { link }),
    input(1, "", ["-DMORE=3"], { link: `${link}-other` }),
    input(2),
  );
  await converges({ kind: executable, specs, run, cases: 8, interruptions: 2 });
  expect(existsSync(fileOf(parse(1)))).toBe(false);
  expect(readdirSync(join(folder, "sbin"))).toEqual([]);
});

test("a changed header builds another, which takes the place of the one before", async () => {
  const [one, two] = [parse(1), parse(2, "", ["-DMORE=5"])];
  made.push(one, two);
  expect(await make(one)).toEqual(one);
  expect(says(one)).toBe("1");
  expect(await make(two, one)).toEqual(two);
  expect(says(two)).toBe("7");
  expect(existsSync(fileOf(one))).toBe(false);
  expect(statSync(fileOf(two)).mode & 0o7777).toBe(0o755);
});

test("what does not compile is told with file and line, and the one before stays", async () => {
  const good = parse(3);
  const bad = parse(4, "no_such_function(7)");
  made.push(good);
  await make(good);
  await expect(make(bad, good)).rejects.toThrow(
    /cc could not build it:\n[^]*main\.c:5:\d+: [^]*no_such_function[^]*main\.c:5:[^]*expected/,
  );
  expect(says(good)).toBe("3");
  expect(existsSync(fileOf(bad).replace(/\/[^/]*$/, ""))).toBe(false);
});

test("one that was altered or removed shows as drift, and is built again", async () => {
  const spec = parse(5);
  made.push(spec);
  await make(spec);
  appendFileSync(fileOf(spec), "x");
  expect(await look(spec)).toMatchObject({ sources: {}, problem: "it was altered, or is not whole" });
  expect(await make(spec)).toEqual(spec);
  rmSync(fileOf(spec));
  expect(await look(spec)).toMatchObject({ sources: {} });
  expect(await make(spec)).toEqual(spec);
  expect(says(spec)).toBe("5");
});

test("one that another compiler has built shows as drift, and is built again", async () => {
  const spec = parse(6);
  made.push(spec);
  await make(spec);
  const record = `${fileOf(spec)}.record`;
  const [sum = ""] = execFileSync("cat", [record], { encoding: "utf8" }).split("\n");
  writeFileSync(record, `${sum}\ncc (Ancient) 2.95\n`);
  expect(await look(spec)).toMatchObject({
    sources: {},
    problem: expect.stringMatching(/^it was built by cc \(Ancient\) 2\.95, and the host's compiler is .+/),
  });
  expect(await make(spec)).toEqual(spec);
});

test("what a host lacks is named with what to install", async () => {
  const cases: [object, RegExp][] = [
    [
      { libraries: ["nosuchlibrary"] },
      /install the package that has it for building, such as libnosuchlibrary-dev/,
    ],
    [
      { sources: { ...input(1).sources, "main.c": "#include <no/such.h>\n" } },
      /no\/such\.h[^]*angle brackets is the host's/,
    ],
  ];
  for (const [change, message] of cases) {
    const spec = executable.schema.parse({ ...input(1), ...change });
    const error = await make(spec).catch((thrown: unknown) => String(thrown));
    expect(executable.explain?.(error as string, spec)).toMatch(message);
  }
});

test("a link leads to each version in turn, is made again, moves, and goes when it is not wanted", async () => {
  const linked = (greeting: number, path: string) => parse(greeting, "", [], { link: path });
  const [one, two, moved, none] = [linked(1, link), linked(2, link), linked(2, `${link}-2`), linked(2, "")];
  made.push(one, two, moved, none);
  expect(await make(one)).toEqual(one);
  expect(execFileSync(link, { encoding: "utf8" }).trim()).toBe("1");
  rmSync(link);
  expect(await look(one)).toMatchObject({ link: "", sources: one.sources });
  expect(await make(one)).toEqual(one);
  expect(await make(two, one)).toEqual(two);
  expect(readlinkSync(link)).toBe(fileOf(two));
  expect(await make(moved, two)).toEqual(moved);
  expect([existsSync(link), readlinkSync(`${link}-2`)]).toEqual([false, fileOf(two)]);
  expect(await make(none, moved)).toEqual(none);
  expect([existsSync(`${link}-2`), existsSync(fileOf(two))]).toEqual([false, true]);
});

test("something else in the link's place stays as it is, and is told of before anything is built", async () => {
  mkdirSync(join(folder, "sbin"), { recursive: true });
  const spec = parse(33, "", [], { link });
  const foreign = [
    { put: () => writeFileSync(link, "theirs"), is: () => readFileSync(link, "utf8") === "theirs" },
    { put: () => symlinkSync("/bin/true", link), is: () => readlinkSync(link) === "/bin/true" },
  ];
  for (const { put, is } of foreign) {
    put();
    const facts = await run([], executable.queries(spec));
    expect(() => executable.plan(undefined, spec, { ...owner, facts })).toThrow(
      `something that is not ours is at ${link}: move it away, or give the executable another link`,
    );
    // One that comes in between is met by the step itself.
    const failure = run([{ tool: "symlink", path: link, target: fileOf(spec) }]);
    await expect(failure).rejects.toThrow(`linking ${link} failed: something else is in its place`);
    await failure.catch((error: Error) =>
      expect(executable.explain?.(error.message, spec)).toMatch(/move it away/),
    );
    expect(is()).toBe(true);
    rmSync(link);
  }
  expect(existsSync(fileOf(spec))).toBe(false);
});
