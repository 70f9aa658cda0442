import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import type { ConfigMap, EngineEvent, OutputMap, PulumiFn, Stack } from "@pulumi/pulumi/automation";
import { openLocalStack } from "../../lib/cli/local-stack";
import { cacheFolder } from "../../lib/lab/paths";

/** The real engine on inline programs, with the plugin as a user runs it: built, in a process of its own. */

const root = join(__dirname, "..", "..");

/** One resource in a run. */
export interface ResourceStep {
  readonly op: string;
  readonly urn: string;
  readonly type: string;
  readonly name: string;
  /** By property path: `add`, `update`, `delete`, or one of them with `-replace`. */
  readonly detail: Readonly<Record<string, string>>;
}

/** How a run ended. */
export interface Run {
  readonly ok: boolean;
  /** How many resources each operation was for; the stack and the provider count too. */
  readonly summary: Readonly<Record<string, number>>;
  /** Resources of the plugin, without those that stay the same. */
  readonly changes: readonly ResourceStep[];
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
  readonly outputs: OutputMap;
  /** Everything that was printed. */
  readonly log: string;
}

/** What a run may be given. */
export interface RunOptions {
  /** Replaces the stack's program from now on. */
  readonly program?: PulumiFn;
  readonly parallel?: number;
  /** Returns a failed run rather than throwing. */
  readonly mayFail?: boolean;
  /** Fails when something changes. */
  readonly expectNoChanges?: boolean;
  readonly onEvent?: (event: EngineEvent) => void;
}

/** A stack in a temporary folder. */
export interface TestStack {
  readonly stack: Stack;
  /** Holds the workspace and the state. */
  readonly folder: string;
  up(options?: RunOptions): Promise<Run>;
  preview(options?: RunOptions): Promise<Run>;
  refresh(options?: RunOptions): Promise<Run>;
  destroy(options?: RunOptions): Promise<Run>;
  /** Runs the CLI in the workspace. */
  cli(...args: string[]): { readonly status: number; readonly output: string };
  /** The state file as it is on disk. */
  stateText(): string;
  /** Removes the folder; what is on hosts stays. */
  remove(): void;
}

/** What a stack is made of. */
export interface TestStackOptions {
  readonly program: PulumiFn;
  readonly project?: string;
  readonly name?: string;
  readonly config?: ConfigMap;
  readonly env?: Readonly<Record<string, string>>;
  /** `attached`: the plugin runs already (PULUMI_DEBUG_PROVIDERS). @default "built" */
  readonly plugin?: "built" | "attached";
}

/** Makes a stack of an inline program. */
export async function engineStack(options: TestStackOptions): Promise<TestStack> {
  const { project = "netloom-test", name = "dev", plugin = "built" } = options;
  pulumiOnPath();
  const folder = mkdtempSync(join(tmpdir(), "nlt-engine-"));
  const home = join(folder, "home");
  mkdirSync(home);
  if (plugin === "built") ensureBuilt();
  const stack = await openLocalStack({
    project,
    stack: name,
    folder,
    program: options.program,
    config: options.config,
    env: { PULUMI_HOME: home, PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS: "true", ...options.env },
  });
  const operation =
    (kind: Operation) =>
    (given: RunOptions = {}) =>
      runOperation(stack, kind, given);
  return {
    stack,
    folder,
    up: operation("up"),
    preview: operation("preview"),
    refresh: operation("refresh"),
    destroy: operation("destroy"),
    cli(...args) {
      const env = { ...process.env, ...stack.workspace.envVars };
      const { status, stdout, stderr } = spawnSync("pulumi", args, { cwd: folder, env, encoding: "utf8" });
      return { status: status ?? -1, output: stdout + stderr };
    },
    stateText: () =>
      readFileSync(join(folder, "state", ".pulumi", "stacks", project, `${name}.json`), "utf8"),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

type Operation = "up" | "preview" | "refresh" | "destroy";

async function runOperation(stack: Stack, kind: Operation, options: RunOptions): Promise<Run> {
  const { mayFail = false, program, onEvent, ...rest } = options;
  if (program !== undefined) stack.workspace.program = program;
  const seen = new Seen();
  const given = {
    ...rest,
    color: "never" as const,
    onOutput: (text: string) => seen.text.push(text),
    onError: (text: string) => seen.text.push(text),
    onEvent: (event: EngineEvent) => {
      seen.event(event);
      onEvent?.(event);
    },
  };
  try {
    let outputs: OutputMap = {};
    if (kind === "up") outputs = (await stack.up(given)).outputs;
    else if (kind === "preview") await stack.preview(given);
    else if (kind === "refresh") await stack.refresh(given);
    else await stack.destroy(given);
    const run = seen.run(true, outputs);
    // The stack itself is a resource: with none at all, the program never reached the engine.
    if (kind === "up" && Object.keys(run.summary).length === 0) throw new Error("the program did not run");
    return run;
  } catch (error) {
    seen.text.push(String(error));
    if (!mayFail) throw new Error(`pulumi ${kind} failed:\n${seen.text.join("")}`, { cause: error });
    return seen.run(false, {});
  }
}

/** What the engine said during a run. */
class Seen {
  readonly text: string[] = [];
  readonly #changes = new Map<string, ResourceStep>();
  readonly #errors: string[] = [];
  readonly #warnings: string[] = [];
  #summary: Record<string, number> = {};

  event(event: EngineEvent): void {
    const metadata = (event.resourcePreEvent ?? event.resOutputsEvent)?.metadata;
    if (
      metadata !== undefined &&
      metadata.type.startsWith("netloom:") &&
      !["same", "refresh", "read"].includes(String(metadata.op))
    ) {
      const detail = Object.entries(metadata.detailedDiff ?? {}).map(([path, { diffKind }]) => [
        path,
        diffKind,
      ]);
      const step = {
        op: String(metadata.op),
        urn: metadata.urn,
        type: metadata.type,
        name: metadata.urn.split("::").at(-1) ?? "",
        detail: Object.fromEntries(detail) as Record<string, string>,
      };
      this.#changes.set(`${step.op} ${step.urn}`, step);
    }
    if (event.diagnosticEvent !== undefined) {
      const { severity, message } = event.diagnosticEvent;
      if (severity === "error") this.#errors.push(message.trim());
      if (severity === "warning") this.#warnings.push(message.trim());
    }
    if (event.summaryEvent !== undefined) this.#summary = event.summaryEvent.resourceChanges;
  }

  run(ok: boolean, outputs: OutputMap): Run {
    return {
      ok,
      outputs,
      summary: this.#summary,
      changes: [...this.#changes.values()],
      errors: this.#errors,
      warnings: this.#warnings,
      log: this.text.join(""),
    };
  }
}

/** The folder of the plugin as it is built. */
export function pluginFolder(): string {
  ensureBuilt();
  return join(root, "lib", "provider", "bin");
}

let built = false;

/** Compiles into dist/ when a source is newer than what was compiled from it. */
export function ensureBuilt(): void {
  if (built) return;
  const build = join(root, "tools", "support", "build.mjs");
  const script = `import(${JSON.stringify(build)}).then((m) => m.ensureBuild())`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ["-e", script], {
    cwd: root,
    encoding: "utf8",
  });
  const main = join(root, "dist", "lib", "provider", "main.js");
  if (!existsSync(main)) throw new Error(`dist/ cannot be built (${status}):\n${stdout}${stderr}`);
  if (statSync(main).mtimeMs < statSync(join(root, "lib", "provider", "main.ts")).mtimeMs) {
    throw new Error(`dist/ is older than the sources and cannot be built:\n${stdout}${stderr}`);
  }
  built = true;
}

/** The pinned CLI, where none is on PATH: `npm run setup` builds it there. */
function pulumiOnPath(): void {
  const folders = (process.env.PATH ?? "").split(delimiter);
  if (folders.some((folder) => existsSync(join(folder, "pulumi")))) return;
  const pinned = join(cacheFolder(), "pulumi-v3.250.0");
  if (!existsSync(join(pinned, "pulumi"))) throw new Error("there is no pulumi on PATH: npm run setup");
  process.env.PATH = [pinned, ...folders].join(delimiter);
}
