import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** A real ssh server on 127.0.0.1 with keys of its own, for one test file. */
export interface Sshd {
  readonly port: number;
  /** `ssh-ed25519 AAAA…`, as a host key is pinned. */
  readonly hostKey: string;
  readonly fingerprint: string;
  /** A key that it lets root in with. */
  readonly privateKey: string;
  /** A key that it does not know. */
  readonly strangerKey: string;
  readonly folder: string;
  /** What it logged so far. */
  log(): string;
  stop(): Promise<void>;
}

/** A port on which nobody listens. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

/**
 * Starts a server; needs root.
 *
 * @param options.command what it runs instead of what it is asked to (`ForceCommand`).
 */
export async function startSshd(options: { port?: number; command?: string } = {}): Promise<Sshd> {
  const folder = mkdtempSync(join(tmpdir(), "nlt-sshd-"));
  const path = (name: string) => join(folder, name);
  const read = (name: string) => readFileSync(path(name), "utf8");
  for (const name of ["host", "client", "stranger"])
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path(name)]);
  const port = options.port ?? (await freePort());
  writeFileSync(
    path("config"),
    [
      `Port ${port}`,
      "ListenAddress 127.0.0.1",
      `HostKey ${path("host")}`,
      `AuthorizedKeysFile ${path("client.pub")}`,
      "PermitRootLogin prohibit-password",
      "PasswordAuthentication no",
      "KbdInteractiveAuthentication no",
      "StrictModes no",
      "UsePAM no",
      "PidFile none",
      "LogLevel VERBOSE",
      ...(options.command === undefined ? [] : [`ForceCommand ${options.command}`]),
      "",
    ].join("\n"),
  );
  mkdirSync("/run/sshd", { recursive: true });
  const server = spawn("/usr/sbin/sshd", ["-D", "-f", path("config"), "-E", path("log")], {
    stdio: "ignore",
  });
  const ended = new Promise((resolve) => server.once("exit", resolve));
  const deadline = Date.now() + 10_000;
  while (!(await listens(port))) {
    if (server.exitCode !== null || Date.now() > deadline) throw new Error(`sshd: ${read("log")}`);
    await sleep(20);
  }
  return {
    port,
    hostKey: read("host.pub").trim(),
    fingerprint: execFileSync("ssh-keygen", ["-lf", path("host.pub")], { encoding: "utf8" }).split(" ")[1]!,
    privateKey: read("client"),
    strangerKey: read("stranger"),
    folder,
    log: () => read("log"),
    async stop() {
      server.kill();
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const finish = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("connect", () => finish(true)).once("error", () => finish(false));
  });
}
