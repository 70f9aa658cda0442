import type { Demo, Stage } from "./stage";
import { DemoError, heading, quoted, shown } from "./voice";

const vip = "192.0.2.80";
const backends = ["10.8.0.11", "10.8.0.12", "10.8.0.13", "10.8.0.14"];
const maps = "/sys/fs/bpf/netloom/lb/current/maps";

/** The flows that every policy is shown with: one after the other, 1 to 10 packets each. */
const flows = { count: 1000, most: 10, rate: 1000 };

/**
 * The policies, and how uneven the fullest backend may be by flows. They see each other's flows, which end a minute
 * after their last packet: those that even out come first.
 */
const policies: readonly { readonly name: string; readonly most?: number }[] = [
  { name: "least-flows", most: 1.15 },
  { name: "least-load", most: 1.15 },
  { name: "round-robin", most: 1.05 },
  { name: "maglev", most: 1.25 },
  { name: "legacy" },
];

interface Entry {
  readonly key: readonly string[];
  readonly value?: readonly string[];
  readonly values?: readonly { readonly value: readonly string[] }[];
}

interface Count {
  readonly packets: number;
  readonly flows: number;
}

/** A load balancer before four servers: how flows spread by policy, and one server that dies. */
export const l4lb: Demo = {
  summary: "a load balancer in XDP before four servers that answer, by every policy",
  machines: ["edge", "client"],
  links: [{ a: ["edge", 1], b: ["client", 1] }],
  program: "l4-lb",

  config: (machine) => {
    const reach = (name: string) => {
      const { address, port, user, hostKey } = machine(name);
      return { value: JSON.stringify({ address, port, user, hostKey, interface: "eth1" }) };
    };
    return {
      "netloom:edge": reach("edge"),
      "netloom:client": reach("client"),
      "netloom:privateKey": { value: machine("edge").privateKey, secret: true },
    };
  },

  async show(stage) {
    for (const [nth, { name, most }] of policies.entries()) {
      heading(
        nth === 0 ? `pulumi up: the balancer and its servers, policy ${name}` : `pulumi up: policy ${name}`,
      );
      const { flows: generator } = await stage.up({ "netloom:policy": { value: name } });
      if (nth === 0) await answered(stage);
      await spread(stage, String(generator?.value), nth + 1, name, most);
    }

    heading("One server stops: its health checks fail, and new connections avoid it");
    await stage.run("edge", "systemctl", "stop", "l4-lb-b2.service");
    quoted(await stage.run("edge", "timeout", "30", "sh", "-c", DOWN));
    const names = await asked(stage, 20);
    quoted(`20 connections: ${names.join(" ")}`);
    if (names.some((name) => name === "b2" || name === "nobody"))
      throw new DemoError("a connection went to the server that is down");
    shown("the others answer them all");
    await stage.run("edge", "systemctl", "start", "l4-lb-b2.service");

    heading("pulumi up once more: nothing to do");
    await stage.up({}, { expectNoChanges: true });
    shown("no change");
  },
};

const DOWN = "until journalctl -u netloom-l4lb-lb -o cat | grep '10.8.0.12 .* is down'; do sleep 0.5; done";

async function asked(stage: Stage, count: number): Promise<string[]> {
  const script = `for n in $(seq ${count}); do curl -s -m 5 http://${vip}/ || echo nobody; echo; done`;
  return (await stage.run("client", "sh", "-c", script)).trim().split(/\s+/);
}

async function answered(stage: Stage): Promise<void> {
  const names = await asked(stage, 8);
  quoted(`curl http://${vip}/, 8 times: ${names.join(" ")}`);
  if (names.includes("nobody")) throw new DemoError("a connection was not answered");
  shown("the servers answer, each under the VIP");
}

/** Sends the flows and prints who got how many of them. */
async function spread(
  stage: Stage,
  generator: string,
  seed: number,
  name: string,
  most?: number,
): Promise<void> {
  const before = await counted(stage);
  const { count, most: packets, rate } = flows;
  const options = ["-i", "eth1", "-f", count, "-maxp", packets, "--rate", rate, "--seed", seed, vip].map(
    String,
  );
  quoted((await stage.run("client", generator, ...options)).trim());
  const after = await counted(stage);
  const got = backends.map((address) => ({
    address,
    packets: (after.get(address)?.packets ?? 0) - (before.get(address)?.packets ?? 0),
    flows: (after.get(address)?.flows ?? 0) - (before.get(address)?.flows ?? 0),
  }));
  const total = got.reduce((sum, one) => sum + one.flows, 0);
  for (const one of got)
    quoted(
      `${one.address} ${String(one.flows).padStart(5)} flows ${String(one.packets).padStart(6)} packets`,
    );
  const fullest = Math.max(...got.map((one) => one.flows)) / (total / got.length);
  if (total < 0.99 * count) throw new DemoError(`only ${total} of ${count} flows were forwarded`);
  if (most !== undefined && fullest > most)
    throw new DemoError(`the fullest has ${fullest.toFixed(2)} times its share, more than ${most}`);
  shown(`${name}: the fullest has ${fullest.toFixed(2)} times its share of the flows`);
}

/** Flows and packets so far by backend of the UDP service, read from the program's maps. */
async function counted(stage: Stage): Promise<Map<string, Count>> {
  const dump = async (map: string) =>
    JSON.parse(
      await stage.run("edge", "bpftool", "-j", "map", "dump", "pinned", `${maps}/${map}`),
    ) as Entry[];
  const [services, lines, stats] = [
    await dump("lb_services"),
    await dump("lb_backends"),
    await dump("lb_backend_stats"),
  ];
  const number = (words: readonly string[] = []) =>
    words.reduceRight((sum, word) => sum * 256 + Number(word), 0);
  const udp = services.findIndex(({ value }) => Number(value?.[18]) === 17);
  const counts = new Map<string, Count>();
  lines.forEach(({ value = [] }, index) => {
    if (Number(value[36]) === 0 || number(value.slice(32, 34)) !== udp) return;
    const sum = (at: number) =>
      (stats[index]?.values ?? []).reduce((all, one) => all + number(one.value.slice(at, at + 8)), 0);
    counts.set(value.slice(12, 16).map(Number).join("."), { packets: sum(0), flows: sum(16) });
  });
  return counts;
}
