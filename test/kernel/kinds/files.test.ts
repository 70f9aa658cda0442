import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import type { z } from "zod";
import { files } from "../../../lib/kinds/files";
import { converges } from "../../support/converge";
import { temporaryFolder } from "../../support/folder";
import { closeShared, run } from "../../support/host";

const temporary = temporaryFolder();
const directory = join(temporary.path, "conf");

type Input = z.input<typeof files.schema>;
const owner = { owner: "netloom:test" };

afterAll(closeShared);

/** Text that a shell would take for more than text. */
const hostile = "$(id) `id` ; rm -rf / 'x' \"y\" \\ ${HOME}\n\tß → end without a line end";

const file = fc.record({
  content: fc.oneof(
    fc.constantFrom("", "one\n", "\n\n", hostile),
    fc.string({ unit: "binary", maxLength: 300 }).filter((text) => !/[\0\ufffd]/.test(text)),
  ),
  mode: fc.constantFrom(undefined, "0600", "755", "4755", "0000"),
  owner: fc.constantFrom(undefined, "root:root", "nobody:nogroup"),
});

/** Names that are files in one spec and folders in another. */
const paths = fc.uniqueArray(
  fc.constantFrom("a", "a/b", "a/b/c", "d/e", "d", "x.conf", "with space", "$(id)", "ü", "-rf"),
  {
    minLength: 1,
    maxLength: 6,
  },
);

const specs: fc.Arbitrary<Input> = paths
  .map((list) => list.filter((one) => !list.some((other) => other.startsWith(`${one}/`))))
  .chain((list) =>
    fc.record({
      directory: fc.constant(directory),
      files: fc.record(Object.fromEntries(list.map((path) => [path, file]))),
    }),
  );

test("files converge from any to any others, also after an interruption", async () => {
  await converges({ kind: files, specs, run, cases: 30 });
  expect(existsSync(directory)).toBe(false);
});

const wanted = files.schema.parse({
  directory,
  files: { "app.conf": { content: "a = 1\n" }, "conf.d/10-x.conf": { content: "x\n", mode: "600" } },
});
const observe = async () => files.observe(await run([], files.queries(wanted)), [wanted]);

describe("files changed behind our back", () => {
  beforeEach(async () => {
    await run(files.plan(await observe(), wanted, owner));
    expect(await observe()).toEqual(wanted);
  });

  test("text that was changed shows, and that file alone is written", async () => {
    writeFileSync(join(directory, "app.conf"), "a = 2\n");
    expect((await observe())?.files["app.conf"]?.content).toBe("a = 2\n");
    expect(files.plan(await observe(), wanted, owner)).toEqual([
      {
        tool: "write",
        path: join(directory, "app.conf"),
        file: { content: "a = 1\n", mode: "0644", owner: "root:root" },
      },
    ]);
  });

  test("a mode that was changed shows", async () => {
    chmodSync(join(directory, "conf.d/10-x.conf"), 0o644);
    expect((await observe())?.files["conf.d/10-x.conf"]?.mode).toBe("0644");
  });

  test("one that was deleted is missing; with all of them the set is not there", async () => {
    rmSync(join(directory, "app.conf"));
    expect(Object.keys((await observe())?.files ?? {})).toEqual(["conf.d/10-x.conf"]);
    rmSync(directory, { recursive: true });
    expect(await observe()).toBeUndefined();
  });

  test("deleting leaves the files of others, and the folders that they are in", async () => {
    writeFileSync(join(directory, "conf.d/mine.conf"), "mine\n");
    await run(files.plan(await observe(), undefined, owner));
    expect(readdirSync(directory, { recursive: true }).sort()).toEqual(["conf.d", "conf.d/mine.conf"]);
    expect(readFileSync(join(directory, "conf.d/mine.conf"), "utf8")).toBe("mine\n");
  });

  test("deleting leaves nothing where nobody else is", async () => {
    rmSync(join(directory, "conf.d/mine.conf"), { force: true });
    await run(files.plan(await observe(), undefined, owner));
    expect(readdirSync(temporary.path)).toEqual([]);
  });
});

test("a folder in the place of a file is said to be that, and stays", async () => {
  mkdirSync(join(directory, "app.conf"), { recursive: true });
  const error: unknown = await run(files.plan(await observe(), wanted, owner)).catch(
    (thrown: unknown) => thrown,
  );
  expect(files.explain?.(String(error), wanted)).toMatch(/a folder is in its place.*Remove it/s);
  expect(statSync(join(directory, "app.conf")).isDirectory()).toBe(true);
  rmSync(directory, { recursive: true });
});

test("an owner that the host does not know is named as such, and no file is left", async () => {
  const spec = files.schema.parse({ directory, files: { x: { content: "x", owner: "nl-nobody:root" } } });
  const error: unknown = await run(files.plan(undefined, spec, owner)).catch((thrown: unknown) => thrown);
  expect(files.explain?.(String(error), spec)).toMatch(
    /invalid user.*a user and a group that the host knows/s,
  );
  expect(readdirSync(directory)).toEqual([]);
  rmSync(directory, { recursive: true });
});
