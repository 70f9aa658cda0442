import { spawnSync } from "node:child_process";
import { readClassCounters } from "../../support/class-counters";
import { closeShared, localHost, type TestHost } from "../../support/host";
import { addressOf, make, PLANS, shapedPath } from "../../../bench/support/shaped-path";

const made = shapedPath({ leaf: "none", classifier: "ebpf" }, `nlt-${process.pid}-`);
let host: TestHost;

beforeAll(async () => {
  host = localHost();
  await make(host, made.plan);
});

afterAll(async () => {
  await host.apply([
    ...made.namespaces.map((netns) => ({ tool: "ip" as const, args: ["netns", "del", netns] })),
    ...made.pins.map((path) => ({ tool: "bpf-rm" as const, path })),
  ]);
  await host.close();
  await closeShared();
});

function ping(from: string): void {
  const { status, stdout } = spawnSync(
    "ip",
    ["netns", "exec", made.client, "ping", "-c", "5", "-i", "0.05", "-w", "5", "-I", from, "10.1.1.1"],
    { encoding: "utf8" },
  );
  if (status !== 0) throw new Error(stdout);
}

test("the eBPF classifier sends each subscriber's packets to its class, in both directions", () => {
  const before = ["down", "up"].map((link) => readClassCounters(made.middle, link));
  ping(addressOf(2));
  const after = ["down", "up"].map((link) => readClassCounters(made.middle, link));
  for (const side of [0, 1]) {
    const more = PLANS.map((_, n) => {
      const id = made.classOf(n);
      return (after[side]!.get(id) ?? 0) - (before[side]!.get(id) ?? 0);
    });
    expect(more.map((packets) => packets >= 5)).toEqual(PLANS.map((_, n) => n === 2));
  }
});

test("what is nobody's goes to the default class", () => {
  const before = readClassCounters(made.middle, "up").get("1:2") ?? 0;
  spawnSync("ip", ["-n", made.client, "address", "add", "10.1.0.99/16", "dev", "eth0"]);
  ping("10.1.0.99");
  expect((readClassCounters(made.middle, "up").get("1:2") ?? 0) - before).toBeGreaterThanOrEqual(5);
});
