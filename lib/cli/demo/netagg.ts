import type { Demo, Stage } from "./stage";
import { DemoError, heading, quoted, shown } from "./voice";

/** The receiver's address on each path. */
const addresses = ["10.10.1.11", "10.10.2.11"] as const;

/** What each path carries, kbit/s: also the weights. */
const rates = [3000, 1000] as const;

/** How far below what its paths carry a stream may be: headers and an emulated processor are in it. */
const least = 0.85;

interface Iperf {
  readonly error?: string;
  readonly end: { readonly sum_received: { readonly bits_per_second: number } };
}

interface Rule {
  readonly role: string;
  readonly paths: readonly { readonly address: string; readonly txBytes: number }[];
}

/** One TCP stream on one path, on the other, and on both. */
export const netagg: Demo = {
  summary: "one TCP stream over two paths at once, by a kernel module",
  machines: ["sender", "receiver"],
  links: [
    { a: ["sender", 1], b: ["receiver", 1] },
    { a: ["sender", 2], b: ["receiver", 2] },
  ],
  program: "netagg",

  config: (machine) => {
    const reach = (name: string) => {
      const { address, port, user, hostKey } = machine(name);
      return { value: JSON.stringify({ address, port, user, hostKey, interfaces: ["eth1", "eth2"] }) };
    };
    return {
      "netloom:sender": reach("sender"),
      "netloom:receiver": reach("receiver"),
      "netloom:rates": { value: JSON.stringify(rates) },
      "netloom:privateKey": { value: machine("sender").privateKey, secret: true },
    };
  },

  async show(stage) {
    heading(`pulumi up: two paths of ${rates[0]} and ${rates[1]} kbit/s, nothing else`);
    await stage.up({ "netloom:aggregate": { value: "false" } });
    await stage.run("receiver", "iperf3", "-s", "-D");
    try {
      heading("One TCP stream on one path, and on the other");
      const alone: number[] = [];
      for (const [index, address] of addresses.entries()) {
        alone.push(await stream(stage, address));
        quoted(`path ${index + 1} (${address}) alone: ${told(alone[index])} of ${rates[index]} kbit/s`);
      }
      heading("pulumi up with the module: built and loaded on both hosts, rules for both paths");
      await stage.up({ "netloom:aggregate": { value: "true" } });
      heading(`The same stream to ${addresses[0]}`);
      const together = await stream(stage, addresses[0]);
      const sum = rates[0] + rates[1];
      quoted(`both paths: ${told(together)} of ${sum} kbit/s`);
      if (together < least * sum || together < Math.max(...alone))
        throw new DemoError(`expected at least ${Math.round(least * sum)} kbit/s of both paths together`);
      shown("one connection has both paths");
      await shares(stage);
    } finally {
      await stage.run("receiver", "pkill", "-x", "iperf3");
    }
    heading("pulumi up once more: nothing to do");
    await stage.up({}, { expectNoChanges: true });
    shown("no change");
  },
};

const told = (rate: number | undefined) => String(Math.round(rate ?? 0)).padStart(5);

/** What the receiver got of one stream, kbit/s. */
async function stream(stage: Stage, address: string): Promise<number> {
  const text = await stage.run("sender", "iperf3", "-c", address, "-t", "10", "-O", "2", "-J");
  const { error, end } = JSON.parse(text) as Iperf;
  if (error !== undefined) throw new DemoError(`iperf3 to ${address}: ${error}`);
  return end.sum_received.bits_per_second / 1000;
}

/** How the bytes were shared out, as the module counted them. */
async function shares(stage: Stage): Promise<void> {
  const list = await stage.run("sender", "netagg", "-L");
  const rule = (JSON.parse(list) as Rule[]).find(({ role }) => role === "sender");
  const bytes = rule?.paths.map(({ txBytes }) => txBytes) ?? [];
  const all = bytes.reduce((sum, one) => sum + one, 0);
  for (const [index, { address }] of (rule?.paths ?? []).entries())
    quoted(`${address}: ${(((bytes[index] ?? 0) / all) * 100).toFixed(1)} % of the bytes`);
  const wanted = rates[0] / (rates[0] + rates[1]);
  if (Math.abs((bytes[0] ?? 0) / all - wanted) > 0.02)
    throw new DemoError(`expected ${wanted * 100} % of the bytes on the first path`);
  shown("the bytes are shared by weight");
}
