import * as fc from "fast-check";
import type { z } from "zod";
import { disagreements } from "../../lib/kinds/agree";
import type { Kind, PlanContext } from "../../lib/kinds/kind";
import { queryKey, type Facts, type Query, type Step } from "../../lib/kinds/step";

/** Runs steps on a real host, then asks queries: `run` of `test/support/host.ts`, or one over ssh. */
export type Runner = (steps: readonly Step[], queries: readonly Query[]) => Promise<Facts>;

/** What is to converge, and where. */
export interface Convergence<Schema extends z.ZodObject> {
  readonly kind: Kind<Schema>;
  /** Specs of one identity as a program writes them; those that `check` refuses are passed over. */
  readonly specs: fc.Arbitrary<z.input<Schema>>;
  readonly run: Runner;
  /** How many pairs of specs. @default 40 */
  readonly cases?: number;
  /** How many interruptions of one plan are tried; all of them when it has no more steps. @default 3 */
  readonly interruptions?: number;
}

type Spec<Schema extends z.ZodObject> = z.output<Schema>;

/** The seed of every random test of a run; `NETLOOM_SEED` sets it, and each failure tells it. */
export const seed = Number(process.env.NETLOOM_SEED ?? Math.floor(Math.random() * 0x7fff_ffff));

/**
 * The law of `lib/kinds/kind.ts` on a real kernel. For random specs c (or nothing) and d of one identity: from
 * whatever was there before, c is reached; `plan(c, d)` leads to d, after which observing agrees and nothing is
 * left to plan; the same from wherever `plan(c, d)` may have been interrupted, to d and back to c; and deleting
 * leaves nothing.
 *
 * @throws Error with the seed, the two specs and the steps, when one of them does not hold
 */
export async function converges<Schema extends z.ZodObject>(options: Convergence<Schema>): Promise<void> {
  const { kind, specs, cases = 40, interruptions = 3 } = options;
  const object = new Subject(options);
  const valid = specs
    // As the engine hands it over: what is undefined is not there.
    .map((input) => kind.schema.parse(JSON.parse(JSON.stringify(input))))
    .filter((spec) => (kind.check?.(spec) ?? []).length === 0);
  const start = kind.ownership === "object" ? fc.option(valid, { nil: undefined, freq: 6 }) : valid;
  const interruptedAt = fc.array(fc.nat(), { minLength: interruptions, maxLength: interruptions });
  const property = fc.asyncProperty(start, valid, interruptedAt, async (c, d, at) => {
    await object.between(c, d, at);
  });
  const parameters = { seed, numRuns: cases, endOnFailure: process.env.NETLOOM_SHRINK === undefined };
  await fc.assert(property, parameters);
  await object.end();
}

/** The object under test, on its host. */
class Subject<Schema extends z.ZodObject> {
  private readonly kind: Kind<Schema>;
  /** What the last case was about: the object may still be as it left it. */
  private before: Spec<Schema>[] = [];
  /** The specs of this case and the last, and what was last found when all of their queries were asked. */
  private known: readonly Spec<Schema>[] = [];
  private facts: Facts | undefined;
  private asked: ReadonlySet<string> = new Set();

  constructor(private readonly options: Convergence<Schema>) {
    this.kind = options.kind;
  }

  /** Everything about one pair; each change of the host is one call of the runner. */
  async between(c: Spec<Schema> | undefined, d: Spec<Schema>, at: readonly number[]): Promise<void> {
    const specs = c === undefined ? [d] : [c, d];
    this.known = [...specs, ...this.before];
    this.before = specs;
    await this.run([]);
    await this.reach(c);
    const steps = await this.reach(d);
    for (const [nth, count] of interruptedAt(steps, at).entries()) {
      await this.reach(c);
      const plan = this.plan(d);
      const run = plan.slice(0, Math.min(count, plan.length));
      await this.run(run);
      const back = nth % 2 === 1 && c !== undefined;
      await this.reach(back ? c : d, `after ${run.length} of ${plan.length} steps ${JSON.stringify(plan)}`);
    }
  }

  /** Ends with nothing on the host. */
  async end(): Promise<void> {
    if (this.kind.ownership === "object" && this.known.length > 0) await this.reach(undefined);
  }

  /** Plans and runs the way to a spec (to nothing when undefined), and checks that it was the whole way. */
  private async reach(to: Spec<Schema> | undefined, story = ""): Promise<readonly Step[]> {
    if (to === undefined && this.kind.ownership === "setting") return [];
    const from = this.observe(to);
    const steps = from === undefined && to === undefined ? [] : this.kind.plan(from, to, this.context);
    const told = () =>
      `seed ${seed}\nfrom ${JSON.stringify(from)}\nto   ${JSON.stringify(to)}\n${story}\nsteps ${steps
        .map((step) => JSON.stringify(step))
        .join("\n      ")}`;
    await this.run(steps).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${told()}`);
    });
    if (to === undefined) {
      if (this.observe(undefined) !== undefined) throw new Error(`it is still there\n${told()}`);
      return steps;
    }
    const found = this.kind.observe(this.found(), [to]);
    if (found === undefined) throw new Error(`it is not there after its steps\n${told()}`);
    const wrong = disagreements(to, found).map(
      (property) =>
        `${property}: wanted ${JSON.stringify(to[property])}, found ${JSON.stringify(found[property])}`,
    );
    if (wrong.length > 0) throw new Error(`${wrong.join("; ")}\n${told()}`);
    for (const state of [found, this.observe(to)]) {
      const rest = this.kind.plan(state, to, this.context);
      if (rest.length > 0) throw new Error(`still to do: ${JSON.stringify(rest)}\n${told()}`);
    }
    return steps;
  }

  private plan(to: Spec<Schema>): readonly Step[] {
    return this.kind.plan(this.observe(to), to, this.context);
  }

  /** As the provider sees it: the wanted spec first, then those that earlier runs wanted. */
  private observe(to: Spec<Schema> | undefined): Spec<Schema> | undefined {
    const [first, ...rest] = [...(to === undefined ? [] : [to]), ...this.known.filter((spec) => spec !== to)];
    return first === undefined ? undefined : this.kind.observe(this.found(), [first, ...rest]);
  }

  private get context(): PlanContext {
    return { owner: "netloom:test/converge", facts: this.found() };
  }

  private found(): Facts {
    if (this.facts === undefined) throw new Error("nothing was asked yet");
    return this.facts;
  }

  private async run(steps: readonly Step[]): Promise<void> {
    const queries = this.known.flatMap((spec) => this.kind.queries(spec));
    const distinct = new Map(queries.map((query) => [queryKey(query), query]));
    if (steps.length === 0 && [...distinct.keys()].every((key) => this.asked.has(key))) return;
    this.asked = new Set();
    this.facts = await this.options.run(steps, [...distinct.values()]);
    this.asked = new Set(distinct.keys());
  }
}

/** Where a plan is interrupted: after every step but the last, or after some chosen ones when there are too many. */
function interruptedAt(steps: readonly Step[], chosen: readonly number[]): number[] {
  const all = Array.from({ length: Math.max(0, steps.length - 1) }, (_, index) => index + 1);
  if (all.length <= chosen.length) return all;
  return [...new Set(chosen.map((number) => all[number % all.length] ?? 1))];
}
