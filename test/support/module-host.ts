import { execa } from "execa";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectionOf } from "../../lib/host/connection";
import { HostError } from "../../lib/host/operation";
import { Session } from "../../lib/host/session";
import { objectsOn } from "./lab-objects";

/**
 * This machine with another kernel's modules: what builds, installs and loads a module is played by scripts in a mount
 * namespace (`module-host.sh`), so that what the host says can be tried where no module can be loaded. Needs root.
 */
export function moduleHost() {
  const folder = mkdtempSync(join(tmpdir(), "nlt-modules-"));
  let holder: ChildProcess | undefined;
  let session: Session;
  const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  const within = (...argv: string[]) => ["-t", String(holder?.pid), "-m", "env", path, ...argv];

  beforeAll(async () => {
    holder = spawn("unshare", ["-m", "env", path, "sh", join(__dirname, "module-host.sh"), folder], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    // It ends only if it cannot be made.
    await Promise.race([once(holder.stdout!, "data"), once(holder, "exit")]);
    if (holder.exitCode !== null) throw new Error("no mount namespace for a host with modules");
    session = new Session(
      "edge",
      {
        connect: () => connectionOf("nsenter", within("sh")),
        explain: (_, stderr) => Promise.resolve({ error: new HostError(stderr), retry: false }),
        dialled() {},
        close() {},
      },
      { gatherMs: 1, folders: { state: "/var/lib/netloom-test", run: "/run/netloom-test" } },
    );
  });
  afterAll(async () => {
    await session?.close();
    if (holder?.exitCode === null) {
      holder.kill();
      await once(holder, "exit");
    }
    rmSync(folder, { recursive: true, force: true });
  });

  /** A shell script on that host: what an administrator might do there. */
  const sh = async (script: string) => (await execa("nsenter", within("sh", "-ec", script))).stdout.trim();
  return { ...objectsOn(() => session), sh };
}
