import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** A process that cannot be mistaken for a later one with the same id. */
export interface ProcessIdentity {
  readonly pid: number;
  /** When it started, in clock ticks since this computer booted. */
  readonly started: string;
}

/** Reads who a process is; undefined when there is none. */
export function identify(pid: number): ProcessIdentity | undefined {
  const stat = contentOf(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The name, in brackets, may hold spaces and brackets: count from the last one.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state, started] = [fields[0], fields[19]];
  return started === undefined || state === "Z" || state === "X" ? undefined : { pid, started };
}

/** This process. */
export const self = (): ProcessIdentity => identify(process.pid) ?? { pid: process.pid, started: "" };

/** Whether that very process still runs. */
export const alive = (who: ProcessIdentity): boolean => identify(who.pid)?.started === who.started;

/** The process of the machine whose folder this is; undefined when it does not run. */
export function machineProcess(folder: string): ProcessIdentity | undefined {
  const file = join(folder, "pid");
  const pid = Number(contentOf(file));
  const who = Number.isInteger(pid) && pid > 1 ? identify(pid) : undefined;
  // The id may long belong to another process: ours has the file's name among its arguments.
  return who && contentOf(`/proc/${pid}/cmdline`)?.split("\0").includes(file) === true ? who : undefined;
}

/** Ends a process: asks, waits, insists. */
export async function terminate(who: ProcessIdentity, patienceMs = 3000): Promise<void> {
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    if (!alive(who)) return;
    try {
      process.kill(who.pid, signal);
    } catch {
      return; // It ended in between.
    }
    await ended(who, patienceMs);
  }
}

/** Waits until a process has ended; false when it still runs after the time given. */
export async function ended(who: ProcessIdentity, withinMs: number): Promise<boolean> {
  const deadline = Date.now() + withinMs;
  while (alive(who)) {
    if (Date.now() > deadline) return false;
    await sleep(20);
  }
  return true;
}

function contentOf(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}
