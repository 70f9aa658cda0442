import type { Credentials, HostAddress, HostSession } from "../host/operation";
import { UserError } from "./errors";

/** What a session is opened with. */
export interface SessionOptions {
  readonly address: HostAddress;
  readonly credentials: Credentials;
  /** Where the ledger is kept on the host. */
  readonly stateDirectory?: string;
}

/** Opens a session with a host. */
export type OpenSession = (options: SessionOptions) => HostSession;

/** One session for each host and way to it, for as long as the plugin lives. */
export class Sessions {
  readonly #open = new Map<string, HostSession>();
  #cancelled = false;

  constructor(private readonly openSession: OpenSession) {}

  /** @throws UserError once the operation was cancelled */
  with(options: SessionOptions): HostSession {
    if (this.#cancelled) throw new UserError("cancelled before anything was done");
    const key = JSON.stringify([options.address, options.credentials.privateKey, options.stateDirectory]);
    let session = this.#open.get(key);
    if (session === undefined) {
      session = this.openSession(options);
      this.#open.set(key, session);
    }
    return session;
  }

  /** No work starts from now on; what is under way ends between two batches. */
  cancel(): void {
    this.#cancelled = true;
    for (const session of this.#open.values()) session.cancel();
  }

  /** Ends every session and removes what it left. */
  async close(): Promise<void> {
    this.#cancelled = true;
    const sessions = [...this.#open.values()];
    this.#open.clear();
    await Promise.allSettled(sessions.map((session) => session.close()));
  }
}
