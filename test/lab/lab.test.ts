import { existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { availableParallelism, loadavg, networkInterfaces } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { execa } from "execa";

import { defaultRelease, imageOf, Lab, labsUp, savedStateOf, type LabLink } from "../../lib/lab";
import { sweepOrphans } from "../../lib/lab/owners";
import { labFolder, machineFolder } from "../../lib/lab/paths";
import { alive, machineProcess } from "../../lib/lab/processes";
import { uniqueLabName } from "../support/lab";

const name = uniqueLabName();
const link: LabLink = { a: ["left", 1], b: ["right", 1] };
const options = { names: ["left", "right"], links: [link], lab: name, ephemeral: true } as const;
let lab: Lab;
let tookMs: number;
/** How many times more there was to do than this computer has processors for, while the machines woke up. */
let crowding: number;

beforeAll(async () => {
  await savedStateOf(await imageOf(defaultRelease));
  const began = Date.now();
  lab = await Lab.up(options);
  tookMs = Date.now() - began;
  crowding = Math.max(1, (loadavg()[0] ?? 0) / availableParallelism());
});

afterAll(() => lab?.down());

const on = (machine: string, ...argv: string[]) => lab.ssh(machine, argv);
const line = async (machine: string, ...argv: string[]) => (await on(machine, ...argv)).trim();

/** Gives both ends of the cable an address, and says whether one reaches the other. */
async function reaches(): Promise<boolean> {
  for (const [machine, address] of [
    ["left", "192.0.2.1/24"],
    ["right", "192.0.2.2/24"],
  ] as const) {
    await on(machine, "ip", "address", "replace", address, "dev", "eth1");
    await on(machine, "ip", "link", "set", "eth1", "up");
  }
  return (await lab.run("left", ["ping", "-c3", "-i0.2", "-W1", "192.0.2.2"])).exitCode === 0;
}

describe("machines", () => {
  test("two wake up within 15 s, and answer ssh", async () => {
    expect(tookMs).toBeLessThan(15_000 * crowding);
    expect(lab.hosts.map((host) => [host.name, host.reused])).toEqual([
      ["left", false],
      ["right", false],
    ]);
    expect(await line("left", "uname", "-r")).toMatch(/^6\.1\./);
    expect(await line("left", "systemctl", "is-system-running")).toBe("running");
  });

  test("the management interface brings one address and no route beyond its own network", async () => {
    for (const family of ["-4", "-6"])
      expect(await line("left", "ip", family, "route", "show", "default")).toBe("");
    const addresses = await line("left", "ip", "-o", "address", "show", "scope", "global");
    expect(addresses.split("\n").map((row) => row.split(/\s+/).slice(1, 4))).toEqual([
      ["eth0", "inet", "10.0.2.15/24"],
    ]);
    expect(await line("left", "cat", "/etc/resolv.conf")).toBe("");
  });

  test("each is a computer of its own", async () => {
    const seen = async (machine: string) => ({
      name: await line(machine, "hostname"),
      id: await line(machine, "cat", "/etc/machine-id"),
      macs: await line(machine, "cat", ...[1, 2, 3, 4].map((nic) => `/sys/class/net/eth${nic}/address`)),
      clock: Number(await line(machine, "date", "+%s")),
    });
    const [left, right] = [await seen("left"), await seen("right")];
    expect([left.name, right.name]).toEqual(["left", "right"]);
    expect(left.id).not.toBe(right.id);
    expect(new Set(`${left.macs}\n${right.macs}`.split("\n")).size).toBe(8);
    // Not the clock of the moment that was saved; on a busy computer the answer itself takes seconds.
    expect(Math.abs(right.clock - Date.now() / 1000)).toBeLessThan(30);
  });

  test("the answer to a connection is the key and the host key that the host names", async () => {
    const host = lab.host("left");
    const scanned = await execa("ssh-keyscan", ["-t", "ed25519", "-p", String(host.port), host.address]);
    expect(scanned.stdout).toContain(host.hostKey);
    expect(host.privateKey).toBe(readFileSync(host.privateKeyFile, "utf8"));
  });

  test("what is up already is taken as it is", async () => {
    const began = Date.now();
    const again = await Lab.up(options);
    expect(Date.now() - began).toBeLessThan(2000);
    expect(again.hosts.map(({ name, port, reused }) => ({ name, port, reused }))).toEqual(
      lab.hosts.map(({ name, port }) => ({ name, port, reused: true })),
    );
    await expect(Lab.up({ ...options, release: 11 })).rejects.toThrow("left is up with Debian 12");
  });

  test("the kernel has the tunnels and the shapers", async () => {
    expect(await line("left", "ls", "/sys/class/net")).toMatch(/gre0[^]*ip6gre0[^]*sit0[^]*tunl0/);
    const link = (...argv: string[]) => on("left", "ip", "link", "add", ...argv);
    await link("t1", "type", "gre", "local", "192.0.2.1", "remote", "192.0.2.2", "key", "7");
    await link("t2", "type", "geneve", "id", "7", "remote", "192.0.2.2");
    await link("t3", "type", "vxlan", "id", "7", "remote", "192.0.2.2", "dstport", "4789");
    await link("t4", "type", "ip6gre", "local", "2001:db8::1", "remote", "2001:db8::2");
    await link("t5", "type", "dummy");
    await link("t6", "link", "t5", "type", "vlan", "id", "7");
    await link("t7", "type", "ifb");
    await on("left", "tc", "qdisc", "add", "dev", "t5", "root", "cake", "bandwidth", "10mbit");
    await on("left", "tc", "qdisc", "add", "dev", "t7", "root", "netem", "delay", "10ms");
    await on("left", "nft", "add table inet t");
    await on("left", "nft", "delete table inet t");
    for (const made of ["t1", "t2", "t3", "t4", "t6", "t5", "t7"])
      await on("left", "ip", "link", "del", made);
  });

  test("admin may become root without a password, guest may not", async () => {
    expect(await lab.ssh("left", ["sudo", "-n", "id", "-u"], { user: "admin" })).toBe("0\n");
    expect(await lab.ssh("left", ["id", "-un"], { user: "guest" })).toBe("guest\n");
    expect((await lab.run("left", ["sudo", "-n", "id"], { user: "guest" })).exitCode).not.toBe(0);
  });

  test("a command's words and its input arrive as they are", async () => {
    const words = ["$(id)", "a b", "it's", "; rm -rf /tmp/x", "line\nbreak", "*", "", "-e"];
    const printed = await lab.ssh("left", ["printf", "<%s>", ...words]);
    expect(printed).toBe(words.map((word) => `<${word}>`).join(""));
    expect(await lab.ssh("left", ["cat"], { input: "$HOME\n\n" })).toBe("$HOME\n\n");
    await expect(lab.ssh("left", ["ls", "/nowhere"])).rejects.toThrow(
      /left: ls \/nowhere: exit 2: .*No such file/,
    );
  });
});

describe("cables", () => {
  test("join two machines, and can be pulled and plugged while they run", async () => {
    expect(await reaches()).toBe(true);
    lab.disconnect(link);
    expect(await reaches()).toBe(false);
    lab.connect(link);
    expect(await reaches()).toBe(true);
    expect(labsUp().find((one) => one.lab === name)?.links).toEqual([link]);
  });

  test("an end takes one cable", () => {
    expect(() => lab.connect({ a: ["left", 1], b: ["right", 2] })).toThrow(
      "left:1 is linked to right:1 already",
    );
    expect(() => lab.connect({ a: ["left", 5], b: ["right", 2] })).toThrow(
      "data interfaces are 1 to 4, not 5",
    );
  });

  test("the carrier can be taken away", async () => {
    await on("right", "ip", "link", "set", "eth2", "up");
    await lab.setCarrier("right", 2, false);
    await expect(line("right", "cat", "/sys/class/net/eth2/carrier")).resolves.toBe("0");
    await lab.setCarrier("right", 2, true);
    await expect(line("right", "cat", "/sys/class/net/eth2/carrier")).resolves.toBe("1");
  });
});

describe("nothing outside this computer is reached", () => {
  test("neither a server here nor anything beyond, whatever route is set", async () => {
    const server = createServer((socket) => socket.end("reached\n")).listen(0, "0.0.0.0");
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as AddressInfo;
    try {
      await on("right", "ip", "route", "replace", "default", "via", "10.0.2.2", "dev", "eth0");
      const ownAddresses = Object.values(networkInterfaces())
        .flatMap((addresses) => addresses ?? [])
        .filter(({ family, internal }) => family === "IPv4" && !internal)
        .map(({ address }) => address);
      // From here the server answers: that it does not from there is the lab's doing.
      expect((await execa("curl", ["-s", "--http0.9", `http://127.0.0.1:${port}`])).stdout).toBe("reached");
      for (const address of ["10.0.2.2", ...ownAddresses]) {
        const answer = await lab.run("right", ["nc", "-w2", address, String(port)]);
        expect(answer.stdout).not.toContain("reached");
      }
      expect((await lab.run("right", ["ping", "-c1", "-W1", "1.1.1.1"])).exitCode).not.toBe(0);
      expect((await lab.run("right", ["nc", "-z", "-w2", "1.1.1.1", "443"])).exitCode).not.toBe(0);
      // Its name server (10.0.2.3) would ask this computer's.
      const asked = await lab.run("right", ["sh", "-c", "printf x | nc -u -w1 10.0.2.3 53"]);
      expect(asked.stdout).toBe("");
    } finally {
      server.close();
    }
  });

  test("its process has sockets on the loopback address and in its own folder, and no others", () => {
    const machine = machineProcess(machineFolder(name, "right"));
    const sockets = socketsOf(machine?.pid ?? 0);
    const here = `0100007F:${lab.host("right").port.toString(16).toUpperCase().padStart(4, "0")}`;
    const internet = ["tcp", "tcp6", "udp", "udp6", "raw", "raw6", "packet"].flatMap((table) =>
      rowsOf(table).filter((row) => row.some((field) => sockets.has(field))),
    );
    expect(internet.length).toBeGreaterThan(0);
    expect(internet.filter((row) => row[1] !== here)).toEqual([]);
    const unix = rowsOf("unix").filter((row) => sockets.has(row[6] ?? "") && row[7] !== undefined);
    expect(unix.length).toBeGreaterThanOrEqual(5);
    expect(unix.filter((row) => !row[7]?.startsWith(machineFolder(name, "right")))).toEqual([]);
  });
});

describe("restarts", () => {
  // One machine at a time: two that boot on two processors take more than twice as long.
  test.each(["reboot", "reset"] as const)(
    "after a %s it comes back, as the same computer",
    async (how) => {
      const identity = () =>
        on(
          "left",
          "cat",
          "/etc/hostname",
          "/proc/sys/kernel/hostname",
          "/etc/machine-id",
          "/sys/class/net/eth1/address",
        );
      const boot = () => line("left", "cat", "/proc/sys/kernel/random/boot_id");
      const before = { identity: await identity(), boot: await boot() };
      await on("left", "sync");
      await lab[how]("left");
      expect(await identity()).toBe(before.identity);
      expect(await boot()).not.toBe(before.boot);
      expect(Math.abs(Number(await line("left", "date", "+%s")) - Date.now() / 1000)).toBeLessThan(30);
      expect(await reaches()).toBe(true);
    },
    660_000,
  );
});

describe("the end", () => {
  test("a machine that is taken down leaves no process, no file and no cable", async () => {
    const machine = machineProcess(machineFolder(name, "left"));
    await lab.down(["left"]);
    expect(machine && alive(machine)).toBe(false);
    expect(existsSync(machineFolder(name, "left"))).toBe(false);
    expect(labsUp().find((one) => one.lab === name)).toMatchObject({
      machines: [{ name: "right" }],
      links: [],
    });
    await expect(lab.ssh("left", ["true"])).rejects.toThrow("no machine left is up");
  });

  test("a lab whose owner was killed is swept away", async () => {
    const machine = machineProcess(machineFolder(name, "right"));
    await sweepOrphans();
    expect(machine && alive(machine)).toBe(true);
    writeFileSync(join(labFolder(name), "owner.json"), JSON.stringify({ pid: process.pid, started: "1" }));
    await sweepOrphans();
    expect(machine && alive(machine)).toBe(false);
    expect(existsSync(labFolder(name))).toBe(false);
    // The shared connection ends by itself when nobody is at its other end.
    for (
      const began = Date.now();
      processesNaming(labFolder(name)).length > 0 && Date.now() - began < 20_000;
    ) {
      await sleep(50);
    }
    expect(processesNaming(labFolder(name))).toEqual([]);
  });
});

/** The inode numbers of a process's sockets. */
function socketsOf(pid: number): Set<string> {
  const inodes = new Set<string>();
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`));
    if (inode?.[1]) inodes.add(inode[1]);
  }
  return inodes;
}

function rowsOf(table: string): string[][] {
  const file = `/proc/net/${table}`;
  if (!existsSync(file)) return [];
  const rows = readFileSync(file, "utf8").trim().split("\n").slice(1);
  return rows.map((row) => row.trim().split(/\s+/));
}

/** Processes with a path among their arguments. */
function processesNaming(path: string): string[] {
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((pid) => {
      try {
        const argv = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
        return argv.includes(path) ? [argv] : [];
      } catch {
        return [];
      }
    });
}
