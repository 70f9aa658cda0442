import { hostname, userInfo } from "node:os";
import { act, type Acting } from "./act";
import { missingTools } from "./capabilities";
import { buildHere } from "./build-here";
import type { Answer, Command } from "./exchange";
import type { Journals } from "./journals";
import { Journal } from "./ledger";
import {
  type HostFolders,
  ledgerPlace,
  renderHold,
  renderLedgerRead,
  renderLock,
  renderUnlock,
} from "./lock";
import { type Decision, HostError, type Operation, type Outcome, StepError } from "./operation";
import { factsFor, Questions } from "./questions";
import { renderRun } from "./render-step";
import { type Shell, ShellLost } from "./shell";

/** An operation, and where its end goes. */
export interface Waiting {
  readonly operation: Operation;
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: Error) => void;
}

/** What a batch needs of its session. */
export interface BatchContext {
  /** The host's name, for errors. */
  readonly host: string;
  /** The shell, dialled again if it was lost. */
  shell(): Promise<Shell>;
  readonly journals: Journals;
  readonly folders: HostFolders;
  readonly lockSeconds: number;
  /** Why no further work may begin; undefined while it may. */
  cancelled(): string | undefined;
}

/**
 * Runs operations as one batch: an exchange that takes the lock, reads the ledgers and asks every query once; the
 * decisions; an exchange that does all the steps and asks again. Every operation is answered.
 *
 * @throws HostError when the host cannot be reached; nothing was touched then.
 */
export async function runBatch(batch: readonly Waiting[], context: BatchContext): Promise<void> {
  for (let again = true; ; again = false) {
    const shell = await context.shell();
    const ready = batch.filter((waiting) => prepared(waiting, shell, context.host));
    if (ready.length === 0) return;
    try {
      return await lookDecideAct(ready, shell, context);
    } catch (error) {
      if (!(error instanceof ShellLost)) throw error;
      context.journals.forget();
      // Only looking was cut short. The usual cause is a host that was away since the last batch: dial once more.
      if (again && context.cancelled() === undefined) continue;
      for (const { operation, reject } of ready)
        reject(
          new StepError(
            `host "${context.host}": the connection was lost before ${operation.label} was touched ` +
              `(${error.message}): run "pulumi up" again`,
            false,
          ),
        );
      return;
    }
  }
}

/** Refuses an operation whose queries cannot be asked. */
function prepared({ operation, reject }: Waiting, shell: Shell, host: string): boolean {
  try {
    const { needs } = new Questions(operation.queries);
    const missing = missingTools([...needs, ...(operation.decide ? ["flock"] : [])], shell.capabilities);
    if (missing !== undefined) throw new HostError(missing);
    return true;
  } catch (error) {
    reject(error instanceof HostError ? new HostError(`host "${host}": ${error.message}`) : (error as Error));
    return false;
  }
}

async function lookDecideAct(batch: readonly Waiting[], shell: Shell, context: BatchContext): Promise<void> {
  const { folders, journals } = context;
  const deciding = batch.filter(({ operation }) => operation.decide !== undefined);
  const stacks = [...new Set(deciding.map(({ operation }) => operation.stack))];
  const questions = new Questions(batch.flatMap(({ operation }) => operation.queries));

  const taking: Command[] =
    deciding.length === 0
      ? []
      : [
          { script: renderLock(folders, context.lockSeconds, journals.token), vital: true },
          ...stacks.map((stack) => ({
            script: renderLedgerRead(folders, stack, journals.get(stack)?.present),
            guarded: true,
          })),
          { script: renderHold(folders, holder(deciding)), guarded: true },
        ];
  const answers = await shell.exchange([...taking, ...questions.scripts.map((script) => ({ script }))]);
  const found = questions.read(answers.slice(taking.length));
  const outcome = ({ operation }: Waiting): Outcome => ({
    facts: factsFor(operation.queries, found),
    machineId: shell.capabilities.machineId,
    steps: 0,
  });

  for (const waiting of batch) if (!waiting.operation.decide) waiting.resolve(outcome(waiting));
  if (deciding.length === 0) return;

  const locked = lockFailure(answers[0], context);
  if (locked !== undefined) {
    for (const { reject } of deciding) reject(new HostError(`host "${context.host}": ${locked}`));
    return;
  }

  const damaged = readLedgers(stacks, answers.slice(1), context);
  const acting: Acting[] = [];
  for (const waiting of deciding) {
    const { operation, reject, resolve } = waiting;
    try {
      const stopped = context.cancelled() ?? damaged.get(operation.stack);
      if (stopped !== undefined) throw new HostError(`host "${context.host}": nothing was done: ${stopped}`);
      const { facts } = outcome(waiting);
      const decision = await buildHere(
        operation.decide!(facts, journals.get(operation.stack)!),
        context.host,
      );
      if (isNothing(decision)) {
        resolve(outcome(waiting));
        continue;
      }
      refuseUnfit(decision, shell, context);
      acting.push({ operation, decision, facts, resolve, reject });
    } catch (error) {
      reject(error as Error);
    }
  }
  if (acting.length > 0) return act(acting, shell, context);
  // Everybody has had an answer: a connection that is lost now gives the lock back just the same.
  const token = `${shell.nonce} ${shell.nextExchange}`;
  await shell
    .exchange([{ script: renderUnlock(folders, token) }])
    .then(() => (journals.token = token))
    .catch(() => journals.forget());
}

const isNothing = ({ steps, intent = [], done = [] }: Decision) =>
  steps.length === 0 && intent.length === 0 && done.length === 0;

/**
 * Looks at every step before any runs.
 *
 * @throws StepError for one that cannot be passed on, HostError for one whose tool the host lacks.
 */
function refuseUnfit(decision: Decision, shell: Shell, { host, folders }: BatchContext): void {
  const needs = decision.steps.flatMap((step) => {
    const netns = "netns" in step ? step.netns : undefined;
    const run = { tool: step.tool, netns, shares: [{ owner: 0, steps: [step] }] };
    try {
      return renderRun(run, { word: shell.nonce, folder: folders.run }).needs;
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      throw new StepError(`host "${host}": ${error.message}`, false);
    }
  });
  const missing = missingTools(needs, shell.capabilities);
  if (missing !== undefined) throw new HostError(`host "${host}": ${missing}`);
}

/** Takes in what the ledgers hold now; what is wrong with those that cannot be used, by stack. */
function readLedgers(
  stacks: readonly string[],
  answers: readonly (Answer | undefined)[],
  { journals, folders }: BatchContext,
): Map<string, string> {
  const damaged = new Map<string, string>();
  stacks.forEach((stack, index) => {
    const answer = answers[index];
    const { file } = ledgerPlace(folders, stack);
    if (answer?.status === unchanged) return;
    try {
      if (answer?.status !== 0) throw new HostError(answer?.stderr || "it could not be read");
      journals.set(stack, Journal.parse(answer.stdout.toString("utf8")));
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      damaged.set(stack, `${file}: ${error.message}`);
    }
  });
  return damaged;
}

/** `nl_read`: the ledger is as this session left it. */
const unchanged = 3;
/** `nl_lock`: somebody else keeps the lock. */
const kept = 75;

function lockFailure(answer: Answer | undefined, { lockSeconds, folders }: BatchContext): string | undefined {
  if (answer?.status === 0) return undefined;
  if (answer?.status !== kept)
    return `the lock ${folders.run}/lock could not be taken: ${answer?.stderr || "no answer"}`;
  const by = answer.stdout.toString("utf8").trim() || "somebody who left no name";
  return (
    `locked for more than ${lockSeconds} s by ${by}: wait until that run has ended; ` +
    "if its machine is gone, end its shell on the host"
  );
}

/** Who holds the lock, for those who wait for it. */
function holder(deciding: readonly Waiting[]): string {
  const { operation } = deciding[0]!;
  const more = deciding.length > 1 ? ` and ${deciding.length - 1} more` : "";
  let user = "somebody";
  try {
    user = userInfo().username;
  } catch {
    // A user id without an entry in passwd, as containers have.
  }
  const since = new Date().toISOString();
  return `${user}@${hostname()} pid ${process.pid} for ${operation.stack}, ${operation.label}${more}, since ${since}`;
}
