import type { z } from "zod";
import { Bridge } from "../../constructs/bridge";
import type { SubscriberProps } from "../../constructs/isp/model";
import type { NativeShaperOptions } from "../../constructs/isp/shaper/native";
import { Shaper } from "../../constructs/isp/shaper/native";
import { Subscribers } from "../../constructs/isp/subscribers";
import { TunnelAllocation } from "../../constructs/isp/tunnel-addresses";
import { Host, Namespace, Testing, VethPair } from "../../lib";
import type { HostSession } from "../../lib/host/operation";
import { kindOf } from "../../lib/kinds/registry";

/**
 * Plans of subscribers, Mbit/s down and up; each has an address on the client's side of the path. A machine of the lab
 * is emulated and carries 30 Mbit/s of TCP across its namespaces at best, so all of them together are a third of that.
 */
export const PLANS = [
  [2, 1],
  [1.5, 0.8],
  [1, 1],
  [1.2, 0.6],
  [1.5, 0.5],
  [1.8, 0.7],
  [1, 0.5],
  [0.8, 0.4],
] as const;
export const addressOf = (n: number) => `10.1.0.${n + 1}`;
const idOf = (n: number) => `line-${n + 1}`;

/** The server that everybody reaches through the shaping point. */
export const SERVER = "10.1.1.1";

/**
 * A client's namespace, the shaping point and a server's, on one machine: what an ISP has between its two sides.
 *
 * @param prefix begins the namespaces' names
 * @param more subscribers besides those of `PLANS`, with addresses in 10.1.0.0/16
 */
export function shapedPath(options: NativeShaperOptions, prefix = "", more: readonly SubscriberProps[] = []) {
  const lines: readonly SubscriberProps[] = [
    ...PLANS.map(([downloadMax, uploadMax], n) => ({
      id: idOf(n),
      addresses: [addressOf(n)],
      plan: { downloadMax, uploadMax },
    })),
    ...more,
  ];
  const app = Testing.app();
  const host = new Host(app, "edge");
  const [client, middle, server] = ["client", "middle", "server"].map(
    (name) => new Namespace(host, `${prefix}${name}-${options.leaf?.replace("_", "")}`),
  ) as [Namespace, Namespace, Namespace];
  const down = new VethPair(middle, "down", {
    a: { name: "down" },
    b: {
      namespace: client,
      name: "eth0",
      addresses: lines.flatMap(({ addresses = [] }) => addresses.map((address) => `${address}/16`)),
    },
  });
  const up = new VethPair(middle, "up", {
    a: { name: "up" },
    b: { namespace: server, name: "eth0", addresses: [`${SERVER}/16`] },
  });
  new Bridge(middle, "bridge", { name: "br0", ports: [down.a, up.a] });
  const subscribers = Subscribers.of(lines);
  Shaper.native(options).attach(
    middle,
    {
      subscriberSide: down.a,
      internetSide: up.a,
      before: { download: up.b, upload: down.b },
      bridge: "linux",
      uplink: { download: 1000, upload: 1000 },
    },
    { subscribers, allocation: TunnelAllocation.of(subscribers.all, { ipv4: "10.200.0.0/16" }) },
  );
  const plan = Testing.synth(app);
  const [clientNs = "", middleNs = "", serverNs = ""] = [client, middle, server].map(
    ({ place }) => place.netns,
  );
  return {
    plan,
    client: clientNs,
    middle: middleNs,
    server: serverNs,
    namespaces: [clientNs, middleNs, serverNs],
    /** Where the programs of an eBPF classifier are pinned. */
    pins: plan.flatMap(({ token, spec }) =>
      token === "netloom:bpf:Program" ? [`/sys/fs/bpf/netloom/${String(spec.name)}`] : [],
    ),
    /** The class of a subscriber on both links. */
    classOf(line: number | string): string {
      const wanted = typeof line === "number" ? idOf(line) : line;
      const members = plan.flatMap(({ spec }) =>
        Object.entries((spec.subscribers ?? {}) as Record<string, { class: string }>),
      );
      return members.find(([id]) => id === wanted)?.[1].class ?? "";
    },
  };
}

/** Makes what a program plans, in its order, as the provider does. */
export async function make(session: HostSession, plan: ReturnType<typeof shapedPath>["plan"]): Promise<void> {
  for (const { path, token, spec } of plan) {
    const kind = kindOf(token);
    if (kind === undefined) continue;
    const canonical = (kind.schema as z.ZodObject).parse(spec) as never;
    await session.run({
      ...{ label: path, stack: "test/rates", queries: kind.queries(canonical) },
      decide: (facts) => ({
        steps: kind.plan(kind.observe(facts, [canonical]), canonical, { owner: "netloom:test" }),
      }),
    });
  }
}
