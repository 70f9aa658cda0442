import { join } from "node:path";
import { packageRoot } from "../local-stack";
import type { Demo, Stage } from "./stage";
import { DemoError, heading, quoted, shown } from "./voice";

/** The server that everybody measures against, and the address that the ISP's subscribers have outside. */
const server = "192.0.2.2";
const outside = "198.51.100.2";

const subscribers = "stacks/config/subscribers.lab.csv";
/** The plans of this file, Mbit/s. */
const plans = [
  { id: "home-1", download: 4, upload: 1 },
  { id: "home-2", download: 2, upload: 2 },
  { id: "home-3", download: 1, upload: 1 },
] as const;

/** How far a measured rate may be from the plan: TCP's own headers and an emulated processor are in it. */
const tolerance = 0.08;

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
      "netloom:subscribers": { value: join(packageRoot(), subscribers) },
      "netloom:privateKey": { value: machine("edge").privateKey, secret: true },
    };
  },

  async show(stage) {
    heading("pulumi up: the ISP, its subscribers' routers and a server on the Internet");
    await stage.up();
    heading(`Every subscriber reaches ${server} through its tunnel`);
    for (const { id } of plans) quoted(await pinged(stage, id));
    shown("the tunnels carry");

    heading("What the server sees");
    quoted(await seenBy(stage, plans[0].id));
    shown(`${plans[0].id} comes from ${outside}, the ISP's own address`);

    heading("Each against its plan");
    await stage.run("internet", ...inside("server", "iperf3", "-s", "-D"));
    try {
      for (const plan of plans) await measure(stage, plan);
    } finally {
      await stage.run("internet", "pkill", "-x", "iperf3");
    }

    heading("pulumi up once more: nothing to do");
    await stage.up({}, { expectNoChanges: true });
    shown("no change");
  },
};

/** Three pings of a subscriber, their summary. */
async function pinged(stage: Stage, id: string): Promise<string> {
  const text = await stage.run("internet", ...inside(id, "ping", "-c", "3", "-i", "0.3", "-q", server));
  if (!text.includes(" 0% packet loss")) throw new DemoError(`${id} does not reach ${server}:\n${text}`);
  return `${id}: ${text.trim().split("\n").at(-1) ?? ""}`;
}

/** One packet of a subscriber as it arrives at the server. */
async function seenBy(stage: Stage, id: string): Promise<string> {
  const seen = stage.run(
    "internet",
    ...inside("server", "timeout", "20", "tcpdump", "-n", "-l", "-c", "1", "-i", "eth0", "icmp[0] == 8"),
  );
  const pings = stage.run("internet", ...inside(id, "ping", "-c", "25", "-i", "0.2", "-q", server));
  const text = (await seen).trim();
  await pings;
  if (!text.includes(`${outside} > ${server}`))
    throw new DemoError(`the server sees another source:\n${text}`);
  return text;
}

/** Download and upload of a subscriber, and what a ping takes meanwhile. */
async function measure(stage: Stage, plan: (typeof plans)[number]): Promise<void> {
  const { id } = plan;
  for (const direction of ["download", "upload"] as const) {
    const reverse = direction === "download" ? ["-R"] : [];
    const test = stage.run(
      "internet",
      ...inside(id, "iperf3", "-c", server, "-t", "8", "-O", "2", "-J", ...reverse),
    );
    const pings = stage.run("internet", ...inside(id, "ping", "-c", "20", "-i", "0.3", "-q", server));
    const { end } = JSON.parse(await test) as Iperf;
    const rate = end.sum_received.bits_per_second / 1e6;
    const [, loaded = "?"] = /= [\d.]+\/([\d.]+)\//.exec(await pings) ?? [];
    const wanted = plan[direction];
    quoted(
      `${id} ${direction.padEnd(8)} ${rate.toFixed(2).padStart(6)} of ${wanted} Mbit/s, ping meanwhile ${loaded} ms`,
    );
    if (Math.abs(rate / wanted - 1) > tolerance) throw new DemoError(`${id} has ${rate} of ${wanted} Mbit/s`);
  }
  shown(`${id} has its plan`);
}
