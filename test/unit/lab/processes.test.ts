import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { withLock } from "../../../lib/lab/lock";
import { claim, sweepOrphans } from "../../../lib/lab/owners";
import { alive, identify, machineProcess, self, terminate } from "../../../lib/lab/processes";

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "netloom-unit-"))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A process that looks like a machine: the path of its pid file is among its arguments. */
async function pretendMachine(machine: string): Promise<number> {
  mkdirSync(machine, { recursive: true });
  const file = join(machine, "pid");
  const child = spawn("sh", ["-c", "trap '' TERM; echo up; while :; do sleep 0.1; done", "sh", file], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  writeFileSync(file, `${child.pid}\n`);
  return child.pid ?? 0;
}

describe("a process", () => {
  test("is known by its number and by when it started", () => {
    expect(alive(self())).toBe(true);
    expect(alive({ pid: process.pid, started: "1" })).toBe(false);
    expect(identify(2 ** 22 + 1)).toBeUndefined();
  });

  test("is a machine's only when it was started as that", async () => {
    const machine = join(folder, "edge");
    const pid = await pretendMachine(machine);
    expect(machineProcess(machine)?.pid).toBe(pid);
    // The number of a process that is not the machine: it must never be ended in its place.
    writeFileSync(join(machine, "pid"), `${process.pid}\n`);
    expect(machineProcess(machine)).toBeUndefined();
    const who = identify(pid);
    // It does not listen to SIGTERM.
    if (who) await terminate(who, 100);
    expect(who && alive(who)).toBe(false);
  });
});

test("labs whose owner has died are swept away, others are not", async () => {
  const pids = [];
  for (const lab of ["mine", "dead", "kept"]) pids.push(await pretendMachine(join(folder, lab, "edge")));
  claim(join(folder, "mine"));
  writeFileSync(join(folder, "dead", "owner.json"), JSON.stringify({ pid: process.pid, started: "1" }));
  await sweepOrphans(folder);
  expect(pids.map((pid) => identify(pid) !== undefined)).toEqual([true, false, true]);
  for (const pid of pids) {
    const left = identify(pid);
    if (left) await terminate(left, 50);
  }
});

describe("a lock", () => {
  test("lets one in after the other", async () => {
    const order: string[] = [];
    const enter = (name: string) =>
      withLock(join(folder, "lock"), async () => {
        order.push(`${name} in`);
        await sleep(30);
        order.push(`${name} out`);
      });
    await Promise.all([enter("a"), enter("b"), enter("c")]);
    expect(order).toHaveLength(6);
    for (let at = 0; at < 6; at += 2) expect(order[at + 1]).toBe(order[at]?.replace("in", "out"));
  });

  test("is free again after a failure", async () => {
    const file = join(folder, "lock");
    await expect(withLock(file, () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    await expect(withLock(file, () => Promise.resolve("in"))).resolves.toBe("in");
  });
});
