import { execFileSync, spawn } from "node:child_process";
import { attachment } from "../../../lib/kinds/bpf/attachment";
import { folderOf, mapPin, programPin } from "../../../lib/kinds/bpf/names";
import { object, objectPath, objectDigest } from "../../../lib/kinds/bpf/object";
import { program } from "../../../lib/kinds/bpf/program";
import type { Step } from "../../../lib/kinds/step";
import { tableObject } from "../../support/bpf-programs";
import { closeShared, run } from "../../support/host";

/** A program is swapped for another while packets arrive: each of them meets one of the two. */

const SWAPS = 1000;
const names = ["a", "b"].map((which) => `nlt-${process.pid}-${which}`) as [string, string];
const [near, far] = [`nlt-${process.pid}-near`, `nlt-${process.pid}-far`];
const owner = { owner: "netloom:test" };
const objects = names.map((name, mark) => object.schema.parse(tableObject(name, { mark })));
const ip = (...words: string[]) => execFileSync("ip", words, { encoding: "utf8" });

beforeAll(async () => {
  for (const netns of [near, far]) ip("netns", "add", netns);
  ip("-n", near, "link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns", far);
  for (const [netns, link, address] of [
    [near, "v0", "10.9.0.1/24"],
    [far, "v1", "10.9.0.2/24"],
  ] as const) {
    ip("-n", netns, "address", "add", address, "dev", link);
    ip("-n", netns, "link", "set", link, "up");
  }
  for (const [index, spec] of objects.entries()) {
    const version = objectDigest(spec);
    const loaded = program.schema.parse({
      name: spec.name,
      object: objectPath(spec.name, version),
      version,
      // Both count in the same map.
      ...(index === 1 && { sharedMaps: { seen: names[0] } }),
    });
    await run([...object.plan(undefined, spec, owner), ...program.plan(undefined, loaded, owner)]);
  }
});

afterAll(async () => {
  await run([
    ...names.map((name): Step => ({ tool: "bpf-rm", path: folderOf(name) })),
    ...objects.flatMap((spec) => object.plan(spec, undefined, owner)),
    ...[near, far].map((netns): Step => ({ tool: "ip", args: ["netns", "del", netns] })),
  ]);
  await closeShared();
});

/** How many packets the programs of a hook have seen. */
function seen(index: number): number {
  const pin = mapPin(names[0], "seen");
  const entries = JSON.parse(
    execFileSync("bpftool", ["-j", "map", "dump", "pinned", pin], { encoding: "utf8" }),
  ) as { formatted: { key: number; value: number } }[];
  return entries.find(({ formatted }) => formatted.key === index)?.formatted.value ?? 0;
}

/** Pings as fast as it goes; what was sent, what came back. */
function pinging(seconds: number) {
  const child = spawn("ip", [
    "netns",
    "exec",
    far,
    "ping",
    "-q",
    "-i",
    "0.0005",
    "-w",
    String(seconds),
    "10.9.0.1",
  ]);
  let said = "";
  child.stdout.on("data", (chunk: Buffer) => (said += chunk.toString()));
  return new Promise<{ sent: number; received: number }>((resolve) => {
    child.on("exit", () => {
      const [, sent, received] = /(\d+) packets transmitted, (\d+) received/.exec(said) ?? [];
      resolve({ sent: Number(sent), received: Number(received) });
    });
  });
}

test.each([
  ["xdp", "count_xdp", 0, 40],
  ["ingress", "count_tc", 1, 12],
] as const)(
  "%s: 1,000 swaps under traffic lose no packet, and none meets no program",
  async (hook, pin, index, seconds) => {
    const spec = (which: 0 | 1) =>
      attachment.schema.parse({ netns: near, link: "v0", hook, program: programPin(names[which], pin) });
    await run(attachment.plan(undefined, spec(0), owner));
    ip("netns", "exec", far, "ping", "-q", "-c1", "-W2", "10.9.0.1");
    const swaps = Array.from({ length: SWAPS }, (_, nth) => {
      const [from, to] = nth % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const);
      return attachment.plan(spec(from), spec(to), owner);
    });
    const before = seen(index);
    const traffic = pinging(seconds);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const started = Date.now();
    // A batch of ten at a time: the swaps are spread over the traffic.
    for (let nth = 0; nth < SWAPS; nth += 10) await run(swaps.slice(nth, nth + 10).flat());
    const took = Date.now() - started;
    const { sent, received } = await traffic;
    process.stderr.write(
      `${hook}: ${SWAPS} swaps in ${took} ms, ${sent} packets sent, ${received} answered\n`,
    );
    // The traffic outlasted the swaps: each of them happened in the middle of it.
    expect(took).toBeLessThan((seconds - 1) * 1000);
    expect(sent).toBeGreaterThan(2000);
    expect(received).toBe(sent);
    // Neighbour discovery and the like are seen, too.
    expect(seen(index) - before).toBeGreaterThanOrEqual(sent);
    expect(seen(index) - before).toBeLessThan(sent + 50);
    await run(attachment.plan(spec(0), undefined, owner));
  },
);
