import { join } from "node:path";
import type * as Host from "../host";
import type { HostSession } from "../host/operation";
import { messageOf } from "./errors";
import { startPlugin, type Plugin } from "./server";
import type { SessionOptions } from "./sessions";

// The engine starts the plugin as `pulumi-resource-netloom [flags] ENGINE_ADDRESS`, reads its port from the first
// line of standard output, and stops it with a signal; a Ctrl-C in the user's terminal reaches it too.

const engine = process.argv.slice(2).find((argument) => /^[^-].*:\d+$/.test(argument));

/** Reaching hosts needs more code than a preview does: it is loaded with the first host. */
function openSession({ address, credentials, stateDirectory }: SessionOptions): HostSession {
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- on purpose late, and synchronous
  const host = require("../host") as typeof Host;
  if (stateDirectory === undefined) return host.openSession(address, credentials);
  const folders = { state: join(stateDirectory, "state"), run: join(stateDirectory, "run") };
  return host.openSession(address, credentials, { folders });
}

/** Ends the sessions, so that nothing of ours is left on this machine or a host, and then the process. */
function stopOn(plugin: Plugin): void {
  let ending = false;
  const stop = (code: number) => {
    if (ending) return;
    ending = true;
    void plugin.stop().finally(() => process.exit(code));
  };
  process.on("SIGINT", () => stop(0));
  process.on("SIGTERM", () => stop(0));
  process.on("SIGHUP", () => stop(0));
  // An engine that was killed says nothing: our parent is then another one.
  const parent = process.ppid;
  setInterval(() => process.ppid === parent || stop(0), 1000).unref();
}

process.on("unhandledRejection", (error) => console.error(`pulumi-resource-netloom: ${messageOf(error)}`));

startPlugin({ openSession, ...(engine !== undefined && { engine }) }).then(
  (plugin) => {
    stopOn(plugin);
    console.log(String(plugin.port));
  },
  (error: unknown) => {
    console.error(`pulumi-resource-netloom: ${messageOf(error)}`);
    process.exit(1);
  },
);
