import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { execa } from "execa";

import { packageRoot } from "../../lib/cli/local-stack";
import type { Lab } from "../../lib/lab";

/** What one connection did, as its receiver saw it. */
export interface Received {
  readonly bytes: number;
  /** From the first byte to the last. */
  readonly seconds: number;
  /** The longest pause between two reads. */
  readonly gapMs: number;
  /** From the last byte to the end of the connection. */
  readonly tailMs: number;
  /** Every byte was the one that was sent. */
  readonly intact: boolean;
  readonly error: string;
}

/** A path of `netagg -L`, as far as measurements need it. */
export interface PathState {
  readonly address: string;
  readonly alive: boolean;
  readonly weight: number;
  readonly weightInUse: number;
  readonly txPackets: number;
  readonly txBytes: number;
  readonly rxBytes: number;
  readonly retransmits: number;
  readonly rttUs: number;
  readonly delayUs: number;
}

/** A rule of `netagg -L`. */
export interface RuleState {
  readonly role: "sender" | "receiver";
  readonly family: "inet" | "inet6";
  readonly flows: number;
  readonly held: number;
  readonly filled: number;
  readonly expired: number;
  readonly lost: number;
  readonly icmp: number;
  readonly paths: readonly PathState[];
}

/** How a path is made worse than a cable: netem on both of its ends, its rate with it. */
export interface Shape {
  readonly kbit: number;
  /** One way. */
  readonly delayMs: number;
  /** Packets that wait at most. @default 100 ms of them and those under way */
  readonly queue?: number;
  /** More for netem, such as `loss 1%`, from sender to receiver. */
  readonly more?: string;
}

const files = (folder: string): string[] =>
  readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    if (statSync(path).isDirectory())
      return name === "build" ? [] : files(path).map((one) => join(name, one));
    return [name];
  });

/** The lines of a script that puts a file there. */
const writing = (to: string, from: string): string =>
  `mkdir -p ${dirname(to)} && base64 -d >${to} <<'END'\n${readFileSync(from).toString("base64")}\nEND\n`;

const sources = join(packageRoot(), "kmod", "netagg");

/** What a transfer is asked to be. */
export interface Transfer {
  /** Milliseconds to send for, or a number of bytes. */
  readonly amount: { readonly ms: number } | { readonly bytes: number };
  readonly address?: string;
  readonly port?: number;
  readonly mptcp?: boolean;
  /** Done while it runs. */
  readonly meanwhile?: () => Promise<void>;
}

/**
 * Namespaces a and b of one lab machine with routers r1, r2... between them, one for each path, and the module:
 * bench/support/netagg/topology.sh says how.
 */
export class AggregationLab {
  private nextPort = 2000;

  constructor(
    private readonly lab: Lab,
    private readonly machine: string,
  ) {}

  /** Runs a script with the functions of topology.sh. */
  async sh(script: string): Promise<string> {
    const input = `set -e\n. /opt/netagg/topology.sh\n${script}\n`;
    return (await this.lab.ssh(this.machine, ["bash", "-s"], { input })).trim();
  }

  /** Copies the functions of topology.sh to the machine, and builds the program whose connections are judged. */
  async tools(): Promise<void> {
    await this.copy(join(packageRoot(), "bench", "support", "netagg"), "/opt/netagg");
    await this.sh("cc -O2 -Wall -Wextra -o /usr/local/bin/stream /opt/netagg/stream.c");
  }

  /** Builds the module and its tools on the machine, and loads it. Returns what the compilers said. */
  async install(): Promise<string> {
    const own = process.env.NETLOOM_LAB_KERNEL;
    await this.copy(sources, "/opt/netagg/src");
    await this.tools();
    const said = await this.lab.ssh(this.machine, [
      "sh",
      "-ec",
      `exec 2>&1; cd /opt/netagg
       make -j2 -C src OUT=/opt/netagg/build ${own ? "tool" : "all"}
       cc -O2 -Wall -Wextra -I src -o /usr/local/bin/netagg-fuzz fuzz.c
       install build/netagg /usr/local/bin/netagg
       ${own ? "" : "modprobe -a udp_tunnel ip6_udp_tunnel veth sch_netem"}`,
    ]);
    const saidHere = own ? await this.moduleFor(own) : "";
    await this.load();
    return said + saidHere;
  }

  /** For a kernel of one's own (tools/debug-kernel) the module is built here, where its headers are. */
  private async moduleFor(kernel: string): Promise<string> {
    const out = mkdtempSync(join(tmpdir(), "netloom-netagg-"));
    try {
      const headers = join(resolve(kernel), "build");
      const made = await execa("make", ["-C", sources, "module", `HEADERS=${headers}`, `OUT=${out}`], {
        all: true,
      });
      await this.write("/opt/netagg/build/netagg.ko", join(out, "netagg.ko"));
      return made.all;
    } finally {
      rmSync(out, { recursive: true, force: true });
    }
  }

  load = () => this.sh("insmod /opt/netagg/build/netagg.ko");

  private async copy(from: string, to: string): Promise<void> {
    const script = files(from).map((name) => writing(`${to}/${name}`, join(from, name)));
    await this.lab.ssh(this.machine, ["sh", "-e"], { input: script.join("") });
  }

  private async write(to: string, from: string): Promise<void> {
    await this.lab.ssh(this.machine, ["sh", "-e"], { input: writing(to, from) });
  }

  async shape(path: number, { kbit, delayMs, queue, more = "" }: Shape): Promise<void> {
    const packets = Math.ceil((kbit * (delayMs + 100)) / 8 / 1514);
    await this.sh(`shape ${path} ${kbit} ${delayMs} ${queue ?? Math.max(20, packets)} ${more}`);
  }

  async rules(namespace: "a" | "b"): Promise<readonly RuleState[]> {
    return JSON.parse(await this.sh(`ip netns exec ${namespace} netagg -L`)) as RuleState[];
  }

  /** A port that nothing has used yet. */
  unusedPort = () => this.nextPort++;

  /** The rules of both ends; for a port of its own unless there is one, so that nothing is left of an earlier one. */
  async aggregate(
    weights: readonly number[],
    options: {
      readonly sender?: string;
      readonly both?: string;
      readonly ipv6?: boolean;
      readonly port?: number;
    } = {},
  ): Promise<number> {
    const port = options.port ?? this.unusedPort();
    const address = (n: number) => (options.ipv6 ? `[fd00:0:${n}::2]:${port}` : `10.0.${n}.2:${port}`);
    const paths = weights.map((_, index) => `${index === 0 ? "-P" : "-S"} ${address(index + 1)}`).join(" ");
    const rule = `${paths} -R ${weights.join(":")} ${options.both ?? ""}`;
    await this.sh(`ip netns exec b netagg -A receiver ${rule}
      ip netns exec a netagg -A sender ${rule} ${options.sender ?? ""}`);
    return port;
  }

  /** Waits until the senders of all rules use the paths that they should. */
  async alive(...wanted: readonly boolean[]): Promise<void> {
    const right = JSON.stringify(wanted);
    for (let tries = 0; ; tries++) {
      const found = (await this.rules("a")).map(({ paths }) =>
        JSON.stringify(paths.map(({ alive }) => alive)),
      );
      if (found.length > 0 && found.every((one) => one === right)) return;
      if (tries === 300) throw new Error(`paths are alive: ${found.join("; ")}, not ${right}`);
      await sleep(100);
    }
  }

  flush = () => this.sh("ip netns exec a netagg -F; ip netns exec b netagg -F");

  /** One connection from a to b, and what b received. */
  async transfer(transfer: Transfer): Promise<Received> {
    const { amount, address = "10.0.1.2", port = this.nextPort++, mptcp, meanwhile } = transfer;
    const at = `${address} ${port}`;
    const kind = mptcp ? "mptcp" : "";
    const what = "ms" in amount ? `send ${at} ${amount.ms}` : `count ${at} ${amount.bytes}`;
    const [said] = await Promise.all([
      // A subflow to another address needs a listener that has it.
      this.sh(`ip netns exec b stream serve ${mptcp ? "0.0.0.0" : address} ${port} ${kind} 2>/run/stream.err &
        for try in $(seq 100); do
          [ -n "$(ip netns exec b ss -Hltn "sport = :${port}")" ] && break
          sleep 0.1
        done
        ip netns exec a stream ${what} ${kind} >/dev/null
        wait`),
      meanwhile?.(),
    ]);
    return JSON.parse(said) as Received;
  }
}

/** Megabits a second of what was received. */
export const mbit = ({ bytes, seconds }: Received): number => (bytes * 8) / seconds / 1e6;
