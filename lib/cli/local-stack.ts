import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type ConfigMap, LocalWorkspace, type PulumiFn, type Stack } from "@pulumi/pulumi/automation";

/** A stack that is run from this process, with its state in a folder. */
export interface LocalStack {
  readonly project: string;
  readonly stack: string;
  /** Holds the workspace and the state. */
  readonly folder: string;
  readonly program: PulumiFn;
  readonly config?: ConfigMap;
  /** Added to the CLI's environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * Opens a stack for the Pulumi CLI on PATH to run, with this package's provider. The program runs in this
 * process, so that no language host is needed; nothing is downloaded, and nothing leaves this machine.
 */
export async function openLocalStack({
  project,
  stack,
  folder,
  program,
  config = {},
  env = {},
}: LocalStack): Promise<Stack> {
  const state = join(folder, "state");
  mkdirSync(state, { recursive: true });
  // JSON is YAML; the Automation API's own project settings have no room for plugins.
  const settings = {
    name: project,
    runtime: "nodejs",
    backend: { url: `file://${state}` },
    plugins: { providers: [{ name: "netloom", path: join(packageRoot(), "lib", "provider", "bin") }] },
  };
  writeFileSync(join(folder, "Pulumi.yaml"), JSON.stringify(settings, null, 2));
  const opened = await LocalWorkspace.createOrSelectStack(
    { stackName: stack, projectName: project, program },
    {
      workDir: folder,
      envVars: {
        // The state never leaves the folder; what is secret in it is hidden from a glance, no more.
        PULUMI_CONFIG_PASSPHRASE: "local",
        PULUMI_SKIP_UPDATE_CHECK: "true",
        PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
        ...env,
      },
    },
  );
  await opened.setAllConfig(config);
  return opened;
}

/** The folder of the package, from its sources as from `dist`. */
export function packageRoot(): string {
  let folder = __dirname;
  while (!existsSync(join(folder, "package.json"))) folder = dirname(folder);
  return folder;
}
