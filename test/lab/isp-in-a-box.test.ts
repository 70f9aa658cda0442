import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { EngineEvent, Stack } from "@pulumi/pulumi/automation";
import { openLocalStack } from "../../lib/cli/local-stack";
import { hostState, stateDifferences, type HostState } from "../../lib/lab/host-state";
import { temporaryFolder } from "../support/folder";
import { withLab } from "../support/lab";
import { LEAST_SHARE, MOST_SHARE } from "../support/rates";
import { stackProgram } from "../support/program";

const names = ["edge", "internet"] as const;
const machines = withLab([...names], [{ a: ["edge", 1], b: ["internet", 1] }]);
const folder = temporaryFolder();
const server = "192.0.2.2";
const server6 = "2001:db8:2::2";
/** The ISP's own prefix, which is not translated. */
const pool6 = "2001:db8:15::/48";

interface Plan {
  readonly download: number;
  readonly upload: number;
}
type Plans = Readonly<Record<string, Plan>>;

// Small enough for emulated processors, each of which carries every packet several times.
const plans = {
  "home-1": { download: 3, upload: 1 },
  "home-2": { download: 2, upload: 2 },
  "home-3": { download: 1, upload: 1 },
} as const satisfies Plans;
const homes = Object.keys(plans) as (keyof typeof plans)[];
/** Behind a NAT: its GRE is inside UDP. */
const behindNat = { id: "home-4", download: 2, upload: 1, address: "203.0.113.14" };

let stack: Stack;
let before: readonly HostState[];
let ownFiles: string;

const run = (machine: (typeof names)[number], ...argv: string[]) => machines.lab.ssh(machine, argv);
const at = (netns: string, ...argv: string[]) => run("internet", "ip", "netns", "exec", netns, ...argv);
const states = () =>
  Promise.all(names.map((name) => hostState((argv: readonly string[]) => machines.lab.ssh(name, argv))));

/** The machine's own files, which the shell scripts of old wrote to. */
const filesOfItsOwn = () =>
  run(
    "edge",
    ...["find", "/etc/resolv.conf", "/etc/sysctl.conf", "/etc/sysctl.d", "/etc/iproute2", "-type", "f,l"],
    ...["-exec", "sha256sum", "{}", "+"],
  );

/** One packet that a link of a namespace sees while something else is going on. */
async function packet(netns: string, link: string, filter: string, meanwhile: () => Promise<unknown>) {
  const words = ["timeout", "20", "tcpdump", "-n", "-l", "-c", "1", "-i", link, filter];
  const seen = netns === "" ? run("internet", ...words) : at(netns, ...words);
  await meanwhile();
  return seen;
}
/** Packets that the subscribers' policy has dropped. */
async function dropped(): Promise<number> {
  const list = await run("edge", "ip", "netns", "exec", "isp-subscribers", "nft", "list", "ruleset");
  const counts = [...list.matchAll(/counter packets (\d+) bytes \d+ drop/g)].map(([, n]) => Number(n));
  return counts.reduce((sum, n) => sum + n, 0);
}

const pings = (home: string, to = server, count = 10) =>
  at(home, "ping", "-c", String(count), "-i", "0.2", "-W", "2", "-q", to);

function subscribe(these: Plans): void {
  const rows = Object.entries({ ...these, [behindNat.id]: behindNat }).map(([id, { download, upload }]) => {
    const number = Number(id.split("-")[1]);
    const fou = id === behindNat.id;
    return [id, download, upload, `203.0.113.${10 + number}`, 1000 + number, fou].join(",");
  });
  const header = "id,download_max_mbps,upload_max_mbps,client_address,client_key,client_fou";
  writeFileSync(join(folder.path, "subscribers.csv"), [header, ...rows, ""].join("\n"));
}

/** The resources that an update changes, with what happens to each. */
async function up(options: { expectNoChanges?: boolean; refresh?: boolean } = {}): Promise<string[]> {
  const changed: string[] = [];
  await stack.up({
    ...options,
    onEvent: ({ resourcePreEvent }: EngineEvent) => {
      const { urn, op } = resourcePreEvent?.metadata ?? {};
      if (
        urn !== undefined &&
        op !== undefined &&
        op !== "same" &&
        op !== "refresh" &&
        resourcePreEvent?.planning !== true
      ) {
        changed.push(`${op} ${urn.split("::").at(-1)}`);
      }
    },
  });
  return changed.sort();
}

/** Mbit/s of data that a transfer delivers, after its first two seconds. */
async function goodput(home: string, direction: keyof Plan, port = 5201, to = server): Promise<number> {
  const words = ["-c", to, "-p", String(port), "-t", "8", "-O", "2", "-J"];
  const text = await at(home, "iperf3", ...words, ...(direction === "download" ? ["-R"] : []));
  const { end } = JSON.parse(text) as { end: { sum_received: { bits_per_second: number } } };
  return end.sum_received.bits_per_second / 1e6;
}

/**
 * What TCP can have of a rate that counts whole frames: of 1,486 bytes (MTU 1,472 of the tunnel and an Ethernet header)
 * 1,420 are data.
 */
const DATA = 1420 / 1486;

function expectPlan(shares: readonly number[], what: string): void {
  console.info(`${what}: ${shares.map((share) => share.toFixed(3)).join(" ")} of the plan`);
  for (const share of shares) {
    expect(share).toBeGreaterThan(LEAST_SHARE);
    expect(share).toBeLessThan(MOST_SHARE);
  }
}

beforeAll(async () => {
  const reach = (name: (typeof names)[number]) => {
    const { address, port, user, hostKey } = machines.lab.host(name);
    return { value: JSON.stringify({ address, port, user, hostKey, interface: "eth1" }) };
  };
  subscribe(plans);
  before = await states();
  ownFiles = await filesOfItsOwn();
  stack = await openLocalStack({
    project: "isp-in-a-box",
    stack: "test",
    folder: folder.path,
    program: stackProgram("isp-in-a-box"),
    config: {
      "netloom:isp": reach("edge"),
      "netloom:internet": reach("internet"),
      "netloom:privateKey": { value: machines.lab.host("edge").privateKey, secret: true },
      "netloom:tunnelPool6": { value: pool6 },
      "netloom:subscribers": { value: join(folder.path, "subscribers.csv") },
    },
  });
});

describe("an ISP on one machine", () => {
  it("carries every subscriber to the Internet under its own address, and has nothing to do again", async () => {
    await up();
    for (const home of homes) {
      const seen = at("server", "timeout", "20", "tcpdump", "-n", "-c", "1", "-i", "eth0", "icmp[0] == 8");
      await at(home, "ping", "-c", "15", "-i", "0.2", "-q", server);
      expect(await seen).toContain(`198.51.100.2 > ${server}`);
    }
    expect(await up({ expectNoChanges: true, refresh: true })).toEqual([]);
  });

  it("writes to no file of the machine's own", async () => {
    expect(ownFiles).toContain("/etc/iproute2/rt_tables");
    expect(await filesOfItsOwn()).toBe(ownFiles);
  });

  it("has no address of the machine's on the sides of the shaping point", async () => {
    for (const side of ["down-isp", "up-isp", "br-isp"]) {
      const [link] = JSON.parse(await run("edge", "ip", "-j", "address", "show", "dev", side)) as {
        addr_info: object[];
      }[];
      expect(link?.addr_info).toEqual([]);
    }
  });

  it("carries IPv6 under each subscriber's own address, and drops another's", async () => {
    for (const home of [...homes, behindNat.id]) {
      const text = await packet("server", "eth0", "icmp6 and ip6[40] == 128", () => pings(home, server6));
      const [, source] = / IP6 (\S+) > 2001:db8:2::2:/.exec(text) ?? [];
      const own = await at(home, "ip", "-j", "-6", "address", "show", "dev", "gre1", "scope", "global");
      const [link] = JSON.parse(own) as { addr_info: { local: string }[] }[];
      expect(link?.addr_info.map(({ local }) => local)).toContain(source);
      expect(source).toMatch(/^2001:db8:15:/);
    }
    const other = JSON.parse(
      await at("home-2", "ip", "-j", "-6", "address", "show", "dev", "gre1", "scope", "global"),
    ) as { addr_info: { local: string }[] }[];
    const theirs = other[0]?.addr_info[0]?.local ?? "";
    const earlier = await dropped();
    await at("home-1", "ip", "address", "add", `${theirs}/128`, "dev", "lo");
    try {
      const ping = ["ping", "-c", "3", "-i", "0.2", "-W", "1"];
      const spoofed = ["ip", "netns", "exec", "home-1", ...ping, "-I", theirs, server6];
      expect((await machines.lab.run("internet", spoofed)).exitCode).not.toBe(0);
      const across = ["ip", "netns", "exec", "home-3", ...ping, theirs];
      expect((await machines.lab.run("internet", across)).exitCode).not.toBe(0);
    } finally {
      await at("home-1", "ip", "address", "del", `${theirs}/128`, "dev", "lo");
    }
    expect((await dropped()) - earlier).toBeGreaterThanOrEqual(6);
  });

  it("serves a subscriber behind a NAT, whose router translates the outer packets", async () => {
    const { id, address } = behindNat;
    const outer = await packet("", "eth1", "udp dst port 5555 and dst host 198.51.100.2", () => pings(id));
    expect(outer).toContain(`${address}.5555 > 198.51.100.2.5555: UDP`);
    expect(await at(id, "ip", "-br", "address", "show", "dev", "eth0")).toContain("10.99.0.2/30");
    const seen = await packet("server", "eth0", "icmp[0] == 8", () => pings(id));
    expect(seen).toContain(`198.51.100.2 > ${server}`);
  });

  it("has MTUs that fit at both ends, and makes TCP segments fit on the way back", async () => {
    const mtu = async (text: Promise<string>) => (JSON.parse(await text) as { mtu: number }[])[0]?.mtu;
    const show = ["ip", "-j", "link", "show", "dev"];
    for (const [home, fits] of [
      ["home-1", 1500 - 20 - 4 - 4],
      [behindNat.id, 1500 - 20 - 8 - 4 - 4],
    ] as const) {
      const subscriber = `sub-${home.split("-")[1]}`;
      expect(await mtu(at(home, ...show, "gre1"))).toBe(fits);
      expect(await mtu(run("edge", "ip", "netns", "exec", "isp-subscribers", ...show, subscriber))).toBe(
        fits,
      );
      // The largest packet gets there and back whole.
      await at(home, "ping", "-c", "2", "-i", "0.3", "-M", "do", "-s", String(fits - 28), "-q", server);
    }
    // The server offers 1460, as its own link has it.
    const listen = ["import socket", "s = socket.create_server(('', 5300))", "s.accept(), s.accept()"];
    const listening = at("server", "timeout", "60", "python3", "-c", listen.join("\n"));
    const connect = () =>
      at(
        "home-1",
        ...["timeout", "20", "sh", "-c", `until python3 -c "$0"; do sleep 0.5; done`],
        `import socket; socket.create_connection(('${server}', 5300), 5).close()`,
      );
    const answer = "tcp[tcpflags] & (tcp-syn|tcp-ack) == (tcp-syn|tcp-ack)";
    const sent = await packet("server", "eth0", answer, connect);
    const got = await packet("home-1", "gre1", answer, connect);
    await listening;
    expect([sent, got].map((text) => /mss (\d+)/.exec(text)?.[1])).toEqual(["1460", "1432"]);
  });

  it("keeps subscribers apart, and drops and counts a source that is another's", async () => {
    const { lab } = machines;
    const ping = (home: string, ...words: string[]) =>
      lab.run("internet", ["ip", "netns", "exec", home, "ping", "-c", "3", "-i", "0.2", "-W", "1", ...words]);
    // home-2's tunnel is the second of the pool: .4/30.
    expect((await ping("home-1", "192.168.11.6")).exitCode).not.toBe(0);
    expect((await ping("home-1", server)).exitCode).toBe(0);
    const earlier = await dropped();
    await at("home-1", "ip", "address", "add", "192.168.11.6/32", "dev", "lo");
    try {
      expect((await ping("home-1", "-I", "192.168.11.6", server)).exitCode).not.toBe(0);
    } finally {
      await at("home-1", "ip", "address", "del", "192.168.11.6/32", "dev", "lo");
    }
    expect((await dropped()) - earlier).toBeGreaterThanOrEqual(3);
  });

  describe("holds every subscriber to its plan", () => {
    beforeAll(() => at("server", "sh", "-c", "for p in 5201 5202 5203; do iperf3 -s -D -p $p; done"));
    afterAll(() => run("internet", "pkill", "-x", "iperf3"));

    it.each(["download", "upload"] as const)("alone, %s", async (direction) => {
      const rate = await goodput("home-1", direction);
      expectPlan([rate / (plans["home-1"][direction] * DATA)], `alone, ${direction}`);
    });

    it.each(["download", "upload"] as const)("all at once, %s", async (direction) => {
      const rates = await Promise.all(
        homes.map(async (home, index) => {
          return (await goodput(home, direction, 5201 + index)) / (plans[home][direction] * DATA);
        }),
      );
      expectPlan(rates, `all at once, ${direction}`);
    });
  });

  /** Pings of home-2 for as long as something else takes. */
  async function pingedDuring(work: () => Promise<string[]>): Promise<string[]> {
    const pinging = at("home-2", "ping", "-q", "-i", "0.05", "-w", "600", server);
    const done = await work();
    await run("internet", "pkill", "-INT", "-x", "ping");
    const [, sent, received] = /(\d+) packets transmitted, (\d+) received/.exec(await pinging) ?? [];
    expect(Number(received)).toBeGreaterThan(20);
    // The last one may be under way when it is stopped.
    expect(Number(sent) - Number(received)).toBeLessThanOrEqual(1);
    return done;
  }

  it("changes one plan without a lost packet of another, and touches nothing else", async () => {
    subscribe({ ...plans, "home-1": { download: 2, upload: 2 } });
    expect(await pingedDuring(up)).toHaveLength(1);
  });

  it("adds a subscriber, and renumbers nobody", async () => {
    subscribe({ ...plans, "home-9": { download: 2, upload: 2 } });
    const changed = await pingedDuring(up);
    expect(changed.filter((step) => step.startsWith("delete") || step.startsWith("replace"))).toEqual([]);
    await at("home-9", "ping", "-c", "3", "-i", "0.2", server);
  });

  it("carries and shapes the same with eBPF programs in the bridge's place", async () => {
    await stack.setConfig("netloom:bridge", { value: "xdp" });
    await up();
    for (const home of homes) await at(home, "ping", "-c", "3", "-i", "0.2", "-W", "2", server);
    const links = JSON.parse(await run("edge", "ip", "-j", "link", "show", "dev", "up-isp")) as {
      xdp?: object;
    }[];
    expect(links[0]?.xdp).toBeDefined();
    expect(await run("edge", "ip", "-br", "link", "show", "type", "bridge")).toBe("");
    await at("server", "iperf3", "-s", "-D");
    try {
      expect(await goodput("home-2", "upload")).toBeLessThan(plans["home-2"].upload * DATA * 1.03);
    } finally {
      await run("internet", "pkill", "-x", "iperf3");
    }
    expect(await up({ expectNoChanges: true })).toEqual([]);
  });

  it("leaves both machines as they were", async () => {
    await stack.destroy();
    const after = await states();
    expect(before.flatMap((state, index) => stateDifferences(state, after[index]!))).toEqual([]);
  });
});
