import type { z } from "zod";
import { kindOf } from "../../lib/kinds/registry";
import type { AnyKind, AnySpec } from "../../lib/kinds/kind";
import type { Step } from "../../lib/kinds/step";
import { Testing, type App } from "../../lib/synth";
import { run } from "./host";

/** A program's plan made on this machine without an engine: kind by kind, in the order of registration. */
export interface Deployment {
  /** How many steps it took. */
  readonly steps: number;
  /** Changes to what another program wants: updates and new objects in order, then what is gone. Returns the steps. */
  update(app: App): Promise<readonly Step[]>;
  /** Removes all of it, last first; settings become what they were. */
  remove(): Promise<void>;
}

interface Made {
  readonly kind: AnyKind;
  readonly spec: AnySpec;
  /** What a setting was before. */
  readonly before?: AnySpec;
}

const owner = { owner: "netloom:test/deploy" };

async function observe(kind: AnyKind, spec: AnySpec): Promise<AnySpec | undefined> {
  return kind.observe(await run([], kind.queries(spec)), [spec]) as AnySpec | undefined;
}

/** The steps of one object, run; a setting's former values are remembered. */
async function make(kind: AnyKind, spec: AnySpec): Promise<{ made: Made; steps: readonly Step[] }> {
  const before = await observe(kind, spec);
  const steps = kind.plan(before, spec, owner);
  await run(steps);
  const setting = kind.ownership === "setting" && before !== undefined;
  return { made: { kind, spec, ...(setting && { before }) }, steps };
}

/** Makes what a program wants on this machine. */
export async function deploy(app: App): Promise<Deployment> {
  const made = new Map<string, Made>();
  const apply = async (wanted: App): Promise<Step[]> => {
    const all: Step[] = [];
    const plan = Testing.synth(wanted);
    for (const { path, token, spec } of plan) {
      const kind = kindOf(token);
      if (kind === undefined) throw new Error(`no kind ${token}`);
      const parsed = (kind.schema as z.ZodObject).parse(spec) as AnySpec;
      const one = await make(kind, parsed);
      all.push(...one.steps);
      made.set(path, { ...one.made, ...(made.get(path)?.before && { before: made.get(path)?.before }) });
    }
    const kept = new Set(plan.map(({ path }) => path));
    for (const [path, one] of [...made].reverse()) {
      if (kept.has(path)) continue;
      all.push(...(await unmake(one)));
      made.delete(path);
    }
    return all;
  };
  const steps = await apply(app);
  return {
    steps: steps.length,
    update: apply,
    async remove() {
      for (const one of [...made.values()].reverse()) await unmake(one);
      made.clear();
    },
  };
}

async function unmake({ kind, spec, before }: Made): Promise<readonly Step[]> {
  const there = await observe(kind, spec);
  if (there === undefined) return [];
  const steps = kind.plan(there, before, owner);
  await run(steps);
  return steps;
}
