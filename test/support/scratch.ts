import type { Step } from "../../lib/kinds/step";
import { closeShared, run } from "./host";

/**
 * The steps that make a namespace to try things in: two cables `v0`-`v1` and `w0`-`w1` that are up, 10.0.0.1/24 and
 * 2001:db8::1/64 on `v0`, 10.0.1.1/24 and 2001:db8:1::1/64 on `w0`.
 */
export function scratchSteps(netns: string): readonly Step[] {
  const ip = (...args: string[]): Step => ({ tool: "ip", netns, args });
  return [
    { tool: "ip", args: ["netns", "add", netns] },
    ip("link", "set", "dev", "lo", "up"),
    ...["v", "w"].flatMap((cable, index) => [
      ip("link", "add", "name", `${cable}0`, "type", "veth", "peer", "name", `${cable}1`),
      ip("address", "add", `10.0.${index}.1/24`, "dev", `${cable}0`),
      ip("address", "add", `2001:db8:${index}::1/64`, "dev", `${cable}0`, "nodad"),
      ip("link", "set", "dev", `${cable}0`, "up"),
      ip("link", "set", "dev", `${cable}1`, "up"),
    ]),
  ];
}

/** A namespace of this test file's own, there before its first test and gone after its last. */
export function scratchNetns(tag: string): string {
  const netns = `nlt-${process.pid}-${tag}`;
  beforeAll(async () => {
    await run(scratchSteps(netns));
  });
  afterAll(async () => {
    await run([{ tool: "ip", args: ["netns", "del", netns] }]);
    await closeShared();
  });
  return netns;
}
