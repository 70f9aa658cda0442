import { setTimeout as sleep } from "node:timers/promises";
import { openSession, type HostAddress, type LedgerRecord, type OpenSession } from "../../lib/host";
import type { Query, Step } from "../../lib/kinds/step";
import { withLab } from "../support/lab";

const machines = withLab(["edge"]);
const sessions: OpenSession[] = [];
const on = (...argv: string[]) => machines.lab.ssh("edge", argv);

function open(address: Partial<HostAddress> = {}): OpenSession {
  const { port, hostKey, privateKey } = machines.lab.host("edge");
  const session = openSession(
    { name: "edge", address: "127.0.0.1", port, user: "root", hostKey, ...address },
    { privateKey },
  );
  sessions.push(session);
  return session;
}

const record: LedgerRecord = { key: "one", urn: "urn:one", how: "created", specs: [{ n: 1 }] };
const record2: LedgerRecord = { ...record, key: "two", urn: "urn:two" };

const apply = (session: OpenSession, steps: readonly Step[], queries: readonly Query[] = []) =>
  session.run({
    label: "one",
    stack: "lab/dev",
    queries,
    decide: () => ({ steps, intent: [{ op: "set", record }], done: [{ op: "forget", key: "one" }] }),
  });

const gre = (name: string, key: number): Step & { args: readonly string[] } => ({
  tool: "ip",
  args: [
    "link",
    "add",
    "name",
    name,
    "type",
    "gre",
    "local",
    "192.0.2.1",
    "remote",
    "192.0.2.2",
    "key",
    String(key),
  ],
});

afterEach(async () => {
  for (const session of sessions.splice(0)) await session.close();
});

test("root's session sees what the machine is", async () => {
  const found = await open().capabilities();
  expect(found).toMatchObject({
    systemd: true,
    iproute2: expect.stringMatching(/^6\.1/),
    kernel: expect.stringMatching(/^6\.1\./),
  });
  expect(found.machineId).toBe((await on("cat", "/etc/machine-id")).trim());
  expect([...found.tools]).toEqual(expect.arrayContaining(["ip", "tc", "nft", "flock", "modprobe"]));
});

test("a user with sudo does what root does, and leaves nothing behind", async () => {
  const session = open({ user: "admin" });
  const path = "/etc/netloom-test/file";
  const queries: Query[] = [
    { tool: "ip", args: ["-d", "link", "show", "dev", "tun7"] },
    { tool: "file", paths: [path] },
  ];
  const outcome = await apply(
    session,
    [
      gre("tun7", 7),
      { tool: "write", path, file: { content: "it's é\n", mode: "0640", owner: "root:admin" } },
    ],
    queries,
  );
  expect(outcome.facts.get(queries[0]!)).toMatchObject({
    ok: true,
    value: [{ ifname: "tun7", linkinfo: { info_kind: "gre", info_data: { ikey: "0.0.0.7" } } }],
  });
  expect(outcome.facts.get(queries[1]!)).toEqual({
    ok: true,
    value: { [path]: { content: "it's é\n", mode: "0640", owner: "root:admin" } },
  });
  await apply(session, [
    { tool: "ip", args: ["link", "del", "tun7"] },
    { tool: "remove", path, prune: ["/etc/netloom-test"] },
  ]);
  const left = await on("sh", "-c", "ls -d /var/lib/netloom /run/netloom /etc/netloom-test 2>/dev/null || :");
  expect(left).toBe("");
});

test("a user without sudo is told what is missing", async () => {
  await expect(open({ user: "guest" }).capabilities()).rejects.toThrow(
    /^host "edge": "sudo -n sh" failed \(sudo: a password is required\): let the user run sudo without a password/,
  );
});

test("tunnels that arrive together cost at most two and a half times one ip -batch", async () => {
  const session = open();
  await session.capabilities();
  const count = 100;
  const plans = (netns: string): Step[][] =>
    Array.from({ length: count }, (_, index) =>
      [
        gre(`t${index}`, index + 1).args,
        ["addr", "add", `10.7.${index}.1/30`, "dev", `t${index}`],
        ["link", "set", `t${index}`, "up"],
      ].map((args) => ({ tool: "ip", netns, args })),
    );
  const batch = plans("x").flatMap((steps) =>
    steps.map((step) => ("args" in step ? step.args.join(" ") : "")),
  );
  const ratios: number[] = [];
  for (let round = 0; round < 3; round += 1) {
    // Deleting tunnels one by one takes longer than making them: a namespace takes them all with it.
    const [theirs, ours] = [`theirs${round}`, `ours${round}`];
    for (const netns of [theirs, ours]) await on("ip", "netns", "add", netns);
    let began = performance.now();
    await machines.lab.ssh("edge", ["ip", "-n", theirs, "-batch", "-"], { input: `${batch.join("\n")}\n` });
    const floor = performance.now() - began;

    began = performance.now();
    const queries: Query[] = [{ tool: "ip", netns: ours, args: ["-d", "addr", "show"] }];
    const outcomes = await Promise.all(
      plans(ours).map((steps, index) =>
        session.run({
          label: `t${index}`,
          stack: "lab/dev",
          queries,
          decide: () => ({
            steps,
            intent: [{ op: "set", record: { ...record, key: `t${index}` } }],
            done: [{ op: "forget", key: `t${index}` }],
          }),
        }),
      ),
    );
    ratios.push((performance.now() - began) / floor);
    expect(JSON.stringify(outcomes[0]!.facts.get(queries[0]!))).toContain(`"t${count - 1}"`);
    // The kernel takes them down in its own time, which is not to be measured.
    for (const netns of [theirs, ours]) await on("ip", "netns", "del", netns);
    await sleep(3000);
  }
  const printed = ratios.map((ratio) => ratio.toFixed(2)).join(", ");
  console.info(`${count} tunnels in one batch, against one ip -batch over ssh: ${printed}`);
  // The best round: others may be using the machine.
  expect(Math.min(...ratios)).toBeLessThanOrEqual(2.5);
});

test("a host whose power fails in the middle of a batch is an error that says so, and the next run goes on", async () => {
  const session = open();
  await session.run({
    label: "two",
    stack: "lab/dev",
    queries: [],
    decide: () => ({ steps: [], intent: [{ op: "set", record: record2 }] }),
  });
  await on("sync");
  const steps = Array.from({ length: 4000 }, (_, index) => gre(`p${index}`, index + 1));
  const broken = session.run({
    label: "one",
    stack: "lab/dev",
    queries: [],
    decide: () => ({ steps, intent: [{ op: "set", record }] }),
  });
  const unbroken = expect(broken).rejects.toMatchObject({
    name: "StepError",
    touched: true,
    message: expect.stringMatching(
      /^host "edge": the connection was lost while one was being changed .*"pulumi up" again/,
    ),
  });
  while (!(await on("cat", "/var/lib/netloom/lab/dev/ledger.jsonl")).includes('"one"'));
  await machines.lab.reset("edge");
  await unbroken;

  let keys: string[] = [];
  const queries: Query[] = [{ tool: "ip", args: ["link", "show"] }];
  const outcome = await session.run({
    label: "again",
    stack: "lab/dev",
    queries,
    decide(_, ledger) {
      keys = ledger.list().map(({ key }) => key);
      return { steps: [], done: keys.map((key) => ({ op: "forget", key })) };
    },
  });
  // Tunnels do not outlive a reboot; what was begun may or may not have reached the disk.
  expect(keys).toContain("two");
  expect(JSON.stringify(outcome.facts.get(queries[0]!))).not.toContain('"p0"');
});
