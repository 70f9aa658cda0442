import { execFileSync, spawn } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Ledger, LedgerRecord, Operation, SessionOptions } from "../../../lib/host";
import type { Query, Step } from "../../../lib/kinds/step";
import { localHost, type TestHost } from "../../support/host";

const prefix = `nlt-${process.pid}-b`;
const netns = `${prefix}1`;
const other = `${prefix}2`;
const host = localHost();
const ledgerFile = join(host.folder, "state/lab/dev/ledger.jsonl");
const lockFile = join(host.folder, "run/lock");

/** Sessions besides the shared one; closed however the test ends, since an open one keeps the process. */
const others: TestHost[] = [];
function another(options?: SessionOptions): TestHost {
  const session = localHost(options);
  others.push(session);
  return session;
}

const record = (key: string, spec: Record<string, unknown> = {}): LedgerRecord => ({
  key,
  urn: `urn:${key}`,
  how: "created",
  specs: [spec],
});

const links: Query = { tool: "ip", netns, args: ["link", "show"] };

/** An operation that runs the steps, and has its record in the ledger while and after it does. */
function change(label: string, steps: readonly Step[], more: Partial<Operation> = {}): Operation {
  return {
    label,
    stack: "lab/dev",
    queries: [links],
    decide: () => ({
      steps,
      intent: [{ op: "set", record: record(label, { wanted: true }) }],
      done: [{ op: "set", record: record(label) }],
    }),
    ...more,
  };
}

const forget = (labels: readonly string[]): Operation => ({
  label: "forget",
  stack: "lab/dev",
  queries: [],
  decide: () => ({ steps: [], done: labels.map((key) => ({ op: "forget", key })) }),
});

const ip = (...args: string[]): Step => ({ tool: "ip", netns, args });
const veth = (name: string) => ip("link", "add", name, "type", "veth", "peer", "name", `${name}p`);

async function records(session = host): Promise<readonly LedgerRecord[]> {
  let seen: readonly LedgerRecord[] = [];
  await session.run({
    label: "look",
    stack: "lab/dev",
    queries: [],
    decide(_, ledger) {
      seen = ledger.list();
      return { steps: [] };
    },
  });
  return seen;
}

/** Which exchange of its connection the session was in when it last gave the lock back. */
const exchangesSoFar = () => Number(readFileSync(lockFile, "utf8").trim().split(" ")[1]);

afterEach(async () => {
  for (const session of others.splice(0)) await session.close();
});

beforeEach(async () => {
  for (const name of [netns, other]) await host.apply([{ tool: "ip", args: ["netns", "add", name] }]);
});

afterEach(async () => {
  for (const name of [netns, other]) await host.apply([{ tool: "ip", args: ["netns", "del", name] }]);
  await host.run(forget((await records()).map(({ key }) => key)));
});

afterAll(async () => {
  await host.close();
});

test("two hundred links that arrive together are made in two round trips", async () => {
  await host.run(change("first", []));
  const before = exchangesSoFar();
  const outcomes = await Promise.all(
    Array.from({ length: 200 }, (_, index) =>
      host.run(
        change(`link${index}`, [
          veth(`v${index}`),
          ip("addr", "add", `10.${index}.0.1/24`, "dev", `v${index}`),
          { tool: "sysctl", netns, values: { [`net/ipv4/conf/v${index}/forwarding`]: "1" } },
          ip("link", "set", `v${index}`, "up"),
        ]),
      ),
    ),
  );
  expect(exchangesSoFar() - before).toBe(2);
  for (const [index, outcome] of outcomes.entries()) {
    expect(outcome.steps).toBe(4);
    expect(outcome.facts.get(links)).toMatchObject({
      value: expect.arrayContaining([expect.objectContaining({ ifname: `v${index}` })]),
    });
  }
  expect(await records()).toHaveLength(201);
});

test("a failure in a merged batch falls on its own operation, and the others succeed", async () => {
  await host.apply([veth("taken")]);
  const table = (name: string): Step => ({
    tool: "nft",
    netns,
    commands: [{ create: { table: { family: "ip", name } } }],
  });
  const bad = new Map<number, readonly Step[]>([
    // ip names the line of this one
    [3, [ip("link", "set", "taken", "down"), veth("taken")]],
    // and ends without a word about the line of these
    [7, [veth("x7"), ip("addr", "add", "300.0.0.1/24", "dev", "x7"), table("t7")]],
    [8, [ip("link", "frobnicate")]],
    [11, [veth("x11"), table("t1"), veth("never")]],
    [12, [veth("x12"), { tool: "sysctl", netns, values: { "net/ipv4/conf/x12/forwarding": "many" } }]],
    [
      14,
      [
        veth("x14"),
        { tool: "tc", netns, args: ["qdisc", "add", "dev", "x14", "root", "handle", "zz:", "htb"] },
      ],
    ],
    [13, [veth("x13"), { tool: "tc", netns, args: ["qdisc", "add", "dev", "x13", "root", "nosuch"] }]],
  ]);
  const results = await Promise.allSettled(
    Array.from({ length: 20 }, (_, index) =>
      host.run(
        change(`op${index}`, bad.get(index) ?? [veth(`x${index}`), table(`t${index}`), veth(`y${index}`)]),
      ),
    ),
  );
  const failures = results.flatMap((result, index) =>
    result.status === "rejected" ? [[index, (result.reason as Error).message] as const] : [],
  );
  expect(failures).toEqual([
    [3, `host "here": ip link add in netns ${netns} failed: RTNETLINK answers: File exists`],
    [7, expect.stringContaining('any valid prefix is expected rather than "300.0.0.1/24"')],
    [
      8,
      expect.stringContaining(`ip link frobnicate in netns ${netns} failed: Command "frobnicate" is unknown`),
    ],
    [11, expect.stringMatching(/nft in netns \S+ failed: .*File exists/)],
    [12, expect.stringContaining("setting net/ipv4/conf/x12/forwarding")],
    [13, expect.stringContaining("Specified qdisc kind is unknown")],
    [14, expect.stringMatching(/^host "here": tc qdisc add in netns \S+ failed: .*invalid qdisc ID$/)],
  ]);
  const names = ((await host.look([links])).get(links) as { value: { ifname: string }[] }).value.map(
    ({ ifname }) => ifname,
  );
  for (let index = 0; index < 20; index += 1) expect(names.includes(`y${index}`)).toBe(!bad.has(index));
  expect(names).not.toContain("never");

  // What failed is still known as ours, in the words of what was wanted.
  const left = new Map((await records()).map(({ key, specs }) => [key, specs[0]]));
  expect(left.size).toBe(20);
  for (let index = 0; index < 20; index += 1)
    expect(left.get(`op${index}`)).toEqual(bad.has(index) ? { wanted: true } : {});
});

test("touched tells whether anything has happened for the operation that failed", async () => {
  const bare = (label: string, steps: readonly Step[]) =>
    host
      .run({ label, stack: "lab/dev", queries: [], decide: () => ({ steps }) })
      .catch((error: unknown) => error);
  const results = await Promise.all([
    bare("a", [veth("fine")]),
    bare("b", [ip("link", "set", "none", "up")]),
    bare("c", [veth("fine2"), ip("link", "set", "none", "up")]),
    bare("d", [{ tool: "ip", args: ["netns", "add", other] }, veth("never")]),
    bare("e", [{ tool: "ip", netns: `${prefix}9`, args: ["link", "set", "lo", "up"] }]),
    host.run(change("f", [ip("link", "set", "none", "up")])).catch((error: unknown) => error),
  ]);
  expect(results.map((result) => (result as { touched?: boolean }).touched)).toEqual([
    undefined,
    false,
    true,
    false,
    false,
    true,
  ]);
});

test("an operation that its decision refuses stands alone, and nothing of it runs", async () => {
  const refusing = host.run({
    ...change("no", []),
    decide() {
      throw new Error("foreign: adopt it");
    },
  });
  const metacharacters = [
    "; rm -rf /",
    "$(touch x)",
    "a\nlink del lo",
    "`x`",
    "",
    "#",
    "a b",
    "'",
    '"',
    "\\",
    "é",
  ];
  const refused = metacharacters.map((text) => host.run(change(`bad ${text}`, [veth("ok1"), veth(text)])));
  const good = host.run(change("yes", [veth("yes")]));
  await expect(refusing).rejects.toThrow("foreign: adopt it");
  for (const [index, one] of refused.entries())
    await expect(one).rejects.toMatchObject({
      name: "StepError",
      touched: false,
      message: expect.stringMatching(
        metacharacters[index] === ""
          ? /argument 3 of "ip link add" is empty/
          : /argument 3 of "ip link add" holds "/,
      ),
    });
  await expect(good).resolves.toMatchObject({ steps: 1 });
  expect((await records()).map(({ key }) => key)).toEqual(["yes"]);
});

test("texts with a meaning to a shell are carried as data, wherever they stand", async () => {
  const mark = join(host.folder, "mark");
  const evil = `'; touch ${mark}; echo '$(touch ${mark})\`touch ${mark}\`"\n} ; touch ${mark}\n|& >${mark}`;
  const path = join(host.folder, "data", evil.replaceAll("/", "_").replaceAll("\n", " "));
  const file: Query = { tool: "file", paths: [path] };
  const queries: Query[] = [
    file,
    { tool: "ip", args: ["link", "show", "dev", evil] },
    { tool: "nft", args: ["list", "table", "ip", evil] },
    { tool: "sysctl", keys: [`net/ipv4/${evil.replaceAll(/[/\n]/g, "_")}`] },
  ];
  const comment = evil.slice(0, 100);
  const outcome = await host.run({
    label: evil,
    stack: `lab/${evil}`,
    queries,
    decide: () => ({
      intent: [{ op: "set", record: record(evil, { text: evil }) }],
      steps: [
        { tool: "write", path, file: { content: evil, mode: "0600", owner: "root:root" } },
        { tool: "nft", netns, commands: [{ add: { table: { family: "ip", name: "t", comment } } }] },
      ],
    }),
  });
  expect(outcome.facts.get(file)).toMatchObject({ value: { [path]: { content: evil } } });
  expect(outcome.facts.get(queries[1]!)).toMatchObject({ ok: false });
  let seen: LedgerRecord | undefined;
  const decide = (_: unknown, ledger: Ledger) => {
    seen = ledger.get(evil);
    return { steps: [], done: [{ op: "forget" as const, key: evil }] };
  };
  await host.run({ label: evil, stack: `lab/${evil}`, queries: [], decide });
  expect(seen).toEqual(record(evil, { text: evil }));
  await expect(
    host.apply([{ tool: "sysctl", netns, values: { "net/ipv4/ip_forward": evil } }]),
  ).rejects.toThrow("Invalid argument");
  await expect(host.look([{ tool: "ip", netns: evil, args: [] }])).rejects.toThrow(
    "no name for a network namespace",
  );
  await expect(host.look([{ tool: "ip", netns: "-all", args: [] }])).rejects.toThrow("no name for a network");
  await expect(host.look([{ tool: "sysctl", keys: ["../../etc/passwd"] }])).rejects.toThrow(
    "no kernel setting",
  );
  await expect(host.look([{ tool: "file", paths: ["etc/passwd"] }])).rejects.toThrow("no absolute path");
  expect(existsSync(mark)).toBe(false);
});

describe("the ledger", () => {
  test("is private, and goes with the lock's folder when its last record does", async () => {
    await host.run(change("one", [veth("one")]));
    expect(statSync(ledgerFile).mode & 0o777).toBe(0o600);
    expect(statSync(dirname(ledgerFile)).mode & 0o777).toBe(0o700);
    // The steps of a batch, which may hold a tunnel's key, are there for root alone, and only while they run.
    const batch = statSync(join(host.folder, "run/batch"));
    expect([batch.mode & 0o777, batch.size]).toEqual([0o600, 0]);
    await host.run({ ...change("two", []), stack: "lab/prod" });
    await host.run(forget(["one"]));
    expect(readdirSync(join(host.folder, "state/lab"))).toEqual(["prod"]);
    expect(existsSync(lockFile)).toBe(true);
    await host.run({ ...forget(["two"]), stack: "lab/prod" });
    expect(readdirSync(host.folder).filter((name) => name !== "data")).toEqual([]);
  });

  test("is read again when somebody else has written, and only then", async () => {
    await host.run(change("mine", []));
    const line = JSON.stringify({ op: "set", record: record("theirs") });
    await sleep(20);
    appendFileSync(ledgerFile, `${line}\n`);
    expect((await records()).map(({ key }) => key)).toEqual(["mine", "theirs"]);
  });

  test("with a line cut short is healed by the next write", async () => {
    await host.run(change("whole", []));
    await sleep(20);
    appendFileSync(ledgerFile, '{"op":"set","record":{"key":"to');
    expect((await records()).map(({ key }) => key)).toEqual(["whole"]);
    await host.run(change("next", []));
    expect(
      readFileSync(ledgerFile, "utf8")
        .trim()
        .split("\n")
        .map((line) => (JSON.parse(line) as { record: LedgerRecord }).record.key),
    ).toEqual(expect.arrayContaining(["whole", "next"]));
  });

  test("with a line damaged in the middle stops this stack's work and names the line", async () => {
    mkdirSync(join(host.folder, "state/lab/torn"), { recursive: true });
    const file = join(host.folder, "state/lab/torn/ledger.jsonl");
    appendFileSync(file, `gibberish\n${JSON.stringify({ op: "set", record: record("x") })}\n`);
    const torn = host.run({ ...change("x", [veth("x")]), stack: "lab/torn" });
    const fine = host.run(change("y", [veth("y")]));
    await expect(torn).rejects.toThrow(`${file}: line 1 of the ledger is damaged`);
    await expect(fine).resolves.toMatchObject({ steps: 1 });
    execFileSync("rm", ["-r", dirname(file)]);
  });
});

describe("the lock", () => {
  test("keeps two sessions on one host apart, even when the last record goes in between", async () => {
    const folders = { state: join(host.folder, "state"), run: join(host.folder, "run") };
    const second = another({ folders });
    const count: Operation = {
      label: "count",
      stack: "lab/dev",
      queries: [],
      decide(_, ledger) {
        const before = ledger.get("count")?.before?.["n"] as number | undefined;
        if (before === undefined && ledger.get("start"))
          return { steps: [], done: [{ op: "forget", key: "start" }] };
        return {
          steps: [],
          intent: [{ op: "set", record: { ...record("count"), before: { n: (before ?? 0) + 1 } } }],
          done: [{ op: "forget", key: "start" }],
        };
      },
    };
    await host.run(change("start", []));
    const work = async (session: typeof host) => {
      for (let index = 0; index < 25; index += 1) await session.run(count);
    };
    await Promise.all([work(host), work(second)]);
    const total = (await records()).find(({ key }) => key === "count")?.before?.["n"];
    // The very first turn only removed the last record, and the lock's folder with it.
    expect(total).toBe(49);
  });

  test("is waited for no longer than said, and the error names who holds it", async () => {
    const folders = { state: join(host.folder, "state"), run: join(host.folder, "run") };
    const impatient = another({ folders, lockSeconds: 1 });
    await host.run(change("one", []));
    const script = `flock 9; echo 'ann@desk pid 7' >&9; echo held; sleep 30`;
    const holder = spawn("sh", ["-c", `exec 9>'${lockFile}'; ${script}`], { detached: true });
    await new Promise((resolve) => holder.stdout.once("data", resolve));
    await expect(impatient.run(change("two", [veth("two")]))).rejects.toThrow(
      /^host "here": locked for more than 1 s by ann@desk pid 7: wait until that run has ended/,
    );
    // A read needs no lock.
    await expect(impatient.look([links])).resolves.toBeDefined();
    process.kill(-holder.pid!, "SIGKILL");
    await expect(impatient.run(change("two", [veth("two")]))).resolves.toMatchObject({ steps: 1 });
  });
});

describe("a shell that is killed", () => {
  const children = () =>
    readdirSync("/proc")
      .filter((pid) => /^\d+$/.test(pid))
      .filter((pid) => {
        try {
          const [, parent] = /\) \S (\d+) /.exec(readFileSync(`/proc/${pid}/stat`, "utf8")) ?? [];
          return parent === String(process.pid) && readFileSync(`/proc/${pid}/comm`, "utf8").trim() === "sh";
        } catch {
          return false;
        }
      })
      .map(Number);

  test("in the middle of a batch is an error that says so, and the next run knows what was begun", async () => {
    const steps = Array.from({ length: 1500 }, (_, index) => veth(`k${index}`));
    const before = children();
    const session = another({
      folders: { state: join(host.folder, "state"), run: join(host.folder, "run") },
    });
    await session.look([]);
    const [shell] = children().filter((pid) => !before.includes(pid));
    const broken = session.run(change("big", steps));
    const unbroken = expect(broken).rejects.toMatchObject({
      name: "StepError",
      touched: true,
      message: expect.stringMatching(
        /the connection was lost while big was being changed .*run "pulumi up" again/,
      ),
    });
    for (;;) {
      await sleep(5);
      if (existsSync(ledgerFile) && readFileSync(ledgerFile, "utf8").includes('"big"')) break;
    }
    process.kill(shell!, "SIGKILL");
    await unbroken;
    // The orphaned ip still holds the lock: this waits until it has ended.
    expect((await records(session)).map(({ key, specs }) => [key, specs])).toEqual([
      ["big", [{ wanted: true }]],
    ]);
  });

  test("between two batches goes unnoticed", async () => {
    const before = children();
    const session = another();
    await session.look([links]);
    const [shell] = children().filter((pid) => !before.includes(pid));
    process.kill(shell!, "SIGKILL");
    await expect(session.apply([veth("after")])).resolves.toBeDefined();
  });
});

test("a session that is cancelled starts nothing more, and says so", async () => {
  const session = another({ folders: { state: join(host.folder, "state"), run: join(host.folder, "run") } });
  const deciding = session.run({
    ...change("deciding", []),
    decide() {
      session.cancel();
      return { steps: [veth("never1")], intent: [{ op: "set", record: record("deciding") }] };
    },
  });
  const companion = session.run(change("companion", [veth("never2")]));
  const settled = Promise.allSettled([deciding, companion]);
  const late = deciding.catch(() => session.run(change("late", [veth("never3")])));
  const cancelled = "the run was cancelled";
  expect(await settled).toMatchObject([
    { reason: { name: "StepError", touched: false, message: `host "here": not finished: ${cancelled}` } },
    { reason: { name: "HostError", message: `host "here": nothing was done: ${cancelled}` } },
  ]);
  await expect(late).rejects.toThrow(`host "here": nothing was done: ${cancelled}`);
  expect(JSON.stringify((await host.look([links])).get(links))).not.toContain("never");
  // The lock was given back.
  await expect(host.run(change("other", []))).resolves.toBeDefined();
  await session.close();
  await expect(session.run(change("later", []))).rejects.toThrow("the session is closed");
});

test("a session that is cancelled in the middle of a batch ends the batch and answers it", async () => {
  const session = another();
  const running = session.run(
    change(
      "running",
      Array.from({ length: 200 }, (_, index) => veth(`c${index}`)),
    ),
  );
  while (!existsSync(join(session.folder, "state/lab/dev/ledger.jsonl"))) await sleep(2);
  const queued = session.run(change("queued", [veth("never")]));
  session.cancel();
  await expect(queued).rejects.toThrow("nothing was done: the run was cancelled");
  await expect(running).resolves.toMatchObject({ steps: 200 });
});
