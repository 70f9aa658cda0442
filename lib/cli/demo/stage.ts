import { rmSync } from "node:fs";
import { join } from "node:path";
import type { ConfigMap, OutputMap, Stack } from "@pulumi/pulumi/automation";
import { hostState, stateDifferences, type HostState } from "../../lab/host-state";
import { cacheFolder, Lab, type LabHost, type LabLink } from "../../lab";
import { openLocalStack, packageRoot } from "../local-stack";
import { DemoError, heading, quoted, shown } from "./voice";

/** One demo: the machines it needs, the stack it applies to them, and what it shows on the way. */
export interface Demo {
  readonly summary: string;
  readonly machines: readonly string[];
  readonly links: readonly LabLink[];
  /** The file in `stacks/`, without its ending. */
  readonly program: string;
  config(machine: (name: string) => LabHost): ConfigMap;
  show(stage: Stage): Promise<void>;
}

/** What a demo works with. */
export class Stage {
  constructor(
    readonly lab: Lab,
    private readonly stack: Stack,
  ) {}

  /** Runs a command on a machine and returns what it printed. */
  async run(machine: string, ...argv: string[]): Promise<string> {
    return this.lab.ssh(machine, argv);
  }

  /** `pulumi up` with some of the configuration changed, printed as the CLI prints it. */
  async up(config: ConfigMap = {}, options: { expectNoChanges?: boolean } = {}): Promise<OutputMap> {
    await this.stack.setAllConfig(config);
    return (await this.stack.up({ onOutput: print, color: colour(), suppressProgress: true, ...options }))
      .outputs;
  }

  async destroy(): Promise<void> {
    await this.stack.destroy({ onOutput: print, color: colour(), suppressProgress: true });
  }
}

/** Restores the machines, applies the stack, shows the proof, and takes it all away again unless `keep` is set. */
export async function startDemo(name: string, demo: Demo, { keep }: { keep: boolean }): Promise<void> {
  heading(
    `Restoring ${demo.machines.length === 1 ? "a virtual machine" : `${demo.machines.length} virtual machines`} as remote hosts`,
  );
  const lab = await Lab.up({ names: demo.machines, links: demo.links });
  for (const machine of lab.hosts)
    shown(
      `${machine.name} answers ssh on ${machine.address}:${machine.port}${machine.reused ? " (it was up already)" : ""}`,
    );
  // A machine that has just been restored has never seen this stack: what an earlier one was told is void.
  if (lab.hosts.every((machine) => !machine.reused)) forget(name);

  const stack = await openStack(name, demo, lab);
  const stage = new Stage(lab, stack);
  try {
    if (lab.hosts.some((host) => host.reused)) await stage.destroy();
    const before = await states(demo, lab);
    await demo.show(stage);
    if (keep) return saidKept(name, demo);
    heading("pulumi destroy: the hosts are as they were");
    await stage.destroy();
    compare(before, await states(demo, lab));
    shown("links, addresses, routes, rules, nftables, settings and files are what they were before");
  } catch (error) {
    if (keep) saidKept(name, demo);
    throw error;
  } finally {
    if (!keep) {
      await lab.down();
      forget(name);
    }
  }
}

/** Removes what a run with `--keep` left. */
export async function endDemo(name: string, demo: Demo): Promise<void> {
  const lab = await Lab.up({ names: demo.machines, links: demo.links });
  try {
    if (lab.hosts.every((machine) => machine.reused))
      await new Stage(lab, await openStack(name, demo, lab)).destroy();
  } finally {
    await lab.down();
    forget(name);
  }
  shown("nothing of the demo is left");
}

/** The demo's stack, with its state in the cache folder. */
async function openStack(name: string, demo: Demo, lab: Lab): Promise<Stack> {
  return openLocalStack({
    project: name,
    stack: "demo",
    folder: stateFolder(name),
    program: () => programIn(join(packageRoot(), "dist", "stacks", `${demo.program}.js`)),
    config: demo.config((machine) => lab.host(machine)),
  });
}

/** Evaluates a Pulumi program afresh, as the CLI would in a process of its own, and returns its outputs. */
function programIn(file: string): Promise<Record<string, unknown>> {
  delete require.cache[require.resolve(file)];
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- an import would be evaluated once only
  return Promise.resolve(require(file) as Record<string, unknown>);
}

async function states(demo: Demo, lab: Lab): Promise<HostState[]> {
  return Promise.all(demo.machines.map((machine) => hostState((argv) => lab.ssh(machine, argv))));
}

function compare(before: readonly HostState[], after: readonly HostState[]): void {
  const differences = before.flatMap((state, index) => stateDifferences(state, after[index]!));
  if (differences.length === 0) return;
  quoted(differences.join("\n"));
  throw new DemoError("the hosts are not as they were; see the differences above");
}

function saidKept(name: string, demo: Demo): void {
  heading("Left up");
  for (const machine of demo.machines) console.log(`  npm run lab -- ssh ${machine}`);
  console.log(`  npm run demo -- ${name} --destroy    when you are done`);
}

function stateFolder(name: string): string {
  return join(cacheFolder(), "demo", name);
}

function forget(name: string): void {
  rmSync(stateFolder(name), { recursive: true, force: true });
}

function print(text: string): void {
  process.stdout.write(text);
}

function colour(): "always" | "never" {
  return process.stdout.isTTY ? "always" : "never";
}
