import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { runFolder } from "./paths";
import { alive, machineProcess, self, terminate, type ProcessIdentity } from "./processes";

const ownerFile = "owner.json";

/** Marks a lab as living no longer than this process: a test's, or the one a snapshot is taken in. */
export function claim(labFolder: string): void {
  mkdirSync(labFolder, { recursive: true, mode: 0o700 });
  writeFileSync(join(labFolder, ownerFile), JSON.stringify(self()));
}

/** Ends the machines of labs whose owner has died without tidying up, and removes their folders. */
export async function sweepOrphans(folder = runFolder()): Promise<void> {
  for (const lab of foldersIn(folder)) {
    const owner = ownerOf(lab);
    if (owner && !alive(owner)) await removeLab(lab);
  }
}

/** Ends every machine of a lab and removes its folder. */
export async function removeLab(labFolder: string): Promise<void> {
  for (const machine of foldersIn(labFolder)) {
    const running = machineProcess(machine);
    if (running) await terminate(running);
  }
  rmSync(labFolder, { recursive: true, force: true });
}

/** The folders in a folder; none when it is not there. */
export function foldersIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(folder, entry.name));
}

function ownerOf(labFolder: string): ProcessIdentity | undefined {
  try {
    return JSON.parse(readFileSync(join(labFolder, ownerFile), "utf8")) as ProcessIdentity;
  } catch {
    return undefined;
  }
}
