import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { connectionOf } from "./connection";
import type { Credentials, HostAddress } from "./operation";
import { HostError } from "./operation";
import { PrivateFolder } from "./private-folder";
import { quoteAll } from "./quote";
import { type SshAddress, sshAddress } from "./ssh-address";
import { explainSsh, type OfferedKey } from "./ssh-errors";
import type { Transport } from "./transport";

/**
 * What the login shell is asked to run, whichever it is: no `'`, `!` or `\` that a shell of another family
 * would read differently. It ends as root's `sh`, or says what is missing.
 */
const remoteShell =
  `exec sh -c 'if [ "$(id -u)" = 0 ]; then exec sh; fi; ` +
  `command -v sudo >/dev/null || { echo "netloom: no sudo" >&2; exit 127; }; exec sudo -n sh'`;

/**
 * A shell over OpenSSH: the user's configuration, agent and certificates hold. One connection a host; a key
 * given as a credential is a file for as long as the dial takes.
 */
export function sshTransport(address: HostAddress, credentials: Credentials): Transport {
  const folder = new PrivateFolder();
  return {
    connect() {
      const target = sshAddress(address);
      const identity =
        credentials.privateKey === undefined ? [] : identityOptions(folder, credentials.privateKey);
      return connectionOf("ssh", [
        ...commonOptions(target),
        ...identity,
        ...viaJump(target, folder, credentials),
        ...options({ ControlMaster: "auto", ControlPath: join(folder.path, "%C"), ControlPersist: "no" }),
        ...hostKeyOptions(target, address.name, folder),
        "--",
        target.host,
        remoteShell,
      ]);
    },
    async explain(end, stderr) {
      const target = sshAddress(address);
      const failure = await explainSsh(target, end, stderr, () => offeredKey(target, folder, credentials));
      return { error: new HostError(failure.message), retry: failure.retry };
    },
    dialled: () => folder.remove("identity"),
    close: () => folder.remove(),
  };
}

function options(settings: Readonly<Record<string, string>>): string[] {
  return Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
}

function commonOptions(target: SshAddress): string[] {
  return [
    // No terminal, no X11, no agent on the host, none of the forwardings the user's configuration may ask for.
    ...["-T", "-x", "-a"],
    ...options({
      BatchMode: "yes",
      ClearAllForwardings: "yes",
      ServerAliveInterval: "5",
      ServerAliveCountMax: "3",
      ConnectTimeout: "10",
    }),
    ...(target.port === undefined ? [] : ["-p", String(target.port)]),
    ...(target.user === undefined ? [] : ["-l", target.user]),
  ];
}

function identityOptions(folder: PrivateFolder, privateKey: string): string[] {
  // ssh takes a key only with the line ends it wrote itself.
  const path = folder.write("identity", `${privateKey.replaceAll("\r\n", "\n").trim()}\n`);
  return ["-i", path, ...options({ IdentitiesOnly: "yes", IdentityAgent: "none" })];
}

/**
 * ssh passes no identity on to a jump host. Where the key is ours, the jump is made by hand so that it can use
 * the key, besides what the user's configuration and agent have.
 */
function viaJump({ jump }: SshAddress, folder: PrivateFolder, { privateKey }: Credentials): string[] {
  if (!jump) return [];
  if (privateKey === undefined) {
    const host = jump.host.includes(":") ? `[${jump.host}]` : jump.host;
    return ["-J", `${jump.user ? `${jump.user}@` : ""}${host}${jump.port ? `:${jump.port}` : ""}`];
  }
  const command = [
    ...["ssh", "-T", "-x", "-a", "-i", join(folder.path, "identity")],
    ...options({ BatchMode: "yes", StrictHostKeyChecking: "yes", ConnectTimeout: "10" }),
    ...(jump.port === undefined ? [] : ["-p", String(jump.port)]),
    ...(jump.user === undefined ? [] : ["-l", jump.user]),
  ];
  const words = quoteAll([...command]).replaceAll("%", "%%");
  return options({ ProxyCommand: `${words} -W '[%h]:%p' -- ${quoteAll([jump.host]).replaceAll("%", "%%")}` });
}

/** A pinned key is the only one that counts; without it the user's and the system's known_hosts do. */
function hostKeyOptions({ hostKey }: SshAddress, name: string, folder: PrivateFolder): string[] {
  const strict = options({ StrictHostKeyChecking: "yes" });
  if (hostKey === undefined) return strict;
  const alias = `netloom-${name.replaceAll(/[^A-Za-z0-9_.-]/g, "-")}`;
  const file = folder.write("known_hosts", `${alias} ${hostKey}\n`);
  return [
    ...strict,
    ...options({
      HostKeyAlias: alias,
      UserKnownHostsFile: file,
      GlobalKnownHostsFile: "/dev/null",
      UpdateHostKeys: "no",
    }),
  ];
}

/**
 * The key that the host offers, for the error about it: a second dial that takes any key down and goes no
 * further, with nothing shown to the host but the user's name.
 */
async function offeredKey(
  target: SshAddress,
  folder: PrivateFolder,
  credentials: Credentials,
): Promise<OfferedKey | undefined> {
  const file = folder.write("offered", "");
  const argv = [
    ...commonOptions(target),
    ...viaJump(target, folder, credentials),
    ...options({
      StrictHostKeyChecking: "no",
      UserKnownHostsFile: file,
      GlobalKnownHostsFile: "/dev/null",
      HashKnownHosts: "no",
      UpdateHostKeys: "no",
      HostKeyAlias: "offered",
      PreferredAuthentications: "none",
      ControlPath: "none",
    }),
    ...["--", target.host, "true"],
  ];
  await execa("ssh", argv, { stdio: "ignore", reject: false, timeout: 20_000, env: { LC_ALL: "C" } });
  const [, type, key] = readFileSync(file, "utf8").trim().split(/\s+/);
  folder.remove("offered");
  return type && key ? { type, key, fingerprint: fingerprint(key) } : undefined;
}

/** A public key's fingerprint as `ssh-keygen -l` prints it. */
export function fingerprint(key: string): string {
  return `SHA256:${createHash("sha256").update(Buffer.from(key, "base64")).digest("base64").replace(/=+$/, "")}`;
}
