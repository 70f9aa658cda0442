import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { LabError } from "./errors";
import { identityScript } from "./identity";
import type { Image } from "./image";
import { machineProcess, terminate } from "./processes";
import { runProgram } from "./programs";
import { machineFiles, macsOf, qemuArguments, qemuProgram, savedTag } from "./qemu";
import { Qmp } from "./qmp";
import type { Release } from "./recipe";
import type { SavedState } from "./snapshot";
import {
  awaitSsh,
  closeSharedConnection,
  openSharedConnection,
  sshRun,
  writeKnownHosts,
  type SshTarget,
} from "./ssh";

/** A boot takes half a minute on an idle computer, and many times that without a processor to spare or with a kernel that watches itself. */
export const bootPatienceMs = 1_800_000;

/** Waking up takes seconds; with a kernel that watches itself, more. */
const wakePatienceMs = 300_000;

const recordFile = "machine.json";

/** What is known of a machine that is up, kept in its folder. */
export interface MachineRecord extends SshTarget {
  readonly name: string;
  readonly release: Release;
  /** The image it runs on, which must not be pruned. */
  readonly imageFolder: string;
}

/** The record of a machine that is up; undefined for one that is not, or never became ready. */
export function runningMachine(folder: string): MachineRecord | undefined {
  if (!machineProcess(folder)) return undefined;
  try {
    return JSON.parse(readFileSync(join(folder, recordFile), "utf8")) as MachineRecord;
  } catch {
    return undefined;
  }
}

/** Wakes a machine up from the saved state, as a computer of its own: name, machine id, addresses, clock. */
export async function startMachine(
  lab: string,
  name: string,
  folder: string,
  image: Image,
  saved: SavedState,
): Promise<MachineRecord> {
  await stopMachine(folder);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  try {
    const disk = join(folder, machineFiles.disk);
    await runProgram("cp", ["--reflink=auto", "--sparse=auto", saved.disk, disk]);
    const macs = macsOf(lab, name);
    const port = await launch({
      title: `netloom-${lab}-${name}`,
      folder,
      image,
      disk,
      macs,
      wakeFrom: savedTag,
    });
    const record = recordOf(name, folder, image, port);
    await connectTo(record, wakePatienceMs);
    const done = await sshRun(record, ["sh", "-s"], {
      input: identityScript(name, macs),
      timeoutMs: wakePatienceMs,
    });
    if (done.exitCode !== 0) throw new LabError(`${name}: ${done.stderr.trim()}`);
    writeFileSync(join(folder, recordFile), JSON.stringify(record));
    return record;
  } catch (error) {
    await stopMachine(folder);
    throw error;
  }
}

/** The record of a machine on a port, as far as it is known before it runs. */
export const recordOf = (name: string, folder: string, image: Image, port: number): MachineRecord => ({
  name,
  release: image.release,
  imageFolder: image.folder,
  folder,
  port,
  hostKey: image.hostKey,
  privateKeyFile: image.privateKeyFile,
});

/** Starts QEMU and returns the port that leads to the machine's ssh. */
export async function launch(spec: {
  readonly title: string;
  readonly folder: string;
  readonly image: Image;
  readonly disk: string;
  readonly macs: readonly string[];
  readonly wakeFrom?: string;
}): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    const sshPort = await freePort();
    try {
      await runProgram(qemuProgram, qemuArguments({ ...spec, sshPort }), { timeoutMs: 60_000 });
      return sshPort;
    } catch (error) {
      // Somebody else may have taken the port since it was found free.
      if (attempt === 5 || !(error instanceof LabError) || !error.message.includes("host forwarding"))
        throw error;
    }
  }
}

/** Waits for the machine's ssh and opens the shared connection to it. */
export async function connectTo(machine: MachineRecord, withinMs: number): Promise<void> {
  const deadline = Date.now() + withinMs;
  writeKnownHosts(machine);
  for (;;) {
    await awaitSsh(machine.port, deadline - Date.now(), () => machineProcess(machine.folder) !== undefined);
    try {
      return await openSharedConnection(machine);
    } catch (error) {
      // A server that has only just started may still turn somebody away.
      if (Date.now() > deadline) throw error;
      await sleep(300);
    }
  }
}

/** Restarts a machine and waits until it has booted again: an orderly reboot, or as if the power had failed. */
export async function restartMachine(machine: MachineRecord, how: "reboot" | "reset"): Promise<void> {
  const before = await bootId(machine);
  if (how === "reboot") await sshRun(machine, ["systemctl", "reboot"]);
  else await Qmp.with(join(machine.folder, machineFiles.qmp), (qmp) => qmp.execute("system_reset"));
  await closeSharedConnection(machine);
  const deadline = Date.now() + bootPatienceMs;
  for (;;) {
    await awaitSsh(machine.port, deadline - Date.now(), () => machineProcess(machine.folder) !== undefined);
    const now = await bootId(machine);
    if (now !== "" && now !== before) break;
    if (Date.now() > deadline) throw new LabError(`${machine.name} did not come back from its ${how}`);
    await sleep(200);
  }
  await connectTo(machine, deadline - Date.now());
}

/** Ends a machine, if it runs, and forgets all about it. */
export async function stopMachine(folder: string): Promise<void> {
  const record = runningMachine(folder);
  if (record) await closeSharedConnection(record);
  const running = machineProcess(folder);
  if (running) await terminate(running);
  rmSync(folder, { recursive: true, force: true });
}

/** Plugs a data interface's cable in or out, as the machine sees it (carrier). */
export async function setMachineCarrier(folder: string, nic: number, up: boolean): Promise<void> {
  const file = join(folder, machineFiles.qmp);
  await Qmp.with(file, (qmp) => qmp.execute("set_link", { name: `data${nic}`, up }));
}

/** What the machine's console has shown: its kernel's words since it last booted. */
export const consoleOf = (folder: string): string => readFileSync(join(folder, machineFiles.console), "utf8");

/** The machine a folder is named for. */
export const machineNameOf = (folder: string): string => basename(folder);

async function bootId(machine: MachineRecord): Promise<string> {
  const result = await sshRun(machine, ["cat", "/proc/sys/kernel/random/boot_id"], {
    timeoutMs: 30_000,
  }).catch(() => undefined);
  return result?.exitCode === 0 ? result.stdout.trim() : "";
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new LabError("no free port on 127.0.0.1");
  return address.port;
}
