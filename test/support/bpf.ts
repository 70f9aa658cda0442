import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from "node:child_process";
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { execa } from "execa";

const root = join(__dirname, "..", "..");

/** Where `make -C bpf` puts what it builds. */
export const bpfBuild = join(root, "dist", "bpf");
export const bpfSources = join(root, "bpf");

let built = false;

/** Builds every object and the runner, once a test file; make itself skips what is up to date. */
export function buildBpf(): void {
  if (built) return;
  // Several jest workers may ask at once.
  const made = spawnSync("flock", [bpfSources, "make", "-s", "-C", bpfSources], { encoding: "utf8" });
  if (made.status !== 0) throw new Error(`make -C bpf failed:\n${made.stderr}`);
  built = true;
}

/** Verdicts of an XDP program. */
export const XDP = { aborted: 0, drop: 1, pass: 2, tx: 3, redirect: 4 } as const;

/** Verdicts of a tc program; unspec goes on to the next filter. */
export const TC = { unspec: -1, ok: 0, shot: 2, redirect: 7 } as const;

/** What the verifier and the JIT said of a program. */
export interface ProgramFacts {
  readonly name: string;
  /** Instructions the verifier walked, all its functions together. */
  readonly verified: number;
  /** Bytes of stack, its functions added up. */
  readonly stack: number;
  /** Bytes after the verifier's rewriting, and as machine code. */
  readonly xlated: number;
  readonly jited: number;
}

/** An object loaded in a network namespace of its own, whose programs run on packets given to them. */
export class BpfRun {
  /** Off for what may differ from machine to machine. */
  recording = true;

  private readonly waiting: { resolve: (line: string) => void; reject: (error: Error) => void }[] = [];

  private constructor(
    private readonly child: ChildProcessWithoutNullStreams,
    /** The namespace the programs see their interfaces in. */
    readonly namespace: string,
  ) {
    createInterface({ input: child.stdout }).on("line", (line) => {
      const next = this.waiting.shift();
      this.record("<", line);
      if (line.startsWith("ok")) next?.resolve(line.slice(2).trim());
      else next?.reject(new Error(line.replaceAll("|", "\n")));
    });
    child.on("exit", () => {
      for (const { reject } of this.waiting) reject(new Error("bpf-run has ended"));
    });
  }

  /**
   * Makes a namespace with veth pairs and starts the runner in it. The ends in `devices` get interface numbers from
   * 2 on, every second one; each has a program, so that a packet can be said to have come in there.
   */
  static async start(devices: readonly string[] = []): Promise<BpfRun> {
    buildBpf();
    const namespace = `nlt-${process.pid}-${Math.random().toString(36).slice(2, 6)}`;
    await execa("ip", ["netns", "add", namespace]);
    let index = 2;
    const batch = devices.flatMap((name) => [
      `link add ${name} index ${index++} type veth peer name ${name}-far index ${index++}`,
      `link set ${name} up`,
      `link set ${name}-far up`,
      `link set dev ${name} xdp obj ${join(bpfBuild, "xdp-pass.bpf.o")} sec xdp`,
    ]);
    if (batch.length > 0)
      await execa("ip", ["-n", namespace, "-batch", "-"], { input: batch.join("\n") + "\n" });
    const child = spawn("ip", ["netns", "exec", namespace, join(bpfBuild, "bpf-run")]);
    return new BpfRun(child, namespace);
  }

  /** With BPF_RECORD=FILE, writes down what is asked and answered, for bpf/test/replay on another kernel. */
  private record(direction: "<" | ">", line: string): void {
    const file = process.env.BPF_RECORD;
    if (file && this.recording) appendFileSync(file, direction + line + "\n");
  }

  private ask(line: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject });
      this.record(">", line);
      this.child.stdin.write(line + "\n");
    });
  }

  /** Loads `NAME.bpf.o`, with other map sizes than its own where given. */
  async load(name: string, sizes: Readonly<Record<string, number>> = {}): Promise<void> {
    const words = Object.entries(sizes).map(([map, entries]) => `${map}=${entries}`);
    await this.ask(["load", join(bpfBuild, `${name}.bpf.o`), ...words].join(" "));
  }

  async programs(): Promise<ProgramFacts[]> {
    return (await this.ask("programs")).split(" ").map((word) => {
      const [name, ...figures] = word.split(":");
      const [verified, stack, xlated, jited] = figures.map(Number);
      return { name: name!, verified: verified!, stack: stack!, xlated: xlated!, jited: jited! };
    });
  }

  /** Runs a program on a packet that came in at an interface. */
  async run(program: string, ifindex: number, packet: Buffer): Promise<{ verdict: number; packet: Buffer }> {
    const [verdict, bytes] = (await this.ask(`run ${program} ${ifindex} ${packet.toString("hex")}`)).split(
      " ",
    );
    return { verdict: Number(verdict), packet: Buffer.from(bytes ?? "", "hex") };
  }

  /** Runs a classifier on a packet that has a priority; hexadecimal, as a class id is written. */
  async classify(
    program: string,
    packet: Buffer,
    priority = 0,
  ): Promise<{ verdict: number; priority: number; packet: Buffer }> {
    const answer = await this.ask(`classify ${program} ${priority.toString(16)} ${packet.toString("hex")}`);
    const [verdict, after, bytes] = answer.split(" ");
    return {
      verdict: Number(verdict),
      priority: parseInt(after!, 16),
      packet: Buffer.from(bytes ?? "", "hex"),
    };
  }

  async set(map: string, key: Buffer, value: Buffer): Promise<void> {
    await this.ask(`set ${map} ${key.toString("hex")} ${value.toString("hex")}`);
  }

  async unset(map: string, key: Buffer): Promise<void> {
    await this.ask(`unset ${map} ${key.toString("hex")}`);
  }

  /** A value; of a per-CPU map, those of all CPUs one after the other. */
  async get(map: string, key: Buffer): Promise<Buffer> {
    return Buffer.from(await this.ask(`get ${map} ${key.toString("hex")}`), "hex");
  }

  /** Every value of an array, one after the other. */
  async dump(map: string): Promise<Buffer> {
    return Buffer.from(await this.ask(`dump ${map}`), "hex");
  }

  /** Empties every map. */
  async clear(): Promise<void> {
    await this.ask("clear");
  }

  /** What a ring buffer holds, taken out of it. */
  async events(map: string): Promise<Buffer[]> {
    const answer = await this.ask(`events ${map}`);
    return answer === "" ? [] : answer.split(" ").map((event) => Buffer.from(event, "hex"));
  }

  /** Runs `ip` in the namespace. */
  async ip(...words: string[]): Promise<void> {
    await execa("ip", ["-n", this.namespace, ...words]);
  }

  async close(): Promise<void> {
    this.child.stdin.end();
    await new Promise((resolve) =>
      this.child.exitCode === null ? this.child.once("exit", resolve) : resolve(0),
    );
    await execa("ip", ["netns", "del", this.namespace]);
  }
}
