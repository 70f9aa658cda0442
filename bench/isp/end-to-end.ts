import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Stack } from "@pulumi/pulumi/automation";
import { openLocalStack } from "../../lib/cli/local-stack";
import { App, type Host, type Subscribers } from "../../lib";
import { atMost, spread, type Figure, type Row } from "../support/report";
import { type Ground } from "./ground";
import { subscribersOf } from "./subscribers";

/** What is made of the subscribers on a host. */
export interface IspProgram {
  /** For the table: `10000 subscribers' tunnels`. */
  readonly of: string;
  readonly declare: (host: Host, subscribers: Subscribers) => void;
}

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
 * A whole stack of many subscribers, from the engine to the kernel of a machine: the time of each operation, what one
 * change costs beside an `up` without any, the size of the state and the host's memory. What leaves the host as it was
 * is done in every run; the first `up` and the last `destroy` are once.
 */
export async function benchEndToEnd(
  program: IspProgram,
  count: number,
  runs: number,
  onGround: () => Promise<Ground>,
): Promise<{ rows: Row[]; figures: Figure[] }> {
  const times: Times = { preview: [], up: [], "empty up": [], "change of one": [], destroy: [] };
  console.log(`${count} subscribers' ${program.of}, from the engine to the kernel`);
  const ground = await onGround();
  const folder = mkdtempSync(join(tmpdir(), "netloom-bench-"));
  let left: Stack | undefined;
  try {
    const before = await ground.available?.();
    const timed = async (what: keyof Times, changed: number, work: (stack: Stack) => Promise<unknown>) => {
      const stack = await openStack(ground, folder, program, subscribersOf(count, changed));
      if (what !== "preview") left = stack;
      const began = process.hrtime.bigint();
      await work(stack);
      times[what].push(Number(process.hrtime.bigint() - began) / 1e9);
      console.log(`  ${what}: ${times[what].at(-1)?.toFixed(1)} s`);
    };
    for (let run = 0; run < runs; run++) await timed("preview", 0, (stack) => stack.preview());
    await timed("up", 0, (stack) => stack.up());
    const after = await ground.available?.();
    const memory = before !== undefined && after !== undefined ? (before - after) / 1000 : undefined;
    const state = largestFile(folder) / 1e6;
    for (let run = 0; run < runs; run++) {
      await timed("empty up", run, (stack) => stack.up({ expectNoChanges: true }));
      await timed("change of one", run + 1, async (stack) => {
        const { summary } = await stack.up();
        const { update = 0, create = 0, delete: gone = 0, replace = 0 } = summary.resourceChanges ?? {};
        if (update !== 1 || create + gone + replace !== 0)
          throw new Error(`one subscriber changed ${JSON.stringify(summary.resourceChanges)}`);
      });
    }
    await timed("destroy", runs, (stack) => stack.destroy());
    left = undefined;
    return results(`${count} subscribers' ${program.of}`, times, { memory, state });
  } finally {
    try {
      if (ground.lasts) await left?.destroy();
    } finally {
      rmSync(folder, { recursive: true, force: true });
      await ground.close();
    }
  }
}

function results(
  what: string,
  times: Times,
  sizes: { readonly memory: number | undefined; readonly state: number },
) {
  const figure = (name: string, unit: string, value: number, most?: number): Figure => ({
    case: `${name}, ${what}`,
    unit,
    value,
    target: most === undefined ? "" : `< ${most}`,
    ok: most === undefined || value < most,
  });
  const median = (one: keyof Times) => spread(times[one]).median;
  return {
    rows: [
      atMost(1.5, `up after one change, ${what}`, "s", spread(times["change of one"]), {
        name: "up without a change",
        value: spread(times["empty up"]),
      }),
    ],
    figures: [
      figure("preview", "s", median("preview")),
      figure("up", "s", median("up")),
      figure("destroy", "s", median("destroy")),
      figure("state", "MB", sizes.state, 5),
      ...(sizes.memory === undefined ? [] : [figure("host memory", "MB", sizes.memory)]),
    ],
  };
}

function openStack(
  ground: Ground,
  folder: string,
  program: IspProgram,
  subscribers: Subscribers,
): Promise<Stack> {
  return openLocalStack({
    project: "bench-isp",
    stack: "bench",
    folder,
    program: () => {
      const app = new App(ground.app);
      program.declare(ground.host(app), subscribers);
      app.deploy();
      return Promise.resolve();
    },
  });
}
