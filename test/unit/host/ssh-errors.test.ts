import { sshAddress } from "../../../lib/host/ssh-address";
import { explainSsh, explainSudo } from "../../../lib/host/ssh-errors";
import { fingerprint } from "../../../lib/host/transport-ssh";

const target = sshAddress({ name: "edge", address: "192.0.2.1", port: 2222 });
const key = "AAAAC3NzaC1lZDI1NTE5AAAAIAbdK1qkY0gC7aBQLfVFxDOPkS+2tSU7F1J1zLnE9UXo";
const offer = { type: "ssh-ed25519", key, fingerprint: fingerprint(key) };

const explain = (stderr: string, exitCode = 255) =>
  explainSsh(target, { exitCode }, stderr, () => Promise.resolve(undefined));

// The texts are those of OpenSSH 8.4 to 9.9 and sudo 1.9.
test.each([
  [
    "ssh: connect to host 192.0.2.1 port 2222: Connection refused",
    true,
    "connection refused at 192.0.2.1 port 2222",
  ],
  [
    "ssh: connect to host 192.0.2.1 port 2222: Connection timed out",
    true,
    "no answer from 192.0.2.1 port 2222",
  ],
  ["ssh: connect to host 192.0.2.1 port 2222: Operation timed out", true, "no answer from"],
  [
    "Connection timed out during banner exchange\nConnection to UNKNOWN port 65535 timed out",
    true,
    "no answer",
  ],
  ["kex_exchange_identification: read: Connection reset by peer", true, "closed the connection at once"],
  [
    "System is booting up. Unprivileged users are not permitted to log in yet.\nConnection closed",
    true,
    "booting",
  ],
  ["ssh: connect to host 192.0.2.1 port 2222: No route to host", false, "no route to 192.0.2.1 port 2222"],
  [
    "ssh: Could not resolve hostname edge.example: Name or service not known",
    false,
    "no such host: edge.example",
  ],
  [
    "ann@192.0.2.1: Permission denied (publickey,password).",
    false,
    'for user "ann" (the host takes publickey,password)',
  ],
  [
    'Load key "/dev/shm/x/identity": error in libcrypto\nann@192.0.2.1: Permission denied (publickey).',
    false,
    "the private key cannot be used: error in libcrypto",
  ],
  [
    "Received disconnect from 192.0.2.1: 2: Too many authentication failures",
    false,
    "too many keys were tried",
  ],
  ["sh: 1: exec: sh: not found", false, "no POSIX shell at"],
  ["sudo: a password is required", false, '"sudo -n sh" failed (sudo: a password is required)'],
  ["", false, "no shell at 192.0.2.1 port 2222: ssh ended with status 255"],
])("%j is told as what to do", async (stderr, retry, message) => {
  const found = await explain(stderr);
  expect(found.message).toContain(message);
  expect(found.retry).toBe(retry);
});

test("an unknown host key comes with its fingerprint and the property that pins it", async () => {
  const stderr =
    "No ED25519 host key is known for [192.0.2.1]:2222 and you have requested strict checking.\r\nHost key verification failed.";
  const { message, retry } = await explainSsh(target, { exitCode: 255 }, stderr, () =>
    Promise.resolve(offer),
  );
  expect(retry).toBe(false);
  expect(message).toContain(`192.0.2.1 port 2222 offers ssh-ed25519 ${offer.fingerprint}`);
  expect(message).toContain(`pin it with hostKey: "ssh-ed25519 ${key}"`);
});

test("a jump host's unknown key is told apart from the host's", async () => {
  const via = sshAddress({ name: "edge", address: "192.0.2.1", jumpHost: "ann@bastion:22" });
  const stderr =
    "No ED25519 host key is known for bastion and you have requested strict checking.\nHost key verification failed.";
  const { message } = await explainSsh(via, { exitCode: 255 }, stderr, () => Promise.resolve(undefined));
  expect(message).toContain("the host key of the jump host bastion is not known");
});

test("a missing ssh is named with its package", async () => {
  const { message } = await explainSsh(target, { code: "ENOENT" }, "", () => Promise.resolve(undefined));
  expect(message).toContain("install the package openssh-client");
});

test.each([
  ["netloom: no sudo\n", "install the package sudo"],
  ["sudo: sorry, you must have a tty to run sudo", "you must have a tty"],
  ["ann is not in the sudoers file.  This incident will be reported.", "NOPASSWD"],
  ["Sorry, user ann is not allowed to execute '/usr/bin/sh' as root on edge.", "NOPASSWD"],
])("%j is sudo's", (stderr, message) => {
  expect(explainSudo(stderr)).toContain(message);
});

test("other words are not sudo's", () => {
  expect(explainSudo("bash: sudo-io: oops")).toBeUndefined();
});

describe("an address", () => {
  test.each(["10.0.0.1", "fe80::1%eth0", "[2001:db8::1]", "edge", "edge-1.example.com", "my_alias"])(
    "may be %s",
    (address) => {
      expect(sshAddress({ name: "x", address }).host).toBe(address.replace(/^\[(.*)\]$/, "$1"));
    },
  );

  test("is taken apart for a jump host", () => {
    expect(sshAddress({ name: "x", address: "a", jumpHost: "ann@[2001:db8::1]:2200" }).jump).toEqual({
      host: "2001:db8::1",
      user: "ann",
      port: 2200,
    });
    expect(sshAddress({ name: "x", address: "a", jumpHost: "bastion" }).jump).toEqual({ host: "bastion" });
  });

  test("keeps type and key of a pinned key, and nothing else", () => {
    expect(sshAddress({ name: "x", address: "a", hostKey: `ssh-ed25519 ${key} root@edge\n` }).hostKey).toBe(
      `ssh-ed25519 ${key}`,
    );
  });
});
