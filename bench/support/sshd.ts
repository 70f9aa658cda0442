import { spawn, type ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type AddressInfo } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";

/** An sshd of our own on the loopback address, with keys made for this run. */
export interface LoopbackSshd {
  readonly port: number;
  readonly user: string;
  readonly privateKeyFile: string;
  readonly privateKey: string;
  /** `ssh-ed25519 AAAA…` */
  readonly hostKey: string;
  /** Options that make `ssh` reach it without looking at the user's own configuration. */
  readonly sshOptions: readonly string[];
  /** Connections accepted so far. */
  connections(): number;
  stop(): void;
}

/** Starts it and waits until it accepts connections. */
export async function startSshd(): Promise<LoopbackSshd> {
  const folder = mkdtempSync(join(tmpdir(), "netloom-bench-sshd-"));
  const hostKeyFile = join(folder, "host");
  const privateKeyFile = join(folder, "user");
  for (const file of [hostKeyFile, privateKeyFile])
    await execa("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", file]);
  writeFileSync(join(folder, "authorized_keys"), readFileSync(`${privateKeyFile}.pub`), { mode: 0o600 });
  const port = await freePort();
  const log = join(folder, "log");
  writeFileSync(
    join(folder, "sshd_config"),
    [
      `Port ${port}`,
      "ListenAddress 127.0.0.1",
      `HostKey ${hostKeyFile}`,
      `AuthorizedKeysFile ${join(folder, "authorized_keys")}`,
      `PidFile ${join(folder, "pid")}`,
      "PasswordAuthentication no",
      "PermitRootLogin prohibit-password",
      "StrictModes no",
      "UsePAM no",
      "UseDNS no",
      // A dial for each object opens many at once; the default would drop some of them at random.
      "MaxStartups 500",
      "MaxSessions 500",
      "LogLevel VERBOSE",
      "",
    ].join("\n"),
  );
  mkdirSync("/run/sshd", { recursive: true });
  const child: ChildProcess = spawn("/usr/sbin/sshd", ["-D", "-f", join(folder, "sshd_config"), "-E", log], {
    stdio: "ignore",
  });
  for (let tries = 0; !(await accepts(port)); tries++) {
    if (tries > 100 || child.exitCode !== null)
      throw new Error(`sshd did not start: ${readFileSync(log, "utf8")}`);
    await sleep(50);
  }
  const knownHosts = join(folder, "known_hosts");
  const hostKey = readFileSync(`${hostKeyFile}.pub`, "utf8").split(" ").slice(0, 2).join(" ");
  writeFileSync(knownHosts, `[127.0.0.1]:${port} ${hostKey}\n`);
  return {
    port,
    user: userInfo().username,
    privateKeyFile,
    privateKey: readFileSync(privateKeyFile, "utf8"),
    hostKey,
    sshOptions: [
      "-F",
      "none",
      "-i",
      privateKeyFile,
      "-o",
      `UserKnownHostsFile=${knownHosts}`,
      "-o",
      "BatchMode=yes",
      "-p",
      String(port),
    ],
    connections: () =>
      readFileSync(log, "utf8")
        .split("\n")
        .filter((line) => line.includes("Accepted publickey")).length,
    stop: () => {
      child.kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => (socket.destroy(), resolve(true)));
    socket.once("error", () => resolve(false));
  });
}
