import {
  HostError,
  StepError,
  type HostSession,
  type LedgerEntry,
  type LedgerRecord,
  type Operation,
  type Outcome,
} from "../../lib/host/operation";
import { queryKey, type Fact, type FileFact, type Query } from "../../lib/kinds/step";

/**
 * A host of files and a ledger in memory, for failures that a real host cannot be made to have at will. It keeps
 * the contract of a session: one lock, facts of what was asked and nothing else, the intent before the steps.
 */
export class MemoryHost implements HostSession {
  readonly files = new Map<string, FileFact>();
  readonly ledger = new Map<string, LedgerRecord>();
  /** Everything that was asked of it, in order. */
  readonly seen: string[] = [];
  machineId = "machine-1";
  /** Another one after each start. */
  bootId = "boot-1";
  /** Why the host cannot be reached. */
  unreachable: string | undefined;
  /** What the next step fails with, before it is done or (`after`) behind it. */
  failing: { readonly message: string; readonly after?: boolean } | undefined;
  /** A step that says it succeeded and did nothing. */
  ignoring = false;
  /** For how long every operation takes, in milliseconds. */
  slow = 0;
  cancelled = false;
  closed = false;

  async run(operation: Operation): Promise<Outcome> {
    this.seen.push(`${operation.decide ? "change" : "read"} ${operation.label}`);
    if (this.unreachable !== undefined) throw new HostError(this.unreachable, true);
    const ledger = { get: (key: string) => this.ledger.get(key), list: () => [...this.ledger.values()] };
    const {
      steps,
      intent = [],
      done = [],
    } = operation.decide?.(this.#facts(operation.queries), ledger) ?? { steps: [] };
    if (this.slow > 0) await new Promise((resolve) => setTimeout(resolve, this.slow));
    this.#write(intent);
    let touched = false;
    for (const step of steps) {
      const { failing } = this;
      if (failing !== undefined && failing.after !== true) throw new StepError(failing.message, touched);
      if (!this.ignoring && step.tool === "write") this.files.set(step.path, step.file);
      if (!this.ignoring && step.tool === "remove") this.files.delete(step.path);
      touched = true;
      if (failing !== undefined) throw new StepError(failing.message, true);
    }
    this.#write(done);
    return { facts: this.#facts(operation.queries), machineId: this.machineId, steps: steps.length };
  }

  cancel(): void {
    this.cancelled = true;
  }

  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }

  #write(entries: readonly LedgerEntry[]): void {
    for (const entry of entries) {
      if (entry.op === "set")
        this.ledger.set(entry.record.key, JSON.parse(JSON.stringify(entry.record)) as LedgerRecord);
      else this.ledger.delete(entry.key);
    }
  }

  #facts(queries: readonly Query[]): { get(query: Query): Fact } {
    const found = new Map(queries.map((query) => [queryKey(query), this.#fact(query)]));
    return {
      get: (query) => {
        const fact = found.get(queryKey(query));
        if (fact === undefined) throw new Error(`not asked for: ${queryKey(query)}`);
        return fact;
      },
    };
  }

  #fact(query: Query): Fact {
    if (query.tool === "sysctl") {
      const settings: Record<string, string> = { "kernel/random/boot_id": this.bootId };
      return {
        ok: true,
        value: Object.fromEntries(
          query.keys.flatMap((key) => (settings[key] === undefined ? [] : [[key, settings[key]]])),
        ),
      };
    }
    if (query.tool !== "file") return { ok: false, error: "no such tool" };
    const found = query.paths
      .filter((path) => this.files.has(path))
      .map((path) => [path, this.files.get(path)]);
    return { ok: true, value: Object.fromEntries(found) };
  }
}
