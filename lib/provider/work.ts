import {
  HostError,
  StepError,
  type Decision,
  type HostSession,
  type Ledger,
  type LedgerRecord,
  type Outcome,
} from "../host/operation";
import type { AnyKind, AnySpec } from "../kinds/kind";
import { queryKey, type Facts, type Query } from "../kinds/step";
import { bootOf, bootQuery } from "./boot";
import { HalfMadeError, UserError, messageOf } from "./errors";
import { ledgerKey } from "./ids";
import type { Path } from "./paths";

/** One object on a host, and on whose behalf it is worked on. */
export interface Target {
  readonly kind: AnyKind;
  readonly id: string;
  readonly urn: string;
  /** The host's name. */
  readonly host: string;
  /** Project and stack. */
  readonly stack: string;
  /** Where the secrets are in its properties: what is there in their place is a secret too. */
  readonly secrets: readonly Path[];
}

/** What an operation sees of its object when it decides. */
export interface Sight {
  readonly current: AnySpec | undefined;
  readonly record: LedgerRecord | undefined;
  readonly ledger: Ledger;
  readonly facts: Facts;
  /** Which life of the host this is. */
  readonly boot?: string;
}

/** One piece of work on an object. */
export interface Work {
  readonly target: Target;
  /** What names the object, the most wanted first. */
  readonly specs: readonly [AnySpec, ...AnySpec[]];
  /** Absent for a read. */
  readonly decide?: (sight: Sight) => Decision;
  /** After which to stop waiting; 0 never. */
  readonly timeoutSeconds?: number;
  /** Whether a step that fails is reason to look and decide once more. */
  readonly onceMore?: boolean;
}

/** The end of a piece of work. */
export interface Worked extends Pick<Outcome, "machineId" | "steps"> {
  /** What is there now, by the facts after the steps. */
  observe(specs: readonly [AnySpec, ...AnySpec[]]): AnySpec | undefined;
}

/**
 * Runs a piece of work on a session.
 *
 * @throws UserError when nothing was touched, {@link HalfMadeError} when something may have been
 */
export async function runWork(session: HostSession, work: Work): Promise<Worked> {
  const { kind } = work.target;
  const about = work.decide === undefined ? [] : [bootQuery];
  let queries = distinct([...about, ...work.specs.flatMap((spec) => kind.queries(spec))]);
  let onceMore = work.onceMore === true;
  for (let round = 0; ; round += 1) {
    const attempt = new Attempt(work, queries);
    try {
      const outcome = await inTime(session.run(attempt.operation), work);
      return {
        machineId: outcome.machineId,
        steps: outcome.steps,
        observe: (specs) => kind.observe(outcome.facts, specs) as AnySpec | undefined,
      };
    } catch (error) {
      if (onceMore && error instanceof StepError) {
        onceMore = false;
        continue;
      }
      if (attempt.missing.length === 0 || round === 2) throw attempt.explain(error);
      // The ledger knows specs that the state does not (an interrupted run): look at theirs too.
      queries = distinct([...queries, ...attempt.missing]);
    }
  }
}

/** One try at a piece of work with the queries known so far. */
class Attempt {
  /** Queries that turned out to be needed. */
  missing: readonly Query[] = [];
  #refusal: unknown;
  #began = false;

  constructor(
    private readonly work: Work,
    private readonly queries: readonly Query[],
  ) {}

  get operation() {
    const { target, decide } = this.work;
    return {
      label: target.id,
      stack: target.stack,
      queries: this.queries,
      ...(decide && { decide: (facts: Facts, ledger: Ledger) => this.#decide(decide, facts, ledger) }),
    };
  }

  #decide(decide: (sight: Sight) => Decision, facts: Facts, ledger: Ledger): Decision {
    const { kind, id } = this.work.target;
    const record = ledger.get(ledgerKey(kind, id));
    const asked = new Set(this.queries.map(queryKey));
    const needed = (record?.specs ?? []).flatMap((spec) => kind.queries(spec));
    this.missing = needed.filter((query) => !asked.has(queryKey(query)));
    if (this.missing.length > 0) throw new UserError("the ledger names more than was looked at");
    try {
      const current = kind.observe(facts, [...this.work.specs, ...(record?.specs ?? [])]) as
        AnySpec | undefined;
      const decision = decide({ current, record, ledger, facts, boot: bootOf(facts) });
      this.#began = decision.steps.length > 0;
      return decision;
    } catch (error) {
      this.#refusal = error;
      throw error;
    }
  }

  /** What to tell of a failure: our own refusal as we said it, else in the words of the kind. */
  explain(error: unknown): Error {
    if (this.#refusal !== undefined) return asError(this.#refusal);
    if (error instanceof HostError) return error;
    const said = messageOf(error);
    const message = this.work.target.kind.explain?.(said, this.work.specs[0]) ?? said;
    const touched = error instanceof StepError ? error.touched : this.#began;
    return touched ? new HalfMadeError(message) : new UserError(message);
  }
}

/** Waits no longer than the resource's customTimeouts allow. What was begun goes on and is seen by the next run. */
async function inTime(running: Promise<Outcome>, { timeoutSeconds = 0, target }: Work): Promise<Outcome> {
  if (timeoutSeconds <= 0) return running;
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const limit = `${timeoutSeconds} s that customTimeouts allows`;
      reject(
        new UserError(
          `${target.host} did not finish within the ${limit}; run the update again or allow more`,
        ),
      );
    }, timeoutSeconds * 1000);
  });
  running.catch(() => undefined); // after the limit nobody waits for it
  try {
    return await Promise.race([running, expired]);
  } finally {
    clearTimeout(timer);
  }
}

function distinct(queries: readonly Query[]): Query[] {
  return [...new Map(queries.map((query) => [queryKey(query), query])).values()];
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(messageOf(thrown));
}
