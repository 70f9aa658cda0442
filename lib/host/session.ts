import { setTimeout as sleep } from "node:timers/promises";
import pRetry from "p-retry";
import { runBatch, type Waiting } from "./batch";
import type { Capabilities } from "./capabilities";
import { Journals } from "./journals";
import { type HostFolders, hostFolders } from "./lock";
import { HostError, type HostSession, type Operation, type Outcome } from "./operation";
import { DialError, Shell } from "./shell";
import type { Transport } from "./transport";

/** How a session goes about its work; all have sensible defaults. */
export interface SessionOptions {
  /** Where the ledgers and the lock are. @default `/var/lib/netloom` and `/run/netloom` */
  readonly folders?: HostFolders;
  /** How long to wait for the host's lock, in seconds. @default 60 */
  readonly lockSeconds?: number;
  /** How long a dial may take until the shell speaks, in milliseconds. @default 60000 */
  readonly dialMs?: number;
  /** How often a dial that was refused or timed out is tried again. @default 3 */
  readonly retries?: number;
  /** How long to wait for companions of an operation, in milliseconds. @default 4 */
  readonly gatherMs?: number;
}

/** A session over any transport: collects operations into batches and keeps one shell. */
export class Session implements HostSession {
  #queue: Waiting[] = [];
  #working: Promise<void> | undefined;
  #shell: Shell | undefined;
  #dialling: Promise<Shell> | undefined;
  #cancelled: string | undefined;
  readonly #journals = new Journals();

  constructor(
    private readonly name: string,
    private readonly transport: Transport,
    private readonly options: SessionOptions = {},
  ) {}

  run(operation: Operation): Promise<Outcome> {
    if (this.#cancelled !== undefined) return Promise.reject(this.#refusal());
    return new Promise((resolve, reject) => {
      this.#queue.push({ operation, resolve, reject });
      this.#working ??= this.#work();
    });
  }

  /**
   * What the host can do.
   *
   * @throws HostError when the host cannot be reached or worked with.
   */
  async capabilities(): Promise<Capabilities> {
    if (this.#cancelled !== undefined) throw this.#refusal();
    return (await this.#connected()).capabilities;
  }

  cancel(): void {
    this.#cancelled ??= "the run was cancelled";
    for (const { reject } of this.#queue.splice(0)) reject(this.#refusal());
  }

  async close(): Promise<void> {
    this.cancel();
    this.#cancelled = "the session is closed";
    await this.#working;
    await this.#dialling?.catch(() => {});
    await this.#shell?.close(2000);
    this.transport.close();
  }

  #refusal(): HostError {
    return new HostError(`host "${this.name}": nothing was done: ${this.#cancelled}`);
  }

  async #work(): Promise<void> {
    while (this.#queue.length > 0) {
      await this.#gather();
      const batch = this.#queue.splice(0);
      if (batch.length === 0) continue;
      try {
        await runBatch(batch, {
          host: this.name,
          shell: () => this.#connected(),
          journals: this.#journals,
          folders: this.options.folders ?? hostFolders,
          lockSeconds: this.options.lockSeconds ?? 60,
          cancelled: () => this.#cancelled,
        });
      } catch (error) {
        // Whoever has had an answer keeps it: a promise settles once.
        for (const { reject } of batch) reject(error as Error);
      }
    }
    // In the same breath as the last look at the queue: nothing can be added in between and forgotten.
    this.#working = undefined;
  }

  /** Operations of one engine step come one after the other within a few milliseconds. */
  async #gather(): Promise<void> {
    const pause = this.options.gatherMs ?? 4;
    for (let waited = 0, seen = 0; seen < this.#queue.length && waited < 6 * pause; waited += pause) {
      seen = this.#queue.length;
      await sleep(pause);
    }
  }

  async #connected(): Promise<Shell> {
    if (this.#shell?.alive) return this.#shell;
    this.#dialling ??= this.#dial().finally(() => (this.#dialling = undefined));
    const shell = await this.#dialling;
    // Somebody else may have been here before we are back.
    if (shell !== this.#shell) this.#journals.forget();
    return (this.#shell = shell);
  }

  /** Nobody listening yet, or no answer, is worth another try: the host may be booting. Nothing else is. */
  async #dial(): Promise<Shell> {
    const { retries = 3, dialMs = 60_000 } = this.options;
    try {
      return await pRetry(() => Shell.start(this.transport, dialMs), {
        retries,
        minTimeout: 500,
        shouldRetry: (error) =>
          error instanceof DialError && error.failure.retry && this.#cancelled === undefined,
      });
    } catch (error) {
      if (error instanceof DialError || error instanceof HostError)
        throw new HostError(`host "${this.name}": ${error.message}`, true);
      throw error;
    }
  }
}
