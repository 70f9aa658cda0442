import { openSession } from "../../lib/host";
import { link } from "../../lib/kinds/link";
import type { Query, Step } from "../../lib/kinds/step";
import { tunnelPool } from "../../lib/kinds/tunnel-pool";
import { Lab, type LabHost } from "../../lib/lab";
import { spread, timesFaster, type Figure, type Row } from "../support/report";
import { addressOutside } from "./subscribers";

const netns = "bench";
const device = "sub-gre";
const context = { owner: "netloom:bench" };
const ip = (...args: string[]): Step => ({ tool: "ip", netns, args });

/** A side's steps, and what must be there after them. */
interface Side {
  readonly steps: readonly Step[];
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

const numbers = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

/** One link in metadata mode; a nexthop, two routes and a source check for each tunnel. */
function oneLink(count: number): Side {
  const gre = link.schema.parse({ netns, name: device, kind: "gre", external: true, mtu: 1472 });
  const tunnels = numbers(count).map((number): [string, object] => {
    const { server, client } = inside(number);
    return [String(number), { remote: addressOutside(number), addresses: [server], prefixes: [client] }];
  });
  const spec = tunnelPool.schema.parse({
    netns,
    name: "bench",
    device,
    tunnels: Object.fromEntries(tunnels),
  });
  return {
    steps: [...link.plan(undefined, gre, context), ...tunnelPool.plan(undefined, spec, context)],
    counted: { tool: "ip", netns, args: ["nexthop", "show"] },
  };
}

/** A link with an address for each tunnel, and no source check. */
function aLinkEach(count: number): Side {
  const steps = numbers(count).flatMap((number) => {
    const spec = link.schema.parse({
      netns,
      name: `sub-${number}`,
      kind: "gre",
      remote: addressOutside(number),
      key: number,
      ttl: 64,
      mtu: 1472,
      addresses: [`${inside(number).server}/30`],
    });
    return link.plan(undefined, spec, context);
  });
  return { steps, counted: { tool: "ip", netns, args: ["link", "show", "type", "gre"] } };
}

interface Measured {
  readonly seconds: number;
  readonly megabytes: number;
}

/** Runs a side on a machine that has just been restored, so that no run pays for another's remains. */
async function measure(side: Side, count: number): Promise<Measured> {
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
      const began = process.hrtime.bigint();
      await run(side.steps);
      const seconds = Number(process.hrtime.bigint() - began) / 1e9;
      const megabytes = (before - (await available(lab))) / 1000;
      const fact = (await run([], [side.counted])).get(side.counted);
      const there = fact.ok ? (fact.value as { id?: number; ifname?: string }[]) : [];
      // gre0 is the driver's own.
      const made = there.filter(({ ifname }) => ifname !== "gre0").length;
      if (made !== count) throw new Error(`${made} tunnels instead of ${count}`);
      return { seconds, megabytes };
    } finally {
      await session.close();
    }
  } finally {
    await lab.down();
  }
}

/** MemAvailable of the machine in kB. */
export async function available(lab: Lab): Promise<number> {
  const text = await lab.ssh("isp", ["cat", "/proc/meminfo"]);
  return Number(/^MemAvailable:\s+(\d+) kB/m.exec(text)?.[1] ?? Number.NaN);
}

/** A machine of the lab as a session takes it. */
export function addressOf({ name, address, port, user, hostKey }: LabHost) {
  return { name, address, port, user, hostKey };
}

/** What thousands of tunnels cost the kernel of a lab machine: one link for all, against a link for each. */
export async function benchTunnels(count: number, runs: number): Promise<{ rows: Row[]; figures: Figure[] }> {
  const ours: Measured[] = [];
  const theirs: Measured[] = [];
  for (let run = 0; run < runs; run++) {
    console.log(`${count} tunnels on one link, run ${run + 1} of ${runs}`);
    ours.push(await measure(oneLink(count), count));
    console.log(`  ${ours.at(-1)?.seconds.toFixed(1)} s; now a link for each`);
    theirs.push(await measure(aLinkEach(count), count));
    console.log(`  ${theirs.at(-1)?.seconds.toFixed(1)} s`);
  }
  const seconds = (all: readonly Measured[]) => spread(all.map((one) => one.seconds));
  const memory = (all: readonly Measured[]) => spread(all.map((one) => one.megabytes));
  const name = "a link for each";
  return {
    rows: [
      timesFaster(10, `${count} tunnels on one link`, "s", seconds(ours), { name, value: seconds(theirs) }),
      timesFaster(2, `memory of ${count} tunnels on one link`, "MB", memory(ours), {
        name,
        value: memory(theirs),
      }),
    ],
    figures: [],
  };
}
