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
 * The law of `lib/kinds/kind.ts` on a real kernel. For random specs c and d of one identity, starting from
 * nothing: c is made; `plan(c, d)` leads to d, after which observing agrees and nothing is left to plan; the same
 * from wherever `plan(c, d)` may have been interrupted, to d and back to c; and deleting leaves nothing.
 *
 * @throws Error with the seed, the two specs and the steps, when one of them does not hold
 */
export async function converges<Schema extends z.ZodObject>(options: Convergence<Schema>): Promise<void> {
  const { kind, specs, cases = 40, interruptions = 3 } = options;
  const object = new Subject(options);
  const valid = specs
    .map((input) => kind.schema.parse(input))
    .filter((spec) => (kind.check?.(spec) ?? []).length === 0);
  const start = kind.ownership === "object" ? fc.option(valid, { nil: undefined, freq: 6 }) : valid;
  const interruptedAt = fc.array(fc.nat(), { minLength: interruptions, maxLength: interruptions });
  const property = fc.asyncProperty(start, valid, interruptedAt, async (c, d, at) => {
    await object.between(c, d, at);
  });
  await fc.assert(property, {
    seed,
    numRuns: cases,
    endOnFailure: process.env.NETLOOM_SHRINK === undefined,
  });
}

/** The object under test, on its host. */
class Subject<Schema extends z.ZodObject> {
  private readonly kind: Kind<Schema>;
  private readonly context: PlanContext = { owner: "netloom:test/converge" };

  constructor(private readonly options: Convergence<Schema>) {
    this.kind = options.kind;
  }

  async between(c: Spec<Schema> | undefined, d: Spec<Schema>, at: readonly number[]): Promise<void> {
    await this.remove([d, ...(c === undefined ? [] : [c])]);
    await this.reach(undefined, c);
    const steps = await this.reach(c, d);
    for (const [nth, step] of interruptedAt(steps, at).entries()) {
      await this.remove([d, ...(c === undefined ? [] : [c])]);
      await this.reach(undefined, c);
      const plan = await this.plan(c, d);
      await this.options.run(plan.slice(0, step), []);
      const back = nth % 2 === 1 && c !== undefined;
      await this.reach(
        back ? d : c,
        back ? c : d,
        `after ${step} of ${plan.length} steps ${JSON.stringify(plan)}`,
      );
    }
    if (this.kind.ownership === "object") await this.remove([d]);
  }

  /** Plans and runs the way to a spec, and checks that it was the whole way. */
  private async reach(
    from: Spec<Schema> | undefined,
    to: Spec<Schema> | undefined,
    story = "",
  ): Promise<readonly Step[]> {
    if (to === undefined) return [];
    const steps = await this.plan(from, to);
    const told = () =>
      `seed ${seed}\nfrom ${JSON.stringify(from)}\nto   ${JSON.stringify(to)}\n${story}\nsteps ${steps
        .map((step) => JSON.stringify(step))
        .join("\n      ")}`;
    const found = await this.observe([to], steps).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${told()}`);
    });
    if (found === undefined) throw new Error(`it is not there after its steps\n${told()}`);
    const wrong = disagreements(to, found).map(
      (property) =>
        `${property}: wanted ${JSON.stringify(to[property])}, found ${JSON.stringify(found[property])}`,
    );
    if (wrong.length > 0) throw new Error(`${wrong.join("; ")}\n${told()}`);
    const rest = this.kind.plan(found, to, this.context);
    if (rest.length > 0) throw new Error(`still to do: ${JSON.stringify(rest)}\n${told()}`);
    return steps;
  }

  private async plan(from: Spec<Schema> | undefined, to: Spec<Schema>): Promise<readonly Step[]> {
    const current = await this.observe([to, ...(from === undefined ? [] : [from])]);
    return this.kind.plan(current, to, this.context);
  }

  private async remove(specs: readonly [Spec<Schema>, ...Spec<Schema>[]]): Promise<void> {
    if (this.kind.ownership !== "object") return;
    const current = await this.observe(specs);
    if (current === undefined) return;
    const steps = this.kind.plan(current, undefined, this.context);
    if ((await this.observe(specs, steps)) !== undefined) {
      throw new Error(`it is still there after ${JSON.stringify(steps)}`);
    }
  }

  private async observe(
    specs: readonly [Spec<Schema>, ...Spec<Schema>[]],
    steps: readonly Step[] = [],
  ): Promise<Spec<Schema> | undefined> {
    const queries = new Map(
      specs.flatMap((spec) => this.kind.queries(spec)).map((one) => [queryKey(one), one]),
    );
    return this.kind.observe(await this.options.run(steps, [...queries.values()]), specs);
  }
}

/** Where a plan is interrupted: after every step but the last, or after some chosen ones when there are too many. */
function interruptedAt(steps: readonly Step[], chosen: readonly number[]): number[] {
  const all = Array.from({ length: Math.max(0, steps.length - 1) }, (_, index) => index + 1);
  if (all.length <= chosen.length) return all;
  return [...new Set(chosen.map((number) => all[number % all.length] ?? 1))];
}
