import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Stack } from "@pulumi/pulumi/automation";
import { openLocalStack } from "../../lib/cli/local-stack";
import { App, Host, type Subscribers } from "../../lib";
import { Lab } from "../../lib/lab";
import { atMost, spread, type Figure, type Row } from "../support/report";
import { addressOutside, subscribersOf } from "./subscribers";
import { available } from "./tunnels";

/** What is made of the subscribers on a host. */
export type IspProgram = (host: Host, subscribers: Subscribers) => void;

type Times = Record<"preview" | "up" | "empty up" | "change of one" | "destroy", number[]>;

/** The largest file below a folder: the stack's checkpoint. */
function largestFile(folder: string): number {
  return Math.max(
    0,
    ...readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => statSync(join(entry.parentPath, entry.name)).size),
  );
}

/**
 * A whole stack of many subscribers, from the engine to the kernel of a lab machine: the time of each operation, what
 * one change costs beside an `up` without any, the size of the state and the host's memory.
 */
export async function benchEndToEnd(
  program: IspProgram,
  count: number,
  runs: number,
): Promise<{ rows: Row[]; figures: Figure[] }> {
  const times: Times = { preview: [], up: [], "empty up": [], "change of one": [], destroy: [] };
  const state: number[] = [];
  const memory: number[] = [];
  for (let run = 0; run < runs; run++) {
    console.log(`${count} subscribers from the engine to the kernel, run ${run + 1} of ${runs}`);
    const lab = await Lab.up({ names: ["isp"], lab: `bench-${process.pid}`, ephemeral: true });
    const folder = mkdtempSync(join(tmpdir(), "netloom-bench-"));
    try {
      const before = await available(lab);
      const timed = async (
        what: keyof Times,
        subscribers: Subscribers,
        work: (stack: Stack) => Promise<unknown>,
      ) => {
        const stack = await openStack(lab, folder, program, subscribers);
        const began = process.hrtime.bigint();
        await work(stack);
        times[what].push(Number(process.hrtime.bigint() - began) / 1e9);
        console.log(`  ${what}: ${times[what].at(-1)?.toFixed(1)} s`);
      };
      const all = subscribersOf(count);
      const moved = subscribersOf(count, { client: { address: addressOutside(count + 1) } });
      await timed("preview", all, (stack) => stack.preview());
      await timed("up", all, (stack) => stack.up());
      memory.push((before - (await available(lab))) / 1000);
      state.push(largestFile(folder) / 1e6);
      await timed("empty up", all, (stack) => stack.up({ expectNoChanges: true }));
      await timed("change of one", moved, (stack) => stack.up());
      await timed("destroy", moved, (stack) => stack.destroy());
    } finally {
      rmSync(folder, { recursive: true, force: true });
      await lab.down();
    }
  }
  const figure = (name: string, unit: string, values: readonly number[], most?: number): Figure => {
    const value = spread(values).median;
    const target = most === undefined ? "" : `< ${most}`;
    return {
      case: `${name}, ${count} subscribers`,
      unit,
      value,
      target,
      ok: most === undefined || value < most,
    };
  };
  return {
    rows: [
      atMost(1.5, `up after one change, ${count} subscribers`, "s", spread(times["change of one"]), {
        name: "up without a change",
        value: spread(times["empty up"]),
      }),
    ],
    figures: [
      figure("preview", "s", times.preview),
      figure("up", "s", times.up),
      figure("destroy", "s", times.destroy),
      figure("state", "MB", state, 5),
      figure("host memory", "MB", memory),
    ],
  };
}

function openStack(lab: Lab, folder: string, program: IspProgram, subscribers: Subscribers): Promise<Stack> {
  const { address, port, user, hostKey, privateKey } = lab.host("isp");
  return openLocalStack({
    project: "bench-isp",
    stack: "bench",
    folder,
    program: () => {
      const app = new App();
      const host = new Host(app, "isp", { address, port, user, hostKey, privateKey });
      program(host, subscribers);
      app.deploy();
      return Promise.resolve();
    },
  });
}
