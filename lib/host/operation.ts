import type { Facts, Query, Step } from "../kinds/step";

/** One object in the ledger of a stack on a host. */
export interface LedgerRecord {
  /** `TOKEN ID`: what the object is and its id, such as `netloom:net:Link edge/site1/gre1`. */
  readonly key: string;
  /** The resource that owns it. */
  readonly urn: string;
  /** `created`: it was not there before. `adopted`: it was, and is somebody else's still. */
  readonly how: "created" | "adopted";
  /** The kernel's boot_id when it was last made or changed: what is older than the host's last start is lost. */
  readonly boot?: string;
  /** What was there before the first change: what a delete puts back. */
  readonly before?: Readonly<Record<string, unknown>>;
  /** What it should be now, first; then what interrupted runs wanted and may have left. */
  readonly specs: readonly Readonly<Record<string, unknown>>[];
}

/** What a stack owns on a host. */
export interface Ledger {
  get(key: string): LedgerRecord | undefined;
  /** Every record, for those that go with the object that contains them (a namespace's links). */
  list(): readonly LedgerRecord[];
}

/** A change to the ledger. */
export type LedgerEntry =
  { readonly op: "set"; readonly record: LedgerRecord } | { readonly op: "forget"; readonly key: string };

/** What an operation does after it has seen the facts. */
export interface Decision {
  readonly steps: readonly Step[];
  /** Written before the first step, so that an interrupted run still knows what is ours. */
  readonly intent?: readonly LedgerEntry[];
  /** Written after the last step, only if every step succeeded. */
  readonly done?: readonly LedgerEntry[];
}

/**
 * One piece of work on a host. Operations that arrive together share one lock, one round of queries and one
 * round of steps; each succeeds or fails by itself.
 */
export interface Operation {
  /** For errors and logs, such as `edge/site1/gre1`. */
  readonly label: string;
  /** Project and stack, which name the ledger: `gre-lab/dev`. */
  readonly stack: string;
  readonly queries: readonly Query[];
  /** What to do; absent for a read. Throwing refuses this operation alone, before it touched anything. */
  decide?(facts: Facts, ledger: Ledger): Decision;
}

/** The end of an operation. */
export interface Outcome {
  /** What the queries found after the steps (or at once, when there were none). */
  readonly facts: Facts;
  /** The host's `/etc/machine-id`. */
  readonly machineId: string;
  /** Steps that ran. */
  readonly steps: number;
}

/**
 * A step that failed, or a connection lost on the way. `touched` says whether the host may have been changed
 * for this operation, in which case the resource is half made and must not be forgotten.
 */
export class StepError extends Error {
  override readonly name = "StepError";
  constructor(
    message: string,
    readonly touched: boolean,
  ) {
    super(message);
  }
}

/**
 * A host that cannot be worked with: unreachable, unknown host key, no sudo, a tool missing. Never "gone".
 * `unreachable` says that no session came about at all, as with a host that is no more.
 */
export class HostError extends Error {
  override readonly name = "HostError";
  constructor(
    message: string,
    readonly unreachable = false,
  ) {
    super(message);
  }
}

/** How to reach a host: what a resource's `host` input holds. Only `name` is identity. */
export interface HostAddress {
  readonly name: string;
  /** Host name or address for ssh; `local` transport when absent. */
  readonly address?: string;
  readonly port?: number;
  readonly user?: string;
  /** One line in known_hosts form without the name: `ssh-ed25519 AAAA…`. */
  readonly hostKey?: string;
  /** `user@address:port`, as ssh's `-J`. */
  readonly jumpHost?: string;
}

/** What the provider's configuration adds to a host's address: never part of a resource. */
export interface Credentials {
  /** PEM text of a private key; the user's ssh configuration and agent when absent. */
  readonly privateKey?: string;
}

/** A session with one host, for as long as the plugin lives. */
export interface HostSession {
  run(operation: Operation): Promise<Outcome>;
  /** No operation starts from now on; what is under way ends between two batches. */
  cancel(): void;
  /** Ends the session and removes what it left (control socket, key file). */
  close(): Promise<void>;
}
