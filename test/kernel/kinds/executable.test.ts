import { execFileSync } from "node:child_process";
import { appendFileSync, existsSync, rmSync, statSync, writeFileSync } from "node:fs";
import * as fc from "fast-check";
import { executable, executableDigest, executablePath } from "../../../lib/kinds/executable";
import { converges } from "../../support/converge";
import { closeShared, run } from "../../support/host";

const name = `nlt-${process.pid}`;
const owner = { owner: "netloom:test" };

const input = (greeting: number, code = "", flags: string[] = []) => ({
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
});

test("an executable converges from any sources to any others, also after an interruption", async () => {
  const specs = fc.constantFrom(input(1), input(2), input(1, "", ["-DMORE=3"]));
  await converges({ kind: executable, specs, run, cases: 6, interruptions: 1 });
  expect(existsSync(fileOf(parse(1)))).toBe(false);
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
