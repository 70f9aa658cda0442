import { openSession } from "../../lib/host";
import { link } from "../../lib/kinds/link";
import type { Query, Step } from "../../lib/kinds/step";
import { tunnelPool } from "../../lib/kinds/tunnel-pool";
import { Lab, type LabHost } from "../../lib/lab";
import { spread, timesFaster, type Figure, type Row } from "../support/report";
import { available } from "./ground";
import { addressOutside } from "./subscribers";

const netns = "bench";
const device = "sub-gre";
const context = { owner: "netloom:bench" };
const ip = (...args: string[]): Step => ({ tool: "ip", netns, args });

/** The steps of a side for tunnels by number, and the query that lists what they made. */
interface Side {
  readonly steps: (numbers: readonly number[]) => readonly Step[];
  readonly counted: Query;
}

/** The server's inner address and the client's, of a tunnel by its number. */
function inside(number: number): { readonly server: string; readonly client: string } {
  const text = (last: number) => {
    const address = number * 4 + last;
    return `10.${64 + (address >> 16)}.${(address >> 8) & 255}.${address & 255}`;
  };
  return { server: text(1), client: text(2) };
}

const numbers = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);

/** One link in metadata mode; a nexthop, two routes and a source check for each tunnel. */
const oneLink: Side = {
  steps: (numbers) => {
    const gre = link.schema.parse({ netns, name: device, kind: "gre", external: true, mtu: 1472 });
    const tunnels = numbers.map((number): [string, object] => {
      const { server, client } = inside(number);
      return [String(number), { remote: addressOutside(number), addresses: [server], prefixes: [client] }];
    });
    const spec = tunnelPool.schema.parse({
      ...{ netns, name: "bench", device },
      tunnels: Object.fromEntries(tunnels),
    });
    return [...link.plan(undefined, gre, context), ...tunnelPool.plan(undefined, spec, context)];
  },
  counted: { tool: "ip", netns, args: ["nexthop", "show"] },
};

/** A link with an address for each tunnel, and no source check. */
const aLinkEach: Side = {
  steps: (numbers) =>
    numbers.flatMap((number) => {
      const spec = link.schema.parse({
        ...{ netns, name: `sub-${number}`, kind: "gre", key: number, ttl: 64, mtu: 1472 },
        remote: addressOutside(number),
        addresses: [`${inside(number).server}/30`],
      });
      return link.plan(undefined, spec, context);
    }),
  counted: { tool: "ip", netns, args: ["link", "show", "type", "gre"] },
};

interface Measured {
  /** How many were made. */
  readonly count: number;
  readonly seconds: number;
  /** Seconds that the last batch took for each of its tunnels. */
  readonly pace: number;
  readonly megabytes: number;
}

/**
 * Makes the tunnels of a side, `batch` at a time, on a machine that has just been restored, so that no run pays for
 * another's remains. No batch is begun after `limit` seconds: what was made until then is what was measured.
 */
async function measure(side: Side, count: number, batch = count, limit = Infinity): Promise<Measured> {
  const lab = await Lab.up({ names: ["isp"], lab: `bench-${process.pid}`, ephemeral: true });
  try {
    const host = lab.host("isp");
    const session = openSession(addressOf(host), { privateKey: host.privateKey }, { gatherMs: 1 });
    const run = async (steps: readonly Step[], queries: readonly Query[] = []) =>
      (await session.run({ label: "bench", stack: "bench/bench", queries, decide: () => ({ steps }) })).facts;
    try {
      // The modules are loaded and their own devices made before the clock runs.
      await run([{ tool: "ip", args: ["netns", "add", netns] }, ip("link", "set", "dev", "lo", "up")]);
      await run([
        ip("link", "add", "name", "first", "type", "gre", "external"),
        ip("link", "del", "dev", "first"),
      ]);
      const before = await available(lab);
      let made = 0;
      let [seconds, pace] = [0, 0];
      while (made < count && seconds < limit) {
        const next = numbers(made + 1, Math.min(count, made + batch));
        const steps = side.steps(next);
        const began = process.hrtime.bigint();
        await run(steps);
        const took = Number(process.hrtime.bigint() - began) / 1e9;
        seconds += took;
        pace = took / next.length;
        made += next.length;
      }
      const megabytes = (before - (await available(lab))) / 1000;
      const fact = (await run([], [side.counted])).get(side.counted);
      const there = fact.ok ? (fact.value as { id?: number; ifname?: string }[]) : [];
      // gre0 is the driver's own.
      const counted = there.filter(({ ifname }) => ifname !== "gre0").length;
      if (counted !== made) throw new Error(`${counted} tunnels instead of ${made}`);
      return { count: made, seconds, pace, megabytes };
    } finally {
      await session.close();
    }
  } finally {
    await lab.down();
  }
}

/** A machine of the lab as a session takes it. */
export function addressOf({ name, address, port, user, hostKey }: LabHost) {
  return { name, address, port, user, hostKey };
}

/** How long links of their own are given to come, in seconds, and how many at a time. */
const PATIENCE = { seconds: 90, batch: 100 } as const;

/**
 * What thousands of tunnels cost the kernel of a lab machine: one link for all against a link for each. As many of
 * either in every run; then `count` of both, where links of their own have until {@link PATIENCE}: each costs more than
 * the one before, so the rest at the pace of the last ones is less than they would take.
 */
export async function benchTunnels(
  sample: number,
  count: number,
  runs: number,
): Promise<{ rows: Row[]; figures: Figure[] }> {
  const say = (what: string, { count: made, seconds, megabytes }: Measured) =>
    console.log(`  ${what}: ${made} in ${seconds.toFixed(1)} s, ${megabytes.toFixed(0)} MB`);
  const few: { ours: Measured[]; theirs: Measured[] } = { ours: [], theirs: [] };
  const many: Measured[] = [];
  for (let run = 0; run < runs; run++) {
    console.log(`tunnels in the kernel, run ${run + 1} of ${runs}`);
    few.ours.push(await measure(oneLink, sample));
    say("one link", few.ours.at(-1)!);
    few.theirs.push(await measure(aLinkEach, sample));
    say("a link for each", few.theirs.at(-1)!);
    many.push(await measure(oneLink, count));
    say("one link", many.at(-1)!);
  }
  const links = await measure(aLinkEach, count, PATIENCE.batch, PATIENCE.seconds);
  say("a link for each", links);
  const seconds = (all: readonly Measured[]) => spread(all.map((one) => one.seconds));
  const memory = (all: readonly Measured[]) => spread(all.map((one) => one.megabytes));
  const each = (value: ReturnType<typeof spread>) => ({ name: "a link for each", value });
  const left = count - links.count;
  const least = spread([links.seconds + left * links.pace]);
  const name =
    left === 0
      ? "a link for each, once"
      : `a link for each: ${links.count} of them, ${left} more at the last pace`;
  return {
    rows: [
      timesFaster(10, `${sample} tunnels on one link`, "s", seconds(few.ours), each(seconds(few.theirs))),
      timesFaster(10, `${count} tunnels on one link`, "s", seconds(many), { name, value: least }),
      timesFaster(
        2,
        `memory of ${sample} tunnels on one link`,
        "MB",
        memory(few.ours),
        each(memory(few.theirs)),
      ),
    ],
    figures: [
      {
        ...{ case: `memory of ${count} tunnels on one link`, unit: "MB", value: memory(many).median },
        ...{ target: "", ok: true },
      },
    ],
  };
}
