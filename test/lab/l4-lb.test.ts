import type { EngineEvent, Stack } from "@pulumi/pulumi/automation";
import { openLocalStack } from "../../lib/cli/local-stack";
import { hostState, stateDifferences } from "../../lib/lab/host-state";
import { temporaryFolder } from "../support/folder";
import { withLab } from "../support/lab";
import { stackProgram } from "../support/program";

const names = ["edge", "client"] as const;
const machines = withLab([...names], [{ a: ["edge", 1], b: ["client", 1] }]);
const folder = temporaryFolder();

const run = (machine: (typeof names)[number], ...argv: string[]) => machines.lab.ssh(machine, argv);
const states = () => Promise.all(names.map((name) => hostState((argv) => machines.lab.ssh(name, argv))));
const backend = (nth: number, more: object = {}) => ({ address: `10.8.0.1${nth}`, ...more });

let stack: Stack;

/** The resources that an update changes. */
async function up(
  backends: readonly object[],
  options: { expectNoChanges?: boolean } = {},
): Promise<string[]> {
  await stack.setConfig("netloom:backends", { value: JSON.stringify(backends) });
  const changed: string[] = [];
  await stack.up({
    ...options,
    onEvent: ({ resourcePreEvent }: EngineEvent) => {
      const { urn = "", op = "same" } = resourcePreEvent?.metadata ?? {};
      if (resourcePreEvent?.planning !== true && !["same", "refresh", "read"].includes(op))
        changed.push(`${op} ${urn.split("::").at(-1)}`);
    },
  });
  return changed.sort();
}

/** Who answers a number of connections, one after the other. */
async function answers(count: number): Promise<Record<string, number>> {
  const script = `for n in $(seq ${count}); do curl -s -m 5 http://192.0.2.80/ || echo nobody; echo; done`;
  const counts: Record<string, number> = {};
  for (const name of (await run("client", "sh", "-c", script)).trim().split(/\s+/))
    counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

it("balances over backends that answer, changes them while it runs, and leaves nothing", async () => {
  const reach = (name: (typeof names)[number]) => {
    const { address, port, user, hostKey } = machines.lab.host(name);
    return { value: JSON.stringify({ address, port, user, hostKey, interface: "eth1" }) };
  };
  const before = await states();
  stack = await openLocalStack({
    project: "l4-lb",
    stack: "test",
    folder: folder.path,
    program: stackProgram("l4-lb"),
    config: {
      "netloom:edge": reach("edge"),
      "netloom:client": reach("client"),
      "netloom:policy": { value: "round-robin" },
      "netloom:privateKey": { value: machines.lab.host("edge").privateKey, secret: true },
    },
  });
  const three = [backend(1), backend(2), backend(3)];
  await up(three);
  expect(Object.keys(await answers(24)).sort()).toEqual(["b1", "b2", "b3"]);

  const services = "update edge/balancer/lb/services";
  const four = [...three, backend(4)];
  const added = await up(four);
  expect(added).toContain(services);
  expect(added.filter((step) => /object|program|attachment/.test(step))).toEqual([]);
  expect(Object.keys(await answers(24)).sort()).toEqual(["b1", "b2", "b3", "b4"]);

  await up([backend(1), backend(2, { state: "draining" }), backend(3), backend(4)]);
  expect(Object.keys(await answers(24)).sort()).toEqual(["b1", "b3", "b4"]);
  await up([backend(1), backend(3), backend(4)]);
  expect(Object.keys(await answers(24)).sort()).toEqual(["b1", "b3", "b4"]);

  // One that stops answering leaves within three questions of a second each.
  await run("edge", "systemctl", "stop", "l4-lb-b3.service");
  await run(
    "edge",
    "timeout",
    "30",
    "sh",
    "-c",
    "until journalctl -u netloom-l4lb-lb -o cat | grep -q '10.8.0.13 .* is down'; do sleep 0.5; done",
  );
  expect(Object.keys(await answers(12)).sort()).toEqual(["b1", "b4"]);
  await run("edge", "systemctl", "start", "l4-lb-b3.service");

  expect(await up([backend(1), backend(3), backend(4)], { expectNoChanges: true })).toEqual([]);
  await stack.destroy();
  const after = await states();
  expect(names.flatMap((_, index) => stateDifferences(before[index]!, after[index]!))).toEqual([]);
});
