// Running what takes a while, and telling of it. No npm packages here: this runs before there are any.
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { clearInterval, setInterval } from "node:timers";

/** A failure whose message says all there is to say. */
export class SetupError extends Error {}

/** Programs that run for us now, and the first signal that asked us to end. */
const running = new Set();
let received;

/** The signal that asked this process to end, once there was one. */
export const interruptedBy = () => received;

/**
 * From now on a signal to this process goes to the programs it runs, and this process lives on to tidy up after them.
 */
export function outliveSignals() {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => {
      received ??= signal;
      // A terminal's Ctrl-C has reached them already.
      if (signal === "SIGINT" && process.stdin.isTTY) return;
      for (const child of running) child.kill(signal);
    });
  }
}

/** Waits for a program and returns its exit status. */
function run(child) {
  running.add(child);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve(code ?? 128 + (constants.signals[signal] ?? 0)));
  }).finally(() => running.delete(child));
}

/** Runs a step: its seconds tick on a terminal, elsewhere it has one line when it starts and one when it ends. */
export async function step(title, work) {
  const out = process.stderr;
  const began = Date.now();
  const seconds = () => `${Math.round((Date.now() - began) / 1000)} s`;
  out.write(out.isTTY ? `  ${title}` : `  ${title} ...\n`);
  const ticker = out.isTTY ? setInterval(() => out.write(`\r  ${title} (${seconds()})`), 1000) : undefined;
  const close = (outcome) => {
    clearInterval(ticker);
    out.write(
      out.isTTY ? `\r  ${title}: ${outcome} ${seconds()}   \n` : `  ${title}: ${outcome} ${seconds()}\n`,
    );
  };
  try {
    const result = await work();
    close("done in");
    return result;
  } catch (error) {
    close("failed after");
    throw error;
  }
}

/** Runs a program and returns what it printed; a failure shows what it said. */
export async function output(program, args, { env = {}, cwd } = {}) {
  const child = spawn(program, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let everything = "";
  child.stdout.on("data", (data) => {
    stdout += data;
    everything += data;
  });
  child.stderr.on("data", (data) => (everything += data));
  const code = await run(child).catch((error) => {
    everything += error.message;
    return 127;
  });
  if (code !== 0) {
    const lines = everything.trim().split("\n");
    // The cause is often said first, and what it led to last.
    const shown = lines.length <= 40 ? lines : [...lines.slice(0, 15), "...", ...lines.slice(-25)];
    throw new SetupError(`${program} ${args.slice(0, 3).join(" ")} failed:\n${shown.join("\n")}`);
  }
  return stdout;
}

/** Runs a program with this terminal as its own and returns its exit status. */
export async function foreground(program, args, { env = {}, cwd } = {}) {
  try {
    return await run(spawn(program, args, { cwd, env: { ...process.env, ...env }, stdio: "inherit" }));
  } catch (error) {
    throw new SetupError(`${program}: ${error.message}`);
  }
}
