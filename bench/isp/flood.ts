import { leafQdisc } from "../../constructs/isp/leaf-qdiscs";
import { openSession } from "../../lib/host";
import { Lab } from "../../lib/lab";
import { atMost, report, spread, type Row } from "../support/report";
import { addressOf, make, PLANS, SERVER, shapedPath } from "../support/shaped-path";
import { percentile, traffic, type Path, type Shell } from "../support/traffic";

/** The line that floods, and those that want their plans meanwhile; the first of them pings. */
const FLOODER = 0;
const OTHERS = [
  { line: 1, direction: "download" },
  { line: 2, direction: "download" },
  { line: 3, direction: "upload" },
] as const;

const TRANSFERS = OTHERS.map(({ line, direction }) => ({ from: addressOf(line), direction }));
const [FIRST] = TRANSFERS as [(typeof TRANSFERS)[number]];
const PINGS = { from: FIRST.from, count: 200, everyMs: 35 };

/**
 * The first of the others by itself behind plain HTB and CAKE, made by hand: the same class and the same queue, and
 * nobody else on the link.
 */
function plain(): { readonly script: string; readonly path: Path } {
  const [client, middle, server] = ["plain-client", "plain-middle", "plain-server"] as const;
  const tree = (link: string, direction: "download" | "upload", mbit: number): string[] => {
    const leaf = leafQdisc({ downloadMax: mbit, uploadMax: mbit }, direction, mbit * 1e6, 0x10, "cake");
    if (leaf?.kind !== "cake") throw new Error("the leaf is not CAKE");
    const tc = `ip netns exec ${middle} tc`;
    return [
      `${tc} qdisc add dev ${link} root handle 1: htb default 10`,
      `${tc} class add dev ${link} parent 1: classid 1:10 htb rate ${mbit}mbit ceil ${mbit}mbit burst 3028 cburst 3028 quantum 6056`,
      `${tc} qdisc add dev ${link} parent 1:10 cake unlimited ${leaf.tins} rtt ${leaf.rttUs}us memlimit ${leaf.memoryLimitBytes}`,
    ];
  };
  const cable = (link: string, netns: string, address: string) => [
    `ip link add name ${link} netns ${middle} type veth peer name eth0 netns ${netns}`,
    `ip -n ${netns} address add ${address}/16 dev eth0`,
    `ip -n ${netns} link set eth0 up`,
    `ip -n ${middle} link set dev ${link} master br0 up`,
  ];
  const [download, upload] = PLANS[OTHERS[0].line];
  const script = [
    "set -e",
    ...[client, middle, server].map((netns) => `ip netns add ${netns}`),
    `ip -n ${middle} link add br0 type bridge`,
    `ip -n ${middle} link set br0 up`,
    ...cable("down", client, FIRST.from),
    ...cable("up", server, SERVER),
    ...tree("down", "download", download),
    ...tree("up", "upload", upload),
    `ip netns exec ${client} ping -c 1 -w 5 ${SERVER}`,
  ].join("\n");
  return { script, path: { client, server, address: SERVER } };
}

/** One run's figures. */
interface Run {
  /** The least share of what it had without the flood that one of the others has in it. */
  readonly kept: number;
  /** Milliseconds that 99 of 100 pings of a loaded line take at most. */
  readonly p99: Record<"plain" | "quiet" | "flooded" | "plainBeside", number>;
}

async function measure(run: Shell, ours: Path, alone: Path): Promise<Run> {
  const plainly = await traffic(run, alone, { transfers: [FIRST], pings: PINGS });
  const quiet = await traffic(run, ours, { transfers: TRANSFERS, pings: PINGS });
  const flood = { from: addressOf(FLOODER), udp: 4 * PLANS[FLOODER][1], streams: 8 };
  const flooded = await traffic(run, ours, { transfers: TRANSFERS, pings: PINGS, flood });
  // The same machine, as busy with others' packets as in the flood, and the plain line by itself on its own link.
  const [plainBeside] = await Promise.all([
    traffic(run, alone, { transfers: [FIRST], pings: PINGS }),
    traffic(run, ours, { transfers: TRANSFERS, flood }),
  ]);
  const p99 = (pings: readonly number[]) => percentile(pings, 0.99);
  return {
    kept: Math.min(...flooded.rates.map((rate, index) => rate / quiet.rates[index]!)),
    p99: {
      ...{ plain: p99(plainly.pings), quiet: p99(quiet.pings), flooded: p99(flooded.pings) },
      plainBeside: p99(plainBeside.pings),
    },
  };
}

/** A subscriber that floods, in a machine of the lab: what the others have left of their plans, and their pings. */
export async function ispFlood(runs: number): Promise<boolean> {
  const lab = await Lab.up({ names: ["edge"], lab: `bench-${process.pid}`, ephemeral: true });
  const { name, address, port, user, hostKey, privateKey } = lab.host("edge");
  const session = openSession({ name, address, port, user, hostKey }, { privateKey }, { gatherMs: 1 });
  const all: Run[] = [];
  try {
    const run: Shell = (script) => lab.ssh("edge", ["sh", "-c", script]);
    const made = shapedPath({ leaf: "cake" });
    await make(session, made.plan);
    await run(`ip netns exec ${made.client} ping -c 1 -w 5 ${SERVER}`);
    const alone = plain();
    await run(alone.script);
    const ours: Path = { client: made.client, server: made.server, address: SERVER };
    for (let nth = 0; nth < runs; nth += 1) {
      const one = await measure(run, ours, alone.path);
      all.push(one);
      const { kept, p99 } = one;
      console.log(
        `run ${nth + 1} of ${runs}: the others keep ${kept.toFixed(3)}; p99 of pings ${p99.plain.toFixed(1)} ms ` +
          `plain, ${p99.quiet.toFixed(1)} ms among others, ${p99.flooded.toFixed(1)} ms in the flood, ` +
          `${p99.plainBeside.toFixed(1)} ms plain while the machine carries the flood elsewhere`,
      );
    }
  } finally {
    await session.close();
    await lab.down();
  }
  const kept = spread(all.map((one) => one.kept));
  const one = { median: 1, min: 1, max: 1 };
  const rows: Row[] = [
    {
      ...{ case: "rate of the others in a flood", unit: "share", ours: kept },
      against: { name: "without it", value: one },
      ...{ ratio: kept.median, target: ">= 0.97", ok: kept.median >= 0.97 },
    },
    ...(
      [
        ["plain HTB+CAKE, alone", "plain"],
        ["plain HTB+CAKE, alone on a busy machine", "plainBeside"],
      ] as const
    ).map(([name, which]) => {
      const ours = spread(all.map(({ p99 }) => p99.flooded));
      const value = spread(all.map(({ p99 }) => p99[which]));
      return atMost(1, "p99 of a loaded line's ping in a flood", "ms", ours, { name, value });
    }),
  ];
  return report("isp-flood", rows, []);
}
