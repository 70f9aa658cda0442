import { execa } from "execa";
import type { Connection } from "./transport";

/**
 * Starts a program whose three streams are ours. It gets a session of its own: a Ctrl-C in the user's terminal
 * reaches us, and must not cut a batch in two on its way through the process group. When we end, however we
 * end, the program reads the end of its standard input and ends too.
 */
export function connectionOf(file: string, args: readonly string[]): Connection {
  const child = execa(file, args, {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
    buffer: false,
    reject: false,
    detached: true,
    cleanup: false,
    env: { LC_ALL: "C" },
  });
  // A write to a process that has ended is no news: its end is.
  child.stdin.on("error", () => {});
  return {
    stdin: child.stdin,
    stdout: child.stdout,
    stderr: child.stderr,
    ended: child.then((result) => ({ exitCode: result.exitCode, signal: result.signal, code: result.code })),
    kill: () => void child.kill("SIGKILL"),
  };
}
