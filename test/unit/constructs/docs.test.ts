import { readdirSync, readFileSync } from "node:fs";
import * as nodePath from "node:path";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import ts from "typescript";
import * as netloom from "netloom";

const root = join(__dirname, "../../..");
const folder = join(root, "docs/constructs");
const pages = readdirSync(folder).filter((page) => page.endsWith(".md") && page !== "README.md");

/** The programs of the pages, as files that exist for the compiler alone, beside the stacks. */
const programs = new Map(
  pages.map((page) => {
    const code = /```ts\n([\s\S]*?)```/.exec(readFileSync(join(folder, page), "utf8"))?.[1];
    return [join(root, "stacks", `docs-${page.replace(/\.md$/, "")}.ts`), code ?? ""];
  }),
);

/** What the compiler, with the project's own settings, says of all the programs together. */
function compiled(): string[] {
  const config = ts.readConfigFile(join(root, "tsconfig.json"), (path) => ts.sys.readFile(path));
  const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, root);
  const host = ts.createCompilerHost(options);
  const [readFile, fileExists] = [host.readFile.bind(host), host.fileExists.bind(host)];
  const getSourceFile = host.getSourceFile.bind(host);
  host.readFile = (path) => programs.get(path) ?? readFile(path);
  host.fileExists = (path) => programs.has(path) || fileExists(path);
  host.getSourceFile = (path, ...rest) => {
    const code = programs.get(path);
    return code === undefined ? getSourceFile(path, ...rest) : ts.createSourceFile(path, code, rest[0]);
  };
  const program = ts.createProgram({ rootNames: [...programs.keys()], options, host });
  return [...programs.keys()].flatMap((path) => {
    const source = program.getSourceFile(path);
    const found = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
    return found.map(({ messageText, start }) => {
      const line = source?.getLineAndCharacterOfPosition(start ?? 0).line ?? 0;
      return `${path}:${line + 1}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`;
    });
  });
}

/** Runs a program with an App that plans rather than deploys, and returns the plan. */
function planOf(code: string): readonly netloom.PlannedResource[] {
  let plan: readonly netloom.PlannedResource[] | undefined;
  class PlanningApp extends netloom.App {
    override deploy() {
      plan = netloom.Testing.synth(this);
      return {};
    }
  }
  const modules: Record<string, unknown> = {
    netloom: { ...netloom, App: PlanningApp },
    "@pulumi/pulumi": pulumi,
    "node:path": nodePath,
  };
  const { outputText } = ts.transpileModule(code, {
    compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 },
  });
  const module = { exports: {} };
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- the project's own documentation
  const run = new Function("require", "exports", "module", "__dirname", outputText) as (
    ...args: unknown[]
  ) => void;
  run((name: string) => modules[name], module.exports, module, join(root, "test/fixtures/docs"));
  if (plan === undefined) throw new Error("the program does not deploy its app");
  return plan;
}

describe("the examples in docs/constructs", () => {
  beforeAll(() => {
    pulumi.runtime.setAllConfig({ "project:chronyKeys": "1 MD5 abc" }, ["project:chronyKeys"]);
  });

  test("compile with the project's own settings", () => {
    expect(compiled()).toEqual([]);
  }, 180_000);

  test.each(pages)("of %s runs and is accepted", (page) => {
    const code = programs.get(join(root, "stacks", `docs-${page.replace(/\.md$/, "")}.ts`)) ?? "";
    const plan = planOf(code);
    const told = plan.map(({ path, token, dependsOn }) => {
      const after = dependsOn.length === 0 ? "" : ` after ${dependsOn.join(", ")}`;
      return `${token.split(":").slice(1).join(":")} ${path}${after}`;
    });
    expect(told).toMatchSnapshot();
  });

  test("are there for every construct", () => {
    const constructs = Object.entries(netloom)
      .filter(([, value]) => typeof value === "function" && value.prototype instanceof netloom.Composite)
      .concat(
        Object.entries(netloom).filter(
          ([, v]) => typeof v === "function" && v.prototype instanceof netloom.KernelObject,
        ),
      )
      .map(([name]) => `${name.replace(/(?<!^)([A-Z])/g, "-$1").toLowerCase()}.md`);
    expect(pages).toEqual(expect.arrayContaining(constructs));
    expect(constructs.length).toBeGreaterThanOrEqual(13);
  });
});
