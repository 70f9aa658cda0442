import { createHash } from "node:crypto";
import { existsSync, mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";

import { LabError } from "./errors";
import type { Image } from "./image";
import { withLock } from "./lock";
import { bootPatienceMs, connectTo, consoleOf, launch, recordOf } from "./machine";
import { claim, removeLab } from "./owners";
import { labFolder, machineFolder } from "./paths";
import { ended, machineProcess } from "./processes";
import { qemuVersion, runProgram } from "./programs";
import { step, type Progress } from "./progress";
import { machineFiles, macsOf, qemuArguments, savedTag } from "./qemu";
import { Qmp } from "./qmp";
import { closeSharedConnection, sshRun } from "./ssh";

/** A disk over an image's base, with the state of a machine that has booted saved inside it. */
export interface SavedState {
  readonly disk: string;
}

/**
 * Run once before saving, so that these programs are in the page cache of every machine that wakes up. None of them
 * loads a module or changes anything.
 */
const warmUp = `
ip -d -j link >/dev/null; ip -j address >/dev/null; ip -j route >/dev/null; tc -j qdisc >/dev/null
nft --version >/dev/null; sysctl -a >/dev/null 2>&1; bpftool version >/dev/null
sudo -u admin sudo -n true; ping -c1 127.0.0.1 >/dev/null; sha256sum /etc/hosts >/dev/null
systemctl is-system-running >/dev/null; sync
`;

/** The saved state of an image; it is made (boot once, save) unless the cache has it. */
export async function savedStateOf(image: Image, progress: Progress = step): Promise<SavedState> {
  const version = await qemuVersion();
  const key = stateKey(image, version);
  const disk = join(image.folder, `saved-${key}.qcow2`);
  if (!existsSync(disk)) {
    await withLock(join(image.folder, `saved-${key}.lock`), async () => {
      if (existsSync(disk)) return;
      await progress(`lab image: Debian ${image.release} first boot`, () =>
        save(image, disk, `saving-${key}`),
      );
    });
  }
  return { disk };
}

/** A saved state depends on the hardware it was saved with and on the version of QEMU, down to the build. */
function stateKey(image: Image, version: string): string {
  const macs = macsOf("", "");
  const sample = qemuArguments({
    title: "",
    image: { kernel: "", ...(image.initrd === undefined ? {} : { initrd: "" }), base: "" },
    disk: "",
    folder: "",
    sshPort: 0,
    macs,
  });
  const text = JSON.stringify([image.key, version, sample, warmUp]);
  return createHash("sha256").update(text).digest("hex").slice(0, 12);
}

async function save(image: Image, target: string, lab: string): Promise<void> {
  const folder = machineFolder(lab, "lab");
  await removeLab(labFolder(lab));
  claim(labFolder(lab));
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  try {
    const disk = join(folder, machineFiles.disk);
    await runProgram("qemu-img", ["create", "-q", "-f", "qcow2", "-F", "raw", "-b", image.base, disk]);
    const port = await launch({ title: `netloom-${lab}`, folder, image, disk, macs: macsOf("", "") });
    const machine = recordOf("lab", folder, image, port);
    await connectTo(machine, bootPatienceMs);
    await mustSucceed(machine, ["systemctl", "is-system-running", "--wait"]);
    await mustSucceed(machine, ["sh", "-ec", warmUp]);
    await closeSharedConnection(machine);
    await powerOffSaved(folder);
    renameSync(disk, target);
  } catch (error) {
    const last = existsSync(join(folder, machineFiles.console))
      ? consoleOf(folder).trim().split("\n").slice(-5)
      : [];
    throw new LabError([error instanceof Error ? error.message : String(error), ...last].join("\n"));
  } finally {
    await removeLab(labFolder(lab));
  }
}

async function powerOffSaved(folder: string): Promise<void> {
  const running = machineProcess(folder);
  await Qmp.with(join(folder, machineFiles.qmp), async (qmp) => {
    await qmp.monitor(`savevm ${savedTag}`);
    // It may be gone before it has answered.
    await qmp.execute("quit").catch(() => undefined);
  });
  if (running && !(await ended(running, 30_000))) throw new LabError("the saved machine does not end");
}

async function mustSucceed(machine: Parameters<typeof sshRun>[0], argv: string[]): Promise<void> {
  const result = await sshRun(machine, argv, { timeoutMs: bootPatienceMs });
  if (result.exitCode !== 0)
    throw new LabError(`${argv.join(" ")}: ${(result.stderr || result.stdout).trim()}`);
}
