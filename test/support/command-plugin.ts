import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { COMMAND_VERSION } from "../../constructs/host-command";

const NAME = "pulumi-resource-command";

/** The folder of @pulumi/command's plugin on this machine, for PATH; undefined where it has not been installed. */
export function commandPluginFolder(): string | undefined {
  const home = process.env.PULUMI_HOME ?? join(homedir(), ".pulumi");
  const folders = [
    ...(process.env.PATH ?? "").split(delimiter),
    join(home, "plugins", `resource-command-v${COMMAND_VERSION}`),
  ];
  return folders.find((folder) => folder !== "" && existsSync(join(folder, NAME)));
}
