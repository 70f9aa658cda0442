import type { Fact, Facts } from "../kinds/step";
import type { BatchContext } from "./batch";
import type { Answer, Command } from "./exchange";
import { Journal, type JournalWrite } from "./ledger";
import { renderLedgerDrop, renderLedgerWrite, renderUnlock } from "./lock";
import { type Decision, type LedgerEntry, type Operation, type Outcome, StepError } from "./operation";
import { factsFor, Questions } from "./questions";
import { renderRun } from "./render-step";
import { byShare, mergeSteps, type Run, withoutOwners } from "./segments";
import { type Shell, ShellLost } from "./shell";

/** An operation that has decided to change something. */
export interface Acting {
  readonly operation: Operation;
  readonly decision: Decision;
  /** What was found before. */
  readonly facts: Facts;
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: Error) => void;
}

/** A command of an exchange, and what its end means. */
interface Part extends Command {
  /** It ran and succeeded. */
  readonly done?: () => void;
  /** It ran and failed: who fails with it is taken out of the work that is left. */
  readonly failed?: (answer: Answer) => void;
}

/**
 * Carries decisions out while the lock is held, and gives the lock back: intents, merged steps, queries, ledger. A
 * step that fails ends the exchange there; its owner is answered, and the work of the others goes on in a further
 * exchange. Every operation is answered.
 */
export async function act(acting: readonly Acting[], shell: Shell, context: BatchContext): Promise<void> {
  const work = new Work(acting, shell, context);
  try {
    while (!(await work.exchange()));
  } catch (error) {
    if (!(error instanceof ShellLost)) throw error;
    context.journals.forget();
    work.lost(error.message);
  }
}

class Work {
  readonly #gone = new Set<number>();
  /** Operations for which something has happened on the host. */
  readonly #touched = new Set<number>();
  readonly #journals: Map<string, Journal>;
  readonly #stacks: readonly string[];
  #intentsLeft: string[];
  #runs: Run[];
  #found: ReadonlyMap<string, Fact> = new Map();

  constructor(
    private readonly acting: readonly Acting[],
    private readonly shell: Shell,
    private readonly context: BatchContext,
  ) {
    this.#runs = mergeSteps(acting.map(({ decision }) => decision.steps));
    this.#stacks = [...new Set(acting.map(({ operation }) => operation.stack))];
    this.#intentsLeft = [...this.#stacks];
    this.#journals = new Map(
      this.#stacks.map((stack) => [stack, context.journals.get(stack) ?? Journal.empty]),
    );
  }

  /** One round trip with all that is left to do; true when nothing is left. */
  async exchange(): Promise<boolean> {
    const stopped = this.context.cancelled();
    if (stopped !== undefined && this.#alive().length > 0) {
      for (const owner of this.#alive()) this.#fail(owner, `not finished: ${stopped}`);
      this.#runs = [];
    }
    const questions = new Questions(
      this.#alive().flatMap((owner) => {
        const { operation, decision } = this.acting[owner]!;
        return decision.steps.length > 0 ? operation.queries : [];
      }),
    );
    const writing = [...this.#intents(), ...this.#runs.map((run, index) => this.#run(run, index))];
    const asking = questions.scripts.map((script) => ({ script, guarded: true }));
    const ending = [...this.#dones(), this.#unlock()];
    const parts: readonly Part[] = [...writing, ...asking, ...ending];

    const answers = await this.shell.exchange(
      parts.map(({ script, vital }) => ({ script, vital, guarded: true })),
    );
    const from = writing.length;
    this.#found = questions.read(answers.slice(from, from + asking.length));
    for (const [index, { vital, done, failed }] of parts.entries()) {
      const answer = answers[index];
      if (!answer) throw new Error(`command ${index} of the exchange was skipped`);
      if (answer.status === 0 || !vital) done?.();
      else {
        failed?.(answer);
        return false;
      }
    }
    this.#finish();
    return true;
  }

  /** The shell is gone: how far the exchange got is not known, so all that was under way may have been touched. */
  lost(why: string): void {
    for (const owner of this.#alive()) {
      this.#touched.add(owner);
      const { label } = this.acting[owner]!.operation;
      this.#fail(
        owner,
        `the connection was lost while ${label} was being changed (${why}): ` +
          'run "pulumi up" again, it goes on from what is really there',
      );
    }
  }

  #alive(): number[] {
    return this.acting.map((_, owner) => owner).filter((owner) => !this.#gone.has(owner));
  }

  #entries(stack: string, when: "intent" | "done"): LedgerEntry[] {
    return this.#alive()
      .map((owner) => this.acting[owner]!)
      .filter(({ operation }) => operation.stack === stack)
      .flatMap(({ decision }) => decision[when] ?? []);
  }

  #fail(owner: number, message: string): void {
    if (this.#gone.has(owner)) return;
    this.#gone.add(owner);
    this.acting[owner]!.reject(
      new StepError(`host "${this.context.host}": ${message}`, this.#touched.has(owner)),
    );
  }

  #failStack(stack: string, message: string): void {
    for (const owner of this.#alive())
      if (this.acting[owner]!.operation.stack === stack) this.#fail(owner, message);
    this.#runs = withoutOwners(this.#runs, this.#gone);
  }

  #intents(): Part[] {
    return this.#intentsLeft.flatMap((stack) => {
      const entries = this.#entries(stack, "intent");
      if (entries.length === 0) return [];
      return [
        this.#ledger(stack, this.#journals.get(stack)!.with(entries), () => {
          this.#intentsLeft = this.#intentsLeft.filter((left) => left !== stack);
          for (const owner of this.#alive()) {
            const { operation, decision } = this.acting[owner]!;
            if (operation.stack === stack && decision.intent?.length) this.#touched.add(owner);
          }
        }),
      ];
    });
  }

  #dones(): Part[] {
    return this.#stacks.flatMap((stack) => {
      const entries = this.#entries(stack, "done");
      if (entries.length === 0) return [];
      const intents = this.#intentsLeft.includes(stack) ? this.#entries(stack, "intent") : [];
      const before =
        intents.length > 0 ? this.#journals.get(stack)!.with(intents).journal : this.#journals.get(stack)!;
      return [this.#ledger(stack, before.with(entries))];
    });
  }

  #ledger(
    stack: string,
    { journal, write }: { journal: Journal; write: JournalWrite },
    done?: () => void,
  ): Part {
    const { folders } = this.context;
    return {
      vital: true,
      script:
        write.how === "drop"
          ? renderLedgerDrop(folders, stack)
          : renderLedgerWrite(folders, stack, write.how, write.lines),
      done: () => {
        this.#journals.set(stack, journal);
        done?.();
      },
      failed: ({ stderr }) => {
        this.context.journals.forget();
        this.#failStack(stack, `the ledger of ${stack} could not be written: ${stderr}`);
      },
    };
  }

  #run(run: Run, index: number): Part {
    const rendered = renderRun(run, { word: this.shell.nonce, folder: this.context.folders.run });
    const rest = this.#runs.slice(index + 1);
    const ran = (shares: Run["shares"]) => shares.forEach(({ owner }) => this.#touched.add(owner));
    return {
      vital: true,
      script: rendered.script,
      done: () => {
        ran(run.shares);
        this.#runs = rest;
      },
      failed: (answer) => {
        const { share, began, message } = rendered.failure(answer);
        if (share === "parts") {
          this.#runs = [...byShare(run), ...rest];
          return;
        }
        const guilty = share === "all" ? run.shares : [run.shares[share]!];
        if (share !== "all") ran(run.shares.slice(0, share));
        if (began) ran(guilty);
        for (const { owner } of guilty) this.#fail(owner, message);
        const left = share === "all" ? [] : [{ ...run, shares: run.shares.slice(share + 1) }];
        this.#runs = withoutOwners([...left, ...rest], this.#gone);
      },
    };
  }

  #unlock(): Part {
    const token = `${this.shell.nonce} ${this.shell.nextExchange}`;
    return {
      script: renderUnlock(this.context.folders, token),
      done: () => {
        const { journals } = this.context;
        for (const [stack, journal] of this.#journals) journals.set(stack, journal);
        journals.token = token;
      },
    };
  }

  #finish(): void {
    for (const owner of this.#alive()) {
      const { operation, decision, facts, resolve } = this.acting[owner]!;
      const steps = decision.steps.length;
      resolve({
        facts: steps > 0 ? factsFor(operation.queries, this.#found) : facts,
        machineId: this.shell.capabilities.machineId,
        steps,
      });
    }
  }
}
