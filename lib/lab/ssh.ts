import { readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { execa } from "execa";

import { LabError } from "./errors";

/** How to reach a machine over ssh. */
export interface SshTarget {
  /** Holds the known hosts file and the socket of the shared connection. */
  readonly folder: string;
  readonly port: number;
  readonly hostKey: string;
  readonly privateKeyFile: string;
}

/** Writes an argument vector as one line for a POSIX shell; every word arrives as it was, whatever it holds. */
export const quoted = (argv: readonly string[]): string =>
  argv
    .map((word) => (/^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`))
    .join(" ");

/** The options for a machine: only its own key on either side, and nothing of the user's configuration. */
export function sshOptions(target: SshTarget, user = "root"): string[] {
  const settings = {
    IdentitiesOnly: "yes",
    IdentityFile: target.privateKeyFile,
    StrictHostKeyChecking: "yes",
    UserKnownHostsFile: join(target.folder, "known_hosts"),
    GlobalKnownHostsFile: "/dev/null",
    PreferredAuthentications: "publickey",
    ConnectTimeout: "10",
    // Whoever comes through the shared connection is root, whatever name is given.
    ControlPath: user === "root" ? join(target.folder, "ssh.sock") : "none",
    LogLevel: "ERROR",
  };
  return [
    ...["-F", "none", "-p", String(target.port)],
    ...Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}="${value}"`]),
  ];
}

/** Writes the known hosts file that {@link sshOptions} names. */
export function writeKnownHosts(target: SshTarget): void {
  writeFileSync(join(target.folder, "known_hosts"), `[127.0.0.1]:${target.port} ${target.hostKey}\n`);
}

/**
 * Opens the connection that all later commands share: a dial costs a second on an emulated processor, a command over
 * the shared connection a tenth.
 */
export async function openSharedConnection(target: SshTarget): Promise<void> {
  // The connection outlives the command that opens it and would keep a pipe open for ever: a file takes its words.
  const log = join(target.folder, "ssh.log");
  writeFileSync(log, "");
  const lasting = ["-o", "ControlPersist=yes", "-o", "ServerAliveInterval=15", "-E", log, "-fNM"];
  const opened = await execa("ssh", [...sshOptions(target), ...lasting, "root@127.0.0.1"], {
    stdio: "ignore",
    reject: false,
  });
  if (opened.exitCode !== 0)
    throw new LabError(`ssh: ${readFileSync(log, "utf8").trim() || "the dial failed"}`);
}

/** Closes the shared connection; without one nothing happens. */
export async function closeSharedConnection(target: SshTarget): Promise<void> {
  await execa("ssh", [...sshOptions(target), "-O", "exit", "root@127.0.0.1"], {
    stdio: "ignore",
    reject: false,
  });
}

/** What a command on a machine gave. */
export interface SshResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs an argument vector on a machine; root's commands go over the shared connection. */
export async function sshRun(
  target: SshTarget,
  argv: readonly string[],
  options: { readonly input?: string; readonly user?: string; readonly timeoutMs?: number } = {},
): Promise<SshResult> {
  const user = options.user ?? "root";
  const result = await execa("ssh", [...sshOptions(target, user), `${user}@127.0.0.1`, "--", quoted(argv)], {
    ...(options.input === undefined ? { stdin: "ignore" as const } : { input: options.input }),
    ...(options.timeoutMs === undefined ? {} : { timeout: options.timeoutMs }),
    reject: false,
    stripFinalNewline: false,
  });
  if (result.timedOut) throw new LabError(`${quoted(argv)}: no end after ${options.timeoutMs} ms`);
  if (result.exitCode === undefined) throw new LabError(`ssh: ${result.shortMessage ?? "could not be run"}`);
  return { exitCode: result.exitCode, stdout: result.stdout, stderr: result.stderr };
}

/** Waits until an ssh server speaks on a port of 127.0.0.1. */
export async function awaitSsh(port: number, withinMs: number, stillThere: () => boolean): Promise<void> {
  const deadline = Date.now() + withinMs;
  // Each try is work for the machine: one that is slow to answer must not drown in them.
  let patience = 2000;
  for (;;) {
    const began = Date.now();
    if (await speaks(port, patience)) return;
    if (Date.now() - began > patience / 2) patience = Math.min(patience * 2, 30_000);
    if (!stillThere()) throw new LabError("the machine ended while it was starting");
    if (Date.now() > deadline)
      throw new LabError(`no ssh on 127.0.0.1:${port} within ${Math.round(withinMs / 1000)} s`);
    await sleep(50);
  }
}

/** The forwarded port accepts at once whether or not anybody listens behind it: only the server's banner counts. */
function speaks(port: number, patienceMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const finish = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(patienceMs, () => finish(false));
    socket.once("data", (data) => finish(data.toString("latin1").startsWith("SSH-")));
    socket.once("error", () => finish(false));
    socket.once("close", () => finish(false));
  });
}
