import { mkdirSync } from "node:fs";
import { dirname } from "node:path";

import { execa } from "execa";

import { LabError } from "./errors";

/**
 * Runs `work` while holding a lock file, so that two processes do not build one image, or start one machine, twice.
 *
 * The lock is the kernel's (flock), held by a child that lives as long as our end of its standard input is open:
 * however this process ends, the lock is free again and nothing stale is left to judge.
 */
export async function withLock<T>(file: string, work: () => Promise<T>, onWait?: () => void): Promise<T> {
  mkdirSync(dirname(file), { recursive: true });
  const holder = execa("flock", ["--exclusive", file, "sh", "-c", "echo held; exec cat"], {
    stdin: "pipe",
    stdout: "pipe",
    reject: false,
    // A Ctrl-C reaches the whole terminal group: our own end decides when the lock goes.
    detached: true,
    buffer: { stdout: false },
  });
  try {
    const waiting = setTimeout(() => onWait?.(), 500);
    try {
      await held(holder, file);
    } finally {
      clearTimeout(waiting);
    }
    return await work();
  } finally {
    holder.stdin.end();
    await holder;
  }
}

async function held(holder: { stdout: NodeJS.ReadableStream }, file: string): Promise<void> {
  const taken = await new Promise<boolean>((resolve) => {
    holder.stdout.once("data", () => resolve(true));
    holder.stdout.once("end", () => resolve(false));
    holder.stdout.once("error", () => resolve(false));
  });
  if (!taken)
    throw new LabError(`cannot lock ${file}: is the cache folder writable, and util-linux installed?`);
}
