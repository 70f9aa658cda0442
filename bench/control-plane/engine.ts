import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import type { PulumiFn, Stack } from "@pulumi/pulumi/automation";
import { execa } from "execa";
import { openLocalStack, packageRoot } from "../../lib/cli/local-stack";
import type { AnySpec } from "../../lib/kinds/kind";
import { link } from "../../lib/kinds/link";
import { Provider } from "../../lib/sdk";
import { atMost, spread, type Figure, type Row } from "../support/report";
import type { LoopbackSshd } from "../support/sshd";

/** A stack of the same links, by one provider or the other. */
interface Side {
  readonly name: string;
  /** The program, with the MTU of the first link. */
  program(mtu: number): PulumiFn;
}

/**
 * Resources that the engine works on at once, on both sides. Its default goes by the processors here, and what waits for
 * a host far away does not need them: what arrives together leaves together in one batch.
 */
const parallel = 64;

/** The seconds of each operation, run by run. */
type Times = Record<"up" | "nothing" | "change" | "destroy", number[]>;

/** The whole engine over our provider, against the same engine over a provider that does nothing. */
export async function benchEngine(
  sshd: LoopbackSshd,
  specs: readonly AnySpec[],
  netns: string,
  runs: number,
): Promise<{ rows: Row[]; figures: Figure[] }> {
  const sides = [ourSide(sshd, specs), noopSide(specs)] as const;
  const times: [Times, Times] = [emptyTimes(), emptyTimes()];
  const memory: number[] = [];
  const connections: number[] = [];
  for (let run = 0; run < runs; run++) {
    for (const [index, side] of sides.entries()) {
      console.log(`pulumi up of ${specs.length} resources with ${side.name}, run ${run + 1} of ${runs}`);
      await execa("ip", ["netns", "add", netns]);
      const folder = mkdtempSync(join(tmpdir(), "netloom-bench-"));
      const watch = index === 0 ? watchPlugin() : undefined;
      try {
        const before = sshd.connections();
        await operate(side, folder, times[index]!, () => connections.push(sshd.connections() - before));
      } finally {
        if (watch) memory.push(watch.stop());
        rmSync(folder, { recursive: true, force: true });
        await execa("ip", ["netns", "del", netns]);
      }
    }
  }
  const [ours, noop] = times;
  const against = (name: string, values: number[]) => ({ name, value: spread(values) });
  const peak = Math.max(...memory);
  const dials = connections[0] ?? Number.NaN;
  return {
    rows: [
      atMost(
        1.5,
        `pulumi up of ${specs.length} links`,
        "s",
        spread(ours.up),
        against("a do-nothing provider", noop.up),
      ),
      atMost(
        1.2,
        "pulumi up after one change",
        "s",
        spread(ours.change),
        against("pulumi up without a change", ours.nothing),
      ),
    ],
    figures: [
      { case: "memory of the plugin", unit: "MB", value: peak, target: "< 150", ok: peak < 150 },
      { case: "ssh connections of one up", unit: "count", value: dials, target: "1", ok: dials === 1 },
    ],
  };
}

async function operate(side: Side, folder: string, times: Times, afterUp: () => void): Promise<void> {
  const open = (mtu: number) =>
    openLocalStack({
      project: "bench",
      stack: "bench",
      folder,
      program: side.program(mtu),
      env: { PATH: `${join(packageRoot(), "bench", "control-plane", "noop")}:${process.env["PATH"]}` },
    });
  const timed = async (into: number[], work: (stack: Stack) => Promise<unknown>, mtu = 1500) => {
    const stack = await open(mtu);
    const began = process.hrtime.bigint();
    await work(stack);
    into.push(Number(process.hrtime.bigint() - began) / 1e9);
  };
  await timed(times.up, (stack) => stack.up({ parallel }));
  afterUp();
  await timed(times.nothing, (stack) => stack.up({ expectNoChanges: true, parallel }));
  await timed(times.change, (stack) => stack.up({ parallel }), 1400);
  await timed(times.destroy, (stack) => stack.destroy({ parallel }));
}

function ourSide(sshd: LoopbackSshd, specs: readonly AnySpec[]): Side {
  const host = {
    name: "bench",
    address: "127.0.0.1",
    port: sshd.port,
    user: sshd.user,
    hostKey: sshd.hostKey,
  };
  return {
    name: "netloom",
    program: (mtu) => () => {
      const provider = new Provider("netloom", { privateKey: sshd.privateKey });
      for (const args of argsOf(specs, mtu))
        new Resource(link.token, String(args["name"]), { host, ...args }, { provider });
      return Promise.resolve();
    },
  };
}

function noopSide(specs: readonly AnySpec[]): Side {
  return {
    name: "a do-nothing provider",
    program: (mtu) => () => {
      for (const args of argsOf(specs, mtu)) new Resource("noop:net:Link", String(args["name"]), args, {});
      return Promise.resolve();
    },
  };
}

class Resource extends pulumi.CustomResource {}

function argsOf(specs: readonly AnySpec[], mtu: number): AnySpec[] {
  return specs.map((spec, index) => (index === 0 ? { ...spec, mtu } : spec));
}

function emptyTimes(): Times {
  return { up: [], nothing: [], change: [], destroy: [] };
}

/** The most memory that the provider plugin holds, in MB, sampled until it is stopped. */
function watchPlugin(): { stop: () => number } {
  let peak = 0;
  const timer = setInterval(() => {
    for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
      try {
        if (!readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("pulumi-resource-netloom")) continue;
        const resident = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
        peak = Math.max(peak, Number(resident?.[1] ?? 0) / 1000);
      } catch {
        // It has ended since.
      }
    }
  }, 200);
  return { stop: () => (clearInterval(timer), peak) };
}
