import { homedir } from "node:os";
import { join, resolve } from "node:path";

import { LabError } from "./errors";

/** What a unix socket path may measure (`sockaddr_un.sun_path`, with its terminating zero). */
const socketPathLimit = 107;

/** ssh binds its control socket under a temporary name, longer than the final one by this much. */
const longestSocketName = "ssh.sock".length + ".0123456789abcdef".length;

/** The cache folder of the project: `NETLOOM_CACHE`, else `netloom` in the user's cache folder. */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  if (env.NETLOOM_CACHE) return resolve(env.NETLOOM_CACHE);
  return join(env.XDG_CACHE_HOME ? resolve(env.XDG_CACHE_HOME) : join(homedir(), ".cache"), "netloom");
}

/** Where images and their snapshots are kept. */
export const imagesFolder = (): string => join(cacheFolder(), "lab", "images");

/** Where labs that run keep their disks, sockets and records. */
export const runFolder = (): string => join(cacheFolder(), "lab", "run");

/** The folder of one lab. */
export const labFolder = (lab: string): string => join(runFolder(), checkedName("lab", lab));

/** The folder of one machine of a lab. */
export function machineFolder(lab: string, machine: string): string {
  const folder = join(labFolder(lab), checkedName("machine", machine));
  if (folder.length + 1 + longestSocketName > socketPathLimit) {
    throw new LabError(
      `${folder}: too long for the sockets of a machine; set NETLOOM_CACHE to a folder with a shorter path`,
    );
  }
  return folder;
}

/** Names become host names and folders, so they keep to what both may hold. */
export function checkedName(what: "lab" | "machine", name: string): string {
  if (!/^[a-z][a-z0-9-]{0,30}$/.test(name) || name.endsWith("-")) {
    throw new LabError(
      `${JSON.stringify(name)} cannot name a ${what}: a lower-case letter first, then at most 30 letters, digits or hyphens`,
    );
  }
  return name;
}
