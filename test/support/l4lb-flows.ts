import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { bpfBuild, buildBpf } from "./bpf";
import {
  encodeBackend,
  encodeControl,
  writeService,
  type Backend,
  type Control,
  type Service,
} from "./bpf-l4lb";
import { le32 } from "./bpf-mux";

/** What became of a backend's flows in one command. */
export interface At {
  /** Flows that are there now. */
  readonly flows: number;
  /** Packets that went there. */
  readonly packets: number;
  /** Flows that were there before and are elsewhere now. */
  readonly left: number;
}

export interface Sent {
  /** Packets that went nowhere. */
  readonly lost: number;
  /** Flows that were elsewhere before. */
  readonly moved: number;
  readonly backends: ReadonlyMap<number, At>;
}

/** What a packet is: UDP, or TCP with these flags. */
export const SYN = "2";
export const ACK = "16";
export const FIN = "17";

/** The address that bpf/l4lb/test/flow-run.c knows a backend by. */
export const addressOf = (id: number): string => `10.100.${id >> 8}.${id & 255}`;

export const vip = "203.0.113.80";

/** The balancer with flows by the hundred thousand: services on port 80 of one VIP, IPIP to its backends. */
export class FlowRun {
  private readonly waiting: { resolve: (line: string) => void; reject: (error: Error) => void }[] = [];
  private complaint = "";

  private constructor(private readonly child: ChildProcessWithoutNullStreams) {
    createInterface({ input: child.stdout }).on("line", (line) => {
      const next = this.waiting.shift();
      if (line.startsWith("ok")) next?.resolve(line.slice(2).trim());
      else next?.reject(new Error(`${line}\n${this.complaint}`));
    });
    child.stderr.on("data", (chunk: Buffer) => (this.complaint += chunk.toString()));
    child.on("exit", () => {
      for (const { reject } of this.waiting) reject(new Error(`the runner has ended\n${this.complaint}`));
    });
  }

  static async start(control: Control = {}): Promise<FlowRun> {
    buildBpf();
    const run = new FlowRun(spawn(join(bpfBuild, "l4lb-flow-run")));
    await run.ask(`load ${FlowRun.object}`);
    await run.set("lb_control", le32(0), encodeControl(control));
    return run;
  }

  private static readonly object = join(bpfBuild, "l4lb.bpf.o");

  private ask(line: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject });
      this.child.stdin.write(line + "\n");
    });
  }

  private async sent(line: string): Promise<Sent> {
    const [lost, moved, ...rest] = (await this.ask(line)).split(" ");
    const backends = rest.map((word): [number, At] => {
      const [id, flows, packets, left] = word.split(":").map(Number);
      return [id!, { flows: flows!, packets: packets!, left: left! }];
    });
    return { lost: Number(lost), moved: Number(moved), backends: new Map(backends) };
  }

  /** One packet of each of so many flows. */
  send(what: string, first: number, count: number): Promise<Sent> {
    return this.sent(`send ${what} ${first} ${count}`);
  }

  /** Flows one after the other, each with so many packets. */
  burst(what: string, first: number, sizes: readonly number[]): Promise<Sent> {
    return this.sent(`burst ${what} ${first} ${sizes.join(",")}`);
  }

  /** One packet of each flow from each of two processors, at the same time. */
  race(what: string, first: number, count: number): Promise<Sent> {
    return this.sent(`race ${what} ${first} ${count}`);
  }

  /** Puts another load of the program in the place of this one, with its maps. */
  async swap(): Promise<void> {
    await this.ask(`swap ${FlowRun.object}`);
  }

  /** Forgets where the flows were; the balancer does not. */
  async forget(): Promise<void> {
    await this.ask("forget");
  }

  async set(map: string, key: Buffer, value: Buffer): Promise<void> {
    await this.ask(`set ${map} ${key.toString("hex")} ${value.toString("hex")}`);
  }

  async get(map: string, key: Buffer): Promise<Buffer> {
    return Buffer.from(await this.ask(`get ${map} ${key.toString("hex")}`), "hex");
  }

  async service(id: number, service: Omit<Service, "vip" | "port">, ringAt = 0): Promise<void> {
    await writeService((...entry) => this.set(...entry), id, { ...service, vip, port: 80 }, ringAt);
  }

  async backend(id: number, backend: Partial<Backend> = {}): Promise<void> {
    await this.set("lb_backends", le32(id), encodeBackend({ address: addressOf(id), ...backend }));
  }

  async down(id: number, down: boolean): Promise<void> {
    await this.set("lb_health", le32(id), le32(down ? 1 : 0));
  }

  /** How often something of `lb_stats` has been counted. */
  async count(reason: number): Promise<number> {
    const bytes = await this.get("lb_stats", le32(reason));
    let sum = 0;
    for (let at = 0; at < bytes.length; at += 16) sum += Number(bytes.readBigUInt64LE(at));
    return sum;
  }

  async active(id: number): Promise<number> {
    return Number((await this.get("lb_active", le32(id))).readBigUInt64LE(0));
  }

  async close(): Promise<void> {
    this.child.stdin.end();
    await new Promise((resolve) =>
      this.child.exitCode === null ? this.child.once("exit", resolve) : resolve(0),
    );
  }
}
