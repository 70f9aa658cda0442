import type { z } from "zod";
import { App, Host, Testing, type PlannedResource } from "../../../../lib";
import { Subscribers, type SubscriberProps } from "../../../../constructs/isp";
import { IspInABox } from "../../../../constructs/isp/isp-in-a-box";
import { Shaper } from "../../../../constructs/isp/shaper/native";
import type { AnySpec } from "../../../../lib/kinds/kind";
import { kindOf } from "../../../../lib/kinds/registry";
import type { Step } from "../../../../lib/kinds/step";

const POOL = "10.64.0.0/14";

const home = (number: number, more: Partial<SubscriberProps> = {}): SubscriberProps => ({
  id: `home-${number}`,
  plan: { downloadMax: 20, uploadMax: 5 },
  client: { address: `198.${18 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}` },
  ...more,
});

const homes = (count: number) => Array.from({ length: count }, (_, index) => home(index + 1));

/** A whole ISP: tunnels, two trees with a queue for each, and a NAT with a block of ports for each. */
function planOf(subscribers: readonly SubscriberProps[]): readonly PlannedResource[] {
  const app = new App();
  new IspInABox(new Host(app, "edge", { address: "192.0.2.1" }), "isp", {
    uplink: "eth1",
    tunnelPool: POOL,
    subscribers: Subscribers.of(subscribers),
    shaper: Shaper.native({ leaf: "fq_codel" }),
    bridge: "linux",
    nat: { addresses: ["203.0.0.0/18"], portsPerSubscriber: 1024 },
  });
  return Testing.synth(app);
}

/** What a step does to the host, one text for each line of a batch and each command of a transaction. */
function actions(step: Step): string[] {
  if (step.tool === "nft") return step.commands.map((command) => JSON.stringify(command));
  return [JSON.stringify(step)];
}

/** Everything that is done on the host from one program to the other, by the path of its resource. */
function done(before: readonly PlannedResource[], after: readonly PlannedResource[]): Map<string, string[]> {
  const [was, is] = [before, after].map((plan) => new Map(plan.map((one) => [one.path, one])));
  const all = new Map<string, string[]>();
  for (const path of new Set([...was!.keys(), ...is!.keys()])) {
    const [from, to] = [was!.get(path), is!.get(path)];
    if (JSON.stringify(from?.spec) === JSON.stringify(to?.spec)) continue;
    const kind = kindOf((to ?? from)!.token)!;
    const spec = (one: PlannedResource | undefined) =>
      one === undefined ? undefined : ((kind.schema as z.ZodObject).parse(one.spec) as AnySpec);
    const steps = kind.plan(spec(from), spec(to), { owner: "netloom:test" });
    if (steps.length > 0) all.set(path, steps.flatMap(actions));
  }
  return all;
}

/** Many enough that a newcomer finds the set and the shard that it belongs to. */
const FEW = 1500;
const MANY = 10_000;

/** Another plan for one, another address for the next, a newcomer: together, for a plan of 10,000 takes seconds. */
const edit = (all: readonly SubscriberProps[]): SubscriberProps[] => [
  ...all.map((one) => {
    if (one.id === "home-7") return home(7, { plan: { downloadMax: 50, uploadMax: 10 } });
    return one.id === "home-8" ? home(8, { client: { address: "192.0.2.77" } }) : one;
  }),
  home(20_000),
];

test("three changes are as few steps on the host for 10,000 subscribers as for 1,500, there and back", () => {
  const [few, many] = [FEW, MANY].map((count) => {
    const all = homes(count);
    const [before, after] = [planOf(all), planOf(edit(all))];
    return { there: done(before, after), back: done(after, before) };
  });
  for (const way of ["there", "back"] as const) {
    const lines = [...many![way].values()].flat();
    expect(lines).toHaveLength([...few![way].values()].flat().length);
    expect(lines.length).toBeGreaterThanOrEqual(8);
    expect(lines.length).toBeLessThanOrEqual(24);
    // A set and a shard for each, the newcomer's address, and its block of ports.
    expect(many![way].size).toBeLessThanOrEqual(7);
  }
});
