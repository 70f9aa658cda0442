import type { Journal } from "./ledger";

/** What this session knows of the ledgers on its host. */
export class Journals {
  readonly #known = new Map<string, Journal>();
  /** What this session left in the lock's file when it last gave the lock back. */
  token = "";

  get(stack: string): Journal | undefined {
    return this.#known.get(stack);
  }

  set(stack: string, journal: Journal): void {
    this.#known.set(stack, journal);
  }

  /** Nothing is known any more: an exchange that wrote was cut short, or the connection is a new one. */
  forget(): void {
    this.#known.clear();
    this.token = "";
  }
}
