import { connectionOf } from "./connection";
import { HostError } from "./operation";
import { explainSudo } from "./ssh-errors";
import type { Transport } from "./transport";

/** A shell on this machine: as it is for root, through `sudo -n` for anybody else. */
export function localTransport(): Transport {
  return {
    connect: () => (process.getuid?.() === 0 ? connectionOf("sh", []) : connectionOf("sudo", ["-n", "sh"])),
    explain(end, stderr) {
      const message =
        end.code === "ENOENT"
          ? "you are not root and sudo is not there: install the package sudo, or run as root"
          : (explainSudo(stderr) ?? `no shell on this machine: ${stderr.trim() || `status ${end.exitCode}`}`);
      return Promise.resolve({ error: new HostError(message), retry: false });
    },
    dialled() {},
    close() {},
  };
}
