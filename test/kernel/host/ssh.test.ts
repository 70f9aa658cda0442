import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Credentials, type HostAddress, openSession, type OpenSession } from "../../../lib/host";
import type { LedgerRecord } from "../../../lib/host";
import type { Query, Step } from "../../../lib/kinds/step";
import { freePort, type Sshd, startSshd } from "../../support/sshd";

const netns = `nlt-${process.pid}-h1`;
const folder = mkdtempSync(join(tmpdir(), "nlt-ssh-"));
const folders = { state: join(folder, "state"), run: join(folder, "run") };
const links: Query = { tool: "ip", netns, args: ["link", "show"] };

let sshd: Sshd;
const sessions: OpenSession[] = [];
const servers: Sshd[] = [];

function open(server: Sshd, address: Partial<HostAddress> = {}, credentials?: Credentials): OpenSession {
  const session = openSession(
    {
      name: "edge",
      address: "127.0.0.1",
      user: "root",
      port: server.port,
      hostKey: server.hostKey,
      ...address,
    },
    credentials ?? { privateKey: server.privateKey },
    { folders, gatherMs: 1, retries: 0 },
  );
  sessions.push(session);
  return session;
}

const apply = (session: OpenSession, steps: readonly Step[], queries: readonly Query[] = []) =>
  session.run({ label: "test", stack: "test/test", queries, decide: () => ({ steps }) });

const look = (session: OpenSession) => session.run({ label: "look", stack: "test/test", queries: [] });

async function serve(command: string): Promise<Sshd> {
  const server = await startSshd({ command });
  servers.push(server);
  return server;
}

const processes = () =>
  readdirSync("/proc")
    .filter((pid) => /^\d+$/.test(pid))
    .flatMap((pid) => {
      try {
        return [{ pid: Number(pid), argv: readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0") }];
      } catch {
        return [];
      }
    });

const sshProcess = (server: Sshd) =>
  processes().find(({ argv }) => argv[0] === "ssh" && argv.includes(String(server.port)))?.pid;

beforeAll(async () => {
  sshd = await startSshd();
  const session = open(sshd);
  await apply(session, [{ tool: "ip", args: ["netns", "add", netns] }]);
});

afterEach(async () => {
  for (const session of sessions.splice(0)) await session.close();
  for (const server of servers.splice(0)) await server.stop();
});

afterAll(async () => {
  const session = open(sshd);
  await apply(session, [{ tool: "ip", args: ["netns", "del", netns] }]);
  await session.close();
  await sshd.stop();
  rmSync(folder, { recursive: true });
});

test("a host with a pinned key is worked with over one connection", async () => {
  const accepted = () => sshd.log().match(/Accepted publickey/g)?.length ?? 0;
  const before = accepted();
  const session = open(sshd);
  const outcome = await apply(
    session,
    [{ tool: "ip", netns, args: ["link", "add", "v1", "type", "veth", "peer", "name", "v2"] }],
    [links],
  );
  expect(outcome.machineId).toBe(readFileSync("/etc/machine-id", "utf8").trim());
  expect(outcome.facts.get(links)).toMatchObject({
    value: expect.arrayContaining([expect.objectContaining({ ifname: "v1" })]),
  });
  await Promise.all([look(session), look(session)]);
  await apply(session, [{ tool: "ip", netns, args: ["link", "del", "v1"] }]);
  expect(accepted() - before).toBe(1);
  expect(await session.capabilities()).toMatchObject({
    kernel: readFileSync("/proc/sys/kernel/osrelease", "utf8").trim(),
    iproute2: expect.stringMatching(/^\d+\.\d+/),
    tools: expect.any(Set),
  });
});

test("the private key is a file for the dial only, and what a session leaves goes with it", async () => {
  const ours = () =>
    [process.env["XDG_RUNTIME_DIR"], "/dev/shm", tmpdir()]
      .filter((place): place is string => Boolean(place) && existsSync(place!))
      .flatMap((place) => readdirSync(place).map((name) => join(place, name)))
      .filter((path) => /\/netloom-[^/]+$/.test(path));
  const before = ours();
  const session = open(sshd);
  await look(session);
  const [mine, ...rest] = ours().filter((path) => !before.includes(path));
  expect(rest).toEqual([]);
  expect(readdirSync(mine!).filter((name) => name === "identity")).toEqual([]);
  await session.close();
  expect(existsSync(mine!)).toBe(false);
});

test("nothing of a step shows up in a process list while it runs", async () => {
  const session = open(sshd);
  await look(session);
  const steps: Step[] = Array.from({ length: 300 }, (_, index) => ({
    tool: "ip",
    netns,
    args: ["link", "add", `s3cret${index}`, "type", "veth", "peer", "name", `p${index}`],
  }));
  const running = apply(session, [...steps, { tool: "ip", netns, args: ["link", "set", "s3cret0", "up"] }]);
  let seen = 0;
  let ended = false;
  void running.finally(() => (ended = true));
  while (!ended) {
    const argvs = processes().map(({ argv }) => argv.join(" "));
    if (argvs.some((argv) => argv.includes(`-n ${netns} -batch -`))) seen += 1;
    expect(argvs.filter((argv) => argv.includes("s3cret"))).toEqual([]);
    await sleep(2);
  }
  await running;
  expect(seen).toBeGreaterThan(0);
});

describe("host keys", () => {
  test("an unknown one is an error with its fingerprint and the line that pins it", async () => {
    await expect(look(open(sshd, { hostKey: undefined }))).rejects.toThrow(
      new RegExp(
        `^host "edge": the host key is not known: 127\\.0\\.0\\.1 port ${sshd.port} offers ssh-ed25519 ` +
          `${sshd.fingerprint.replaceAll(/[+/]/g, "\\$&")}; .* ` +
          `pin it with hostKey: "ssh-ed25519 AAAA[^"]+"`,
      ),
    );
  });

  test("one that differs from the pinned one is an error that warns", async () => {
    const second = await startSshd();
    servers.push(second);
    const error = await look(open(sshd, { hostKey: second.hostKey })).catch((reason: Error) => reason);
    expect(error).toMatchObject({ name: "HostError" });
    expect((error as Error).message).toContain("the host key is not the one expected");
    expect((error as Error).message).toContain(`offers ssh-ed25519 ${sshd.fingerprint}`);
    expect((error as Error).message).toContain("somebody is in between");
  });

  test("nothing is run on a host whose key is wrong", async () => {
    const before = sshd.log().match(/Accepted publickey/g)?.length ?? 0;
    const second = await startSshd();
    servers.push(second);
    await look(open(sshd, { hostKey: second.hostKey })).catch(() => {});
    expect(sshd.log().match(/Accepted publickey/g)?.length ?? 0).toBe(before);
  });
});

describe("a dial that fails says why", () => {
  test("for a key that the host does not know", async () => {
    const error = await look(open(sshd, {}, { privateKey: sshd.strangerKey })).catch(
      (reason: Error) => reason,
    );
    expect((error as Error).message).toBe(
      `host "edge": permission denied at 127.0.0.1 port ${sshd.port} for user "root" (the host takes publickey): ` +
        "check that the user is right and that its authorized_keys holds our key",
    );
  });

  test("for a private key that is none, without printing it", async () => {
    const error = await look(open(sshd, {}, { privateKey: "-----BEGIN s3cret" })).catch(
      (reason: Error) => reason,
    );
    expect((error as Error).message).toContain("the private key cannot be used: ");
    expect((error as Error).message).not.toContain("s3cret");
  });

  test("when nobody listens", async () => {
    const port = await freePort();
    await expect(look(open(sshd, { port }))).rejects.toThrow(
      `host "edge": connection refused at 127.0.0.1 port ${port}: is sshd running there?`,
    );
  });

  test("when the name does not resolve", async () => {
    await expect(look(open(sshd, { address: "nlt-none.invalid" }))).rejects.toThrow(
      'host "edge": no such host: nlt-none.invalid: check the address',
    );
  });

  test("when the user is not root and there is no sudo", async () => {
    const server = await serve(
      'exec setpriv --reuid 65534 --clear-groups sh -c "PATH=/bin; $SSH_ORIGINAL_COMMAND"',
    );
    await expect(look(open(server))).rejects.toThrow(/"edge": the user is not root and sudo is not there/);
  });

  test("when sudo wants a password", async () => {
    writeFileSync(join(folder, "sudo"), "#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n", {
      mode: 0o755,
    });
    const path = `chmod 755 ${folder}; PATH=${folder}:/bin; export PATH`;
    const server = await serve(
      `${path}; exec setpriv --reuid 65534 --clear-groups sh -c "$SSH_ORIGINAL_COMMAND"`,
    );
    await expect(look(open(server))).rejects.toThrow(
      '"sudo -n sh" failed (sudo: a password is required): let the user run sudo without a password',
    );
  });

  test("when the account has no shell", async () => {
    const server = await serve("echo This account is currently not available.; exit 1");
    await expect(look(open(server))).rejects.toThrow(/^host "edge": no shell at 127\.0\.0\.1 port \d+: /);
  });

  test.each([
    ["address", { address: "-oProxyCommand=touch x" }],
    ["address", { address: "a b" }],
    ["address", { address: "$(touch x)" }],
    ["user", { user: "-l" }],
    ["user", { user: "root; rm -rf /" }],
    ["port", { port: 70_000 }],
    ["jumpHost", { jumpHost: "-oProxyCommand=x" }],
    ["jumpHost", { jumpHost: "a@b:22\nHost *" }],
    ["hostKey", { hostKey: "ssh-ed25519 AAAA\n* ssh-rsa AAAA" }],
  ])("when %s could be taken for something else", async (property, address) => {
    await expect(look(open(sshd, address))).rejects.toThrow(
      `host "edge": ${property} is ${JSON.stringify(Object.values(address)[0])}`,
    );
  });
});

test("a host that comes up a moment later is waited for", async () => {
  const port = await freePort();
  const session = openSession({ name: "edge", address: "127.0.0.1", port }, { privateKey: sshd.privateKey });
  sessions.push(session);
  const looking = expect(look(session)).rejects.toThrow("the host key is not known");
  await sleep(700);
  // Refused at first; then a key is asked about, so somebody is there.
  servers.push(await startSshd({ port }));
  await looking;
});

test("what a login shell prints is not taken for an answer", async () => {
  const server = await serve(
    'echo Welcome; echo "nl123 1 0 0"; echo motd >&2; exec sh -c "$SSH_ORIGINAL_COMMAND"',
  );
  const session = open(server);
  await expect(look(session)).resolves.toMatchObject({ steps: 0 });
  expect((await session.capabilities()).kernel).toMatch(/^\d+\.\d+/);
});

test("a tool that the host lacks stops the operation that needs it, with the package's name", async () => {
  const session = open(sshd);
  const missing = !(await session.capabilities()).tools.has("ethtool");
  const add: Step = { tool: "ip", netns, args: ["link", "add", "never", "type", "bridge"] };
  const both = await Promise.allSettled([
    apply(session, [add, { tool: "ethtool", args: ["-K", "never", "gro", "off"] }]),
    apply(session, [{ ...add, args: ["link", "add", "made", "type", "bridge"] }]),
  ]);
  expect(both[1].status).toBe("fulfilled");
  if (missing)
    expect(both[0]).toMatchObject({
      reason: {
        name: "HostError",
        message: 'host "edge": ethtool missing on the host: install the package ethtool',
      },
    });
  else expect(both[0].status).toBe("rejected");
});

test("ssh killed in the middle of a batch is an error that says so; then it goes on from the ledger", async () => {
  const session = open(sshd);
  await look(session);
  const record: LedgerRecord = { key: "big", urn: "urn:big", how: "created", specs: [{ n: 1 }] };
  const steps: Step[] = Array.from({ length: 1500 }, (_, index) => ({
    tool: "ip",
    netns,
    args: ["link", "add", `k${index}`, "type", "veth", "peer", "name", `l${index}`],
  }));
  const broken = session.run({
    label: "big",
    stack: "lab/dev",
    queries: [links],
    decide: () => ({ steps, intent: [{ op: "set", record }] }),
  });
  const unbroken = expect(broken).rejects.toMatchObject({
    name: "StepError",
    touched: true,
    message: expect.stringMatching(
      /^host "edge": the connection was lost while big was being changed .*"pulumi up" again/,
    ),
  });
  while (!existsSync(join(folders.state, "lab/dev/ledger.jsonl"))) await sleep(5);
  process.kill(sshProcess(sshd)!, "SIGKILL");
  await unbroken;

  let seen: readonly LedgerRecord[] = [];
  await session.run({
    label: "again",
    stack: "lab/dev",
    queries: [links],
    decide(_, ledger) {
      seen = ledger.list();
      return { steps: [], done: [{ op: "forget", key: "big" }] };
    },
  });
  expect(seen).toEqual([record]);
});
