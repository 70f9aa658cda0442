import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { execa, ExecaError } from "execa";
import type { Step } from "../kinds/step";
import { explainBuild } from "./build-tools";
import { StepError, type Decision } from "./operation";

type HereStep = Extract<Step, { tool: "clang" | "cc" }>;

/**
 * Builds what is to be built on the machine that this runs on, and puts the outcome in the place of the build: the
 * host then needs no compiler.
 *
 * @throws StepError when it does not build; the host was not touched
 */
export async function buildHere(decision: Decision, host: string): Promise<Decision> {
  const steps: Step[] = [];
  for (const step of decision.steps)
    steps.push(
      (step.tool === "clang" || step.tool === "cc") && step.here === true ? await built(step, host) : step,
    );
  return { ...decision, steps };
}

async function built({ tool, files, args, object, record }: HereStep, host: string): Promise<Step> {
  const folder = mkdtempSync(join(tmpdir(), "netloom-build-"));
  try {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    const options = { cwd: folder, stdin: "ignore" } as const;
    await execa(tool, [...args, "-o", "out.o"], options);
    const { stdout: version } = await execa(tool, ["--version"], options);
    const content = readFileSync(join(folder, "out.o"));
    const sum = createHash("sha256").update(content).digest("hex");
    return {
      tool: "install",
      content: content.toString("base64"),
      path: object,
      record: { path: record, text: `${sum}\n${version.split("\n", 1)[0] ?? ""}\n` },
    };
  } catch (error) {
    if (!(error instanceof ExecaError)) throw error;
    const message =
      error.code === "ENOENT"
        ? `there is no ${tool} on this machine, which is to build it: install it (package ${tool === "cc" ? "gcc" : tool}), or build on the host`
        : (explainBuild(tool, String(error.stderr)) ?? error.shortMessage);
    throw new StepError(`host "${host}": ${message}`, false);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
