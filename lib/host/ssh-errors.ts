import type { SshAddress } from "./ssh-address";
import type { ConnectionEnd } from "./transport";

/** A public key that a host showed. */
export interface OfferedKey {
  readonly type: string;
  /** In base64, as in known_hosts. */
  readonly key: string;
  readonly fingerprint: string;
}

/** What the user is told, and whether the same dial may work in a moment. */
export interface Explanation {
  readonly message: string;
  readonly retry: boolean;
}

/**
 * What ssh said when no shell came of a dial, as what was found, where, and what to do.
 *
 * @param offered asks the host for its key, where that is what the user needs to know.
 */
export async function explainSsh(
  target: SshAddress,
  end: ConnectionEnd,
  stderr: string,
  offered: () => Promise<OfferedKey | undefined>,
): Promise<Explanation> {
  const never = (message: string): Explanation => ({ message, retry: false });
  const soon = (message: string): Explanation => ({ message, retry: true });
  const at = `${target.host}${target.port === undefined ? "" : ` port ${target.port}`}`;

  if (end.code === "ENOENT") return never("ssh is not on this machine: install the package openssh-client");
  if (isHostKey(stderr)) return never(await hostKeyMessage(target, at, stderr, offered));

  const sudo = explainSudo(stderr);
  if (sudo !== undefined) return never(sudo);

  const badKey = /^Load key "[^"]*": (.*)$/m.exec(stderr)?.[1];
  const denied = /^(?:(\S+)@\S+: )?Permission denied \(([^)]*)\)/m.exec(stderr);
  if (denied) {
    const user = denied[1] ?? target.user;
    return never(
      `permission denied at ${at}${user === undefined ? "" : ` for user "${user}"`} (the host takes ${denied[2]}): ` +
        (badKey === undefined
          ? "check that the user is right and that its authorized_keys holds our key"
          : `the private key cannot be used: ${badKey.trim()}`),
    );
  }
  if (/Too many authentication failures/.test(stderr))
    return never(
      `too many keys were tried at ${at}: give the one that fits as a credential, or set IdentitiesOnly`,
    );

  const unresolved = /Could not resolve hostname (\S+): /.exec(stderr)?.[1];
  if (unresolved !== undefined) return never(`no such host: ${unresolved}: check the address`);
  if (/Connection refused/.test(stderr)) return soon(`connection refused at ${at}: is sshd running there?`);
  if (/timed out/.test(stderr)) return soon(`no answer from ${at}: is the host up, and the way to it open?`);
  if (/^kex_exchange_identification: |System is booting up/m.test(stderr))
    return soon(`${at} closed the connection at once: it may be booting (${lastLine(stderr)})`);
  if (/No route to host|Network is unreachable/.test(stderr))
    return never(`no route to ${at}: ${lastLine(stderr)}`);

  if (end.exitCode === 127 || /: (command )?not found$/m.test(stderr))
    return never(`no POSIX shell at ${at}: ${lastLine(stderr) || "sh was not found"}`);
  const how = end.signal === undefined ? `status ${end.exitCode ?? "?"}` : `signal ${end.signal}`;
  return never(`no shell at ${at}: ${lastLine(stderr) || `ssh ended with ${how}`}`);
}

/** What sudo said, as what the user can do about it; undefined when it was not about sudo. */
export function explainSudo(stderr: string): string | undefined {
  if (/^netloom: no sudo$/m.test(stderr))
    return "the user is not root and sudo is not there: install the package sudo, or log in as root";
  const line = /^sudo: .*$/m.exec(stderr)?.[0];
  if (line === undefined && !/is not in the sudoers file|is not allowed to (execute|run sudo)/.test(stderr))
    return undefined;
  return (
    `"sudo -n sh" failed (${line ?? lastLine(stderr)}): ` +
    "let the user run sudo without a password (NOPASSWD), or log in as root"
  );
}

const isHostKey = (stderr: string) =>
  /Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED|no matching host key type/.test(
    stderr,
  );

async function hostKeyMessage(
  target: SshAddress,
  at: string,
  stderr: string,
  offered: () => Promise<OfferedKey | undefined>,
): Promise<string> {
  const changed = /REMOTE HOST IDENTIFICATION HAS CHANGED/.test(stderr) || target.hostKey !== undefined;
  const key = await offered();
  const asked = /host key is known for (\S+)/.exec(stderr)?.[1];
  if (!key) {
    const who = target.jump ? `the jump host ${asked ?? target.jump.host}` : (asked ?? at);
    return (
      `the host key of ${who} ${changed && !target.jump ? "is not the one expected" : "is not known"}: ` +
      "compare its fingerprint and add it to known_hosts"
    );
  }
  const offer = `${at} offers ${key.type} ${key.fingerprint}`;
  const compare = `compare it with "ssh-keygen -lf" on the host's /etc/ssh/ssh_host_*_key.pub`;
  const pin = `hostKey: "${key.type} ${key.key}"`;
  return changed
    ? `the host key is not the one expected: ${offer}. Either the host was set up anew or somebody is in between: ` +
        `${compare}; only if it fits, put ${pin} in the program${target.hostKey ? "" : " or correct known_hosts"}`
    : `the host key is not known: ${offer}; ${compare}, then pin it with ${pin} or add it to known_hosts`;
}

const lastLine = (text: string) => text.trim().split("\n").at(-1)?.trim() ?? "";
