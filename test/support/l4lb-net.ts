import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  BpfObject,
  Bridge,
  Host,
  type L4LbService,
  LbForward,
  Namespace,
  StaticRoutes,
  Testing,
  VethPair,
  XdpL4Lb,
  type XdpL4LbProps,
  XdpProgram,
} from "../../lib";
import { healthConfig } from "../../constructs/xdp-l4lb/health";
import { deploy, type Deployment } from "./deploy";

const FIXTURES = join(__dirname, "../fixtures/l4lb");

/**
 * A balancer, a client and backends in namespaces of one network, each at the end of a veth pair whose other end is a
 * port of a bridge. Backends have the VIPs on their loopback and answer to the client directly.
 */
export const VIP = "192.0.2.80";
export const VIP6 = "2001:db8:80::80";
const BACKENDS = [1, 2, 3, 4] as const;
export const addressOf = (backend: number) => `10.8.0.${10 + backend}`;
export const address6Of = (backend: number) => `2001:db8:8::${10 + backend}`;
const macOf = (last: number) => `02:00:0a:08:00:${last.toString(16).padStart(2, "0")}`;
const [CLIENT, BALANCER] = ["10.8.0.1", "10.8.0.254"];
const [CLIENT6, BALANCER6] = ["2001:db8:8::1", "2001:db8:8::fe"];

export class L4lbNetwork {
  readonly #prefix: string;
  readonly #running: ChildProcess[] = [];
  readonly #started = new Map<string, ChildProcess>();
  #deployment: Deployment | undefined;

  constructor(tag: string) {
    this.#prefix = `nlt-${process.pid}-${tag}`;
  }

  netns(role: string): string {
    return `${this.#prefix}-${role}`;
  }

  /** The program's name on this machine. */
  get name(): string {
    return `nlt_${process.pid}_${this.#prefix.split("-").at(-1)}`;
  }

  /** All that there is, with a balancer of these services. */
  program(services: readonly L4LbService[], props: Partial<XdpL4LbProps> = {}) {
    const app = Testing.app();
    const host = new Host(app, "here");
    const net = new Namespace(host, "net", { name: this.netns("net") });
    const bridge = new Bridge(net, "bridge", { name: "br0" });
    const place = (role: string, addresses: readonly string[], mac: string) => {
      const namespace = new Namespace(host, role, {
        name: this.netns(role),
        sysctls: { "net/ipv4/conf/all/rp_filter": "0", "net/ipv4/conf/default/rp_filter": "0" },
      });
      const cable = new VethPair(host, `cable-${role}`, {
        a: { namespace: net, name: `to-${role}` },
        b: { namespace, name: "eth0", addresses, mac },
      });
      bridge.addPort(cable.a);
      return { namespace, cable };
    };
    const client = place("client", [`${CLIENT}/24`, `${CLIENT6}/64`], macOf(1));
    new StaticRoutes(client.namespace, "vips", {
      routes: [
        { destination: `${VIP}/32`, via: BALANCER },
        { destination: `${VIP6}/128`, via: BALANCER6 },
      ],
    });
    const decap = new BpfObject(host, "decap", {
      folder: FIXTURES,
      source: "decap.bpf.c",
      name: `${this.name}_decap`,
    });
    for (const nth of BACKENDS) {
      const { namespace, cable } = place(
        `b${nth}`,
        [`${addressOf(nth)}/24`, `${address6Of(nth)}/64`],
        macOf(10 + nth),
      );
      new XdpProgram(namespace, "decap", { object: decap, program: "decap", link: cable.b });
    }
    const lb = place("lb", [`${BALANCER}/24`, `${BALANCER6}/64`], macOf(254));
    const balancer = new XdpL4Lb(lb.namespace, "lb", {
      interface: lb.cable.b,
      peerStub: lb.cable.a,
      name: this.name,
      services,
      ...props,
    });
    return { app, balancer };
  }

  /** Makes it, or changes it to this; returns the steps of a change. */
  async up(services: readonly L4LbService[], props: Partial<XdpL4LbProps> = {}) {
    const { app } = this.program(services, props);
    if (this.#deployment !== undefined) return this.#deployment.update(app);
    this.#deployment = await deploy(app);
    for (const nth of BACKENDS) {
      for (const vip of [`${VIP}/32`, `${VIP6}/128`])
        this.run("ip", "-n", this.netns(`b${nth}`), "address", "add", vip, "dev", "lo");
    }
    this.#checksumsInSoftware();
    return [];
  }

  /** A client on this machine has no NIC that writes checksums, and XDP sends frames on as they are. */
  #checksumsInSoftware(): void {
    const folder = mkdtempSync(join(tmpdir(), "nlt-l4lb-"));
    const program = join(folder, "checksum-in-software");
    this.run("cc", "-O2", "-o", program, join(FIXTURES, "checksum-in-software.c"));
    this.within("client", program, "eth0");
    rmSync(folder, { recursive: true });
  }

  run(...argv: string[]): string {
    const [program = "", ...args] = argv;
    return execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  }

  within(role: string, ...argv: string[]): string {
    return this.run("ip", "netns", "exec", this.netns(role), ...argv);
  }

  /** A script of node in a namespace, which ends with the network. */
  spawn(role: string, script: string): ChildProcess {
    const child = spawn("ip", ["netns", "exec", this.netns(role), process.execPath, "-e", script], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#running.push(child);
    return child;
  }

  /** The same; it is ready when it has printed something. */
  async start(role: string, script: string): Promise<ChildProcess> {
    const child = this.spawn(role, script);
    this.#started.set(role, child);
    await once(child.stdout!, "data");
    return child;
  }

  /** Ends what was started in a namespace. */
  stop(role: string): void {
    this.#started.get(role)?.kill("SIGKILL");
  }

  /** The health service, asking from the balancer's namespace. */
  health(services: readonly L4LbService[]): ChildProcess {
    const folder = mkdtempSync(join(tmpdir(), "nlt-l4lb-"));
    const [program, config] = [join(folder, "health"), join(folder, "checks")];
    const sources = join(__dirname, "../../bpf");
    this.run(
      "cc",
      "-O2",
      "-Wall",
      "-Werror",
      `-I${sources}`,
      "-o",
      program,
      join(sources, "l4lb-health/health.c"),
    );
    writeFileSync(config, healthConfig(this.name, services) ?? "");
    // As systemd's NetworkNamespacePath: another network, the same file systems.
    const child = spawn("nsenter", [`--net=/run/netns/${this.netns("lb")}`, program, config], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#running.push(child);
    child.once("close", () => rmSync(folder, { recursive: true, force: true }));
    return child;
  }

  /** What a script of node prints, line by line, once it has ended. */
  async lines(role: string, script: string): Promise<string[]> {
    const child = this.spawn(role, script);
    let text = "";
    child.stdout!.on("data", (data) => (text += String(data)));
    await once(child, "close");
    return text.trim().split("\n");
  }

  async remove(): Promise<void> {
    for (const child of this.#running) child.kill("SIGKILL");
    await this.#deployment?.remove();
    for (const role of ["client", "lb", "net", ...BACKENDS.map((nth) => `b${nth}`)])
      spawnSync("ip", ["netns", "del", this.netns(role)]);
  }
}

/** Backends 1 to 4, or some of them. */
export const backends = (...which: number[]) =>
  (which.length === 0 ? [...BACKENDS] : which).map((nth) => ({
    address: addressOf(nth),
    mac: macOf(10 + nth),
  }));

/** A service at {@link VIP}, of all backends, by their MAC addresses. */
export const service = (props: Partial<L4LbService> = {}): L4LbService => ({
  vip: VIP,
  port: 80,
  protocol: "tcp",
  forward: LbForward.direct({ next: "mac" }),
  backends: backends(),
  ...props,
});
