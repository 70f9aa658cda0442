import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

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

  /** Builds the module and its tool on the machine, and loads it. Returns what the compilers said. */
  async install(): Promise<string> {
    const module = join(packageRoot(), "kmod", "netagg");
    const support = join(packageRoot(), "bench", "support", "netagg");
    await this.copy(module, "/opt/netagg/src");
    await this.copy(support, "/opt/netagg");
    const said = await this.lab.ssh(this.machine, [
      "sh",
      "-ec",
      `exec 2>&1; cd /opt/netagg
       make -j2 -C src OUT=/opt/netagg/build
       cc -O2 -Wall -Wextra -o /usr/local/bin/stream stream.c
       cc -O2 -Wall -Wextra -I src -o /usr/local/bin/netagg-fuzz fuzz.c
       install build/netagg /usr/local/bin/netagg
       modprobe -a udp_tunnel ip6_udp_tunnel veth sch_netem`,
    ]);
    await this.load();
    return said;
  }

  load = () => this.sh("insmod /opt/netagg/build/netagg.ko");

  private async copy(from: string, to: string): Promise<void> {
    const script = files(from)
      .map((name) => {
        const text = readFileSync(join(from, name)).toString("base64");
        return `mkdir -p ${to}/${join(name, "..")} && base64 -d >${to}/${name} <<'END'\n${text}\nEND\n`;
      })
      .join("");
    await this.lab.ssh(this.machine, ["sh", "-e"], { input: script });
  }

  async shape(path: number, { kbit, delayMs, queue, more = "" }: Shape): Promise<void> {
    const packets = Math.ceil((kbit * (delayMs + 100)) / 8 / 1514);
    await this.sh(`shape ${path} ${kbit} ${delayMs} ${queue ?? Math.max(20, packets)} ${more}`);
  }

  async rules(namespace: "a" | "b"): Promise<readonly RuleState[]> {
    return JSON.parse(await this.sh(`ip netns exec ${namespace} netagg -L`)) as RuleState[];
  }

  /** The rules of both ends; a port of its own, so that nothing is left of an earlier one. */
  async aggregate(
    weights: readonly number[],
    options: { readonly sender?: string; readonly both?: string; readonly ipv6?: boolean } = {},
  ): Promise<number> {
    const port = this.nextPort++;
    const address = (n: number) => (options.ipv6 ? `[fd00:0:${n}::2]:${port}` : `10.0.${n}.2:${port}`);
    const paths = weights.map((_, index) => `${index === 0 ? "-P" : "-S"} ${address(index + 1)}`).join(" ");
    const rule = `${paths} -R ${weights.join(":")} ${options.both ?? ""}`;
    await this.sh(`ip netns exec b netagg -A receiver ${rule}
      ip netns exec a netagg -A sender ${rule} ${options.sender ?? ""}`);
    return port;
  }

  /** Waits until the sender of the first rule uses the paths that it should. */
  async alive(...wanted: readonly boolean[]): Promise<void> {
    for (let tries = 0; ; tries++) {
      const found = (await this.rules("a"))[0]?.paths.map(({ alive }) => alive) ?? [];
      if (JSON.stringify(found) === JSON.stringify(wanted)) return;
      if (tries === 300) throw new Error(`paths are alive: ${found.join(" ")}, not ${wanted.join(" ")}`);
      await sleep(100);
    }
  }

  flush = () => this.sh("ip netns exec a netagg -F; ip netns exec b netagg -F");

  /** One connection from a to b, and what b received. */
  async transfer({ amount, address = "10.0.1.2", port, mptcp, meanwhile }: Transfer): Promise<Received> {
    const at = `${address} ${port ?? this.nextPort++}`;
    const kind = mptcp ? "mptcp" : "";
    const what = "ms" in amount ? `send ${at} ${amount.ms}` : `count ${at} ${amount.bytes}`;
    const [said] = await Promise.all([
      this.sh(`ip netns exec b stream serve ${at} ${kind} 2>/run/stream.err &
        for try in $(seq 100); do
          [ -n "$(ip netns exec b ss -Hltn "sport = :${at.split(" ")[1]}")" ] && break
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
