import type { Step } from "../kinds/step";

/** One operation's part of a run. */
export interface Share {
  /** Index of the operation. */
  readonly owner: number;
  readonly steps: readonly Step[];
}

/** Steps that reach the host in one command: of one tool, in one namespace, of any number of operations. */
export interface Run {
  readonly tool: Step["tool"];
  readonly netns?: string;
  /** `ip -6`. */
  readonly family?: 6;
  /** `ip -force`. */
  readonly force?: true;
  readonly shares: readonly Share[];
}

interface Segment {
  /** Segments of the same key can be run as one; undefined for a step that stands alone. */
  readonly key: string | undefined;
  readonly steps: readonly Step[];
}

const merging: ReadonlySet<Step["tool"]> = new Set(["ip", "tc", "nft", "sysctl", "bpftool"]);

const netnsOf = (step: Step): string | undefined => ("netns" in step ? step.netns : undefined);

const familyOf = (step: Step): 6 | undefined => ("family" in step ? step.family : undefined);

const forceOf = (step: Step): true | undefined => ("force" in step ? step.force : undefined);

const keyOf = (step: Step): string =>
  `${step.tool}${familyOf(step) ?? ""}${forceOf(step) ? "!" : ""} ${netnsOf(step) ?? ""}`;

/** Consecutive steps of the same tool in the same namespace, in order. */
function segments(steps: readonly Step[]): Segment[] {
  const found: { key: string | undefined; steps: Step[] }[] = [];
  for (const step of steps) {
    const key = merging.has(step.tool) ? keyOf(step) : undefined;
    const last = found.at(-1);
    if (last && key !== undefined && last.key === key) last.steps.push(step);
    else found.push({ key, steps: [step] });
  }
  return found;
}

/**
 * The fewest commands that run every operation's steps in that operation's own order. Operations that arrive
 * together do not depend on each other, so their steps may be interleaved in any way.
 *
 * Each round takes all the segments of one kind that are next in line. A kind that nobody still has further
 * back goes first; otherwise the one that most are waiting for (the majority merge of the shortest common
 * supersequence).
 */
export function mergeSteps(plans: readonly (readonly Step[])[]): Run[] {
  const queues = plans.map(segments);
  const heads = queues.map(() => 0);
  const ahead = new Map<string, number>();
  for (const { key } of queues.flat()) if (key !== undefined) ahead.set(key, (ahead.get(key) ?? 0) + 1);
  const runs: Run[] = [];

  const take = (owners: readonly number[]) => {
    const shares = owners.map((owner) => {
      const segment = queues[owner]![heads[owner]!++]!;
      if (segment.key !== undefined) ahead.set(segment.key, ahead.get(segment.key)! - 1);
      return { owner, steps: segment.steps };
    });
    const first = shares[0]!.steps[0]!;
    const [family, force] = [familyOf(first), forceOf(first)];
    const flags = { ...(family && { family }), ...(force && { force }) };
    runs.push({ tool: first.tool, netns: netnsOf(first), ...flags, shares });
  };

  for (;;) {
    const ready = new Map<string, number[]>();
    const alone: number[] = [];
    queues.forEach((queue, owner) => {
      const segment = queue[heads[owner]!];
      if (!segment) return;
      if (segment.key === undefined) alone.push(owner);
      else if (!ready.get(segment.key)?.push(owner)) ready.set(segment.key, [owner]);
    });
    if (alone.length > 0) {
      // They cost the same whenever they run, and what stands behind them can then be merged.
      for (const owner of alone) take([owner]);
      continue;
    }
    const keys = [...ready.keys()];
    if (keys.length === 0) return runs;
    const whole = keys.find((key) => ready.get(key)!.length === ahead.get(key));
    const most = keys.reduce((a, b) => (ready.get(b)!.length > ready.get(a)!.length ? b : a));
    take(ready.get(whole ?? most)!);
  }
}

/** What is left of the runs once some operations have failed. */
export function withoutOwners(runs: readonly Run[], gone: ReadonlySet<number>): Run[] {
  return runs
    .map((run) => ({ ...run, shares: run.shares.filter(({ owner }) => !gone.has(owner)) }))
    .filter(({ shares }) => shares.length > 0);
}

/** A run of several shares as one run for each, in order. */
export function byShare(run: Run): Run[] {
  return run.shares.map((share) => ({ ...run, shares: [share] }));
}
