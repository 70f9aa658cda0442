import { join } from "node:path";
import { Subscribers } from "../../../constructs/isp/subscribers";
import { packageRoot } from "../local-stack";
import type { Demo, Stage } from "./stage";
import { DemoError, heading, quoted, shown } from "./voice";

/** The server that everybody measures against, and the address that the ISP's subscribers have outside. */
const server = "192.0.2.2";
const outside = "198.51.100.2";

const subscribers = join(packageRoot(), "stacks/config/subscribers.lab.csv");

interface Plan {
  readonly id: string;
  readonly download: number;
  readonly upload: number;
}

/** The plans of this file, Mbit/s. */
const readPlans = (): readonly Plan[] =>
  Subscribers.fromCsv(subscribers).all.map(({ id, plan }) => ({
    id,
    download: plan.downloadMax,
    upload: plan.uploadMax,
  }));

/**
 * What TCP can have of a rate that counts whole frames: of 1,486 bytes (MTU 1,472 of the tunnel and an Ethernet header)
 * 1,420 are data.
 */
const DATA = 1420 / 1486;

/**
 * How far a rate may be above its plan, from where on it is short of it, and how much of it an emulated machine that
 * shares its computer must carry.
 */
const SHARE = { most: 1.03, full: 0.9, least: 0.3 } as const;

/** Seconds of each transfer, and of its beginning that are not counted. */
const SECONDS = { counted: 6, before: 2 } as const;

interface Iperf {
  readonly end: { readonly sum_received: { readonly bits_per_second: number } };
}

const inside = (netns: string, ...argv: string[]) => ["ip", "netns", "exec", netns, ...argv];

/** An ISP on one machine; another plays its subscribers and the Internet. */
export const isp: Demo = {
  summary: "three subscribers over GRE, each held to its plan, behind one NAT",
  machines: ["edge", "internet"],
  links: [{ a: ["edge", 1], b: ["internet", 1] }],
  program: "isp-in-a-box",

  config: (machine) => {
    const reach = (name: string) => {
      const { address, port, user, hostKey } = machine(name);
      return { value: JSON.stringify({ address, port, user, hostKey, interface: "eth1" }) };
    };
    return {
      "netloom:isp": reach("edge"),
      "netloom:internet": reach("internet"),
      "netloom:subscribers": { value: subscribers },
      "netloom:privateKey": { value: machine("edge").privateKey, secret: true },
    };
  },

  async show(stage) {
    const plans = readPlans();
    heading("pulumi up: the ISP, its subscribers' routers and a server on the Internet");
    await stage.up();
    heading(`Every subscriber reaches ${server} through its tunnel`);
    const idle = new Map<string, number>();
    for (const { id } of plans) idle.set(id, await pinged(stage, id));
    shown("the tunnels carry");

    heading("What the server sees");
    for (const { id } of plans) quoted(`${id}: ${await seenBy(stage, id)}`);
    shown(`all come from ${outside}, the ISP's own address`);

    heading("Each against its plan, and a ping meanwhile");
    const ports = plans.map((_, index) => String(5201 + index));
    for (const port of ports)
      await stage.run("internet", ...inside("server", "iperf3", "-s", "-D", "-p", port));
    try {
      for (const plan of plans)
        for (const direction of ["download", "upload"] as const)
          quoted(await measured(stage, plan, direction, idle.get(plan.id) ?? 0));
      shown("nobody has more than the plan, and a full line answers pings");
      heading("All at once");
      const lines = plans.map((plan, index) =>
        measured(stage, plan, "download", idle.get(plan.id) ?? 0, ports[index]),
      );
      for (const line of await Promise.all(lines)) quoted(line);
      shown("together, too, nobody has more than the plan");
    } finally {
      await stage.run("internet", "pkill", "-x", "iperf3");
    }

    heading("pulumi up once more: nothing to do");
    await stage.up({}, { expectNoChanges: true });
    shown("no change");
  },
};

/** Milliseconds that pings of a subscriber take on average; their summary is shown. */
async function pinged(stage: Stage, id: string): Promise<number> {
  // The first packet of a tunnel asks for addresses on its way.
  await stage.run("internet", ...inside(id, "ping", "-c", "1", "-w", "10", "-q", server));
  const text = await stage.run("internet", ...inside(id, "ping", "-c", "5", "-i", "0.3", "-q", server));
  if (!text.includes(" 0% packet loss")) throw new DemoError(`${id} does not reach ${server}:\n${text}`);
  quoted(`${id}: ${text.trim().split("\n").at(-1) ?? ""}`);
  return averageOf(text);
}

/** The average in `rtt min/avg/max/mdev = …` of ping(8). */
const averageOf = (text: string): number => Number(/= [\d.]+\/([\d.]+)\//.exec(text)?.[1]);

/** One packet of a subscriber as it arrives at the server. */
async function seenBy(stage: Stage, id: string): Promise<string> {
  const seen = stage.run(
    "internet",
    ...inside("server", "timeout", "20", "tcpdump", "-n", "-l", "-c", "1", "-i", "eth0", "icmp[0] == 8"),
  );
  const pings = stage.run("internet", ...inside(id, "ping", "-c", "12", "-i", "0.2", "-q", server));
  const text = (await seen).trim();
  await pings;
  if (!text.includes(`${outside} > ${server}`))
    throw new DemoError(`the server sees another source:\n${text}`);
  return text;
}

/** What a subscriber has of its plan in one direction, and what a ping takes meanwhile. */
async function measured(
  stage: Stage,
  plan: Plan,
  direction: "download" | "upload",
  idle: number,
  port = "5201",
): Promise<string> {
  const { id } = plan;
  const words = ["-c", server, "-p", port, "-t", String(SECONDS.counted), "-O", String(SECONDS.before), "-J"];
  const test = stage.run(
    "internet",
    ...inside(id, "iperf3", ...words, ...(direction === "download" ? ["-R"] : [])),
  );
  const pings = stage.run("internet", ...inside(id, "ping", "-c", "20", "-i", "0.3", "-q", server));
  const [report, text] = await Promise.all([test, pings]);
  const data = (JSON.parse(report) as Iperf).end.sum_received.bits_per_second / 1e6;
  const share = data / DATA / plan[direction];
  const said =
    `${id} ${direction.padEnd(8)} ${(data / DATA).toFixed(2)} of ${plan[direction]} Mbit/s on the wire ` +
    `(${data.toFixed(2)} of data), ping ${idle.toFixed(0)} ms before and ${averageOf(text).toFixed(0)} ms meanwhile`;
  if (share > SHARE.most) throw new DemoError(`${said}: that is more than the plan`);
  if (share < SHARE.least)
    throw new DemoError(`${said}: this computer is too busy, or the line does not carry its plan`);
  return share < SHARE.full ? `${said}; the emulated machines carry no more just now` : said;
}
