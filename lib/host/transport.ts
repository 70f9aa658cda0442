import type { Readable, Writable } from "node:stream";
import type { HostError } from "./operation";

/** A shell on its way to a host: the three streams of the process that carries it, and its end. */
export interface Connection {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Settles when the process has ended; never rejects. */
  readonly ended: Promise<ConnectionEnd>;
  /** Ends the process at once. */
  kill(): void;
}

/** How the carrying process ended. */
export interface ConnectionEnd {
  readonly exitCode?: number;
  readonly signal?: string;
  /** Why it could not be started at all, such as `ENOENT`. */
  readonly code?: string;
}

/** One way to a host. */
export interface Transport {
  /** Starts a process whose standard input is a root `sh` on the host. */
  connect(): Connection;
  /** What the user is told about a connection that ended before the shell spoke. */
  explain(end: ConnectionEnd, stderr: string): Promise<DialFailure>;
  /** The dial is over, well or not, and explained: what only it needed can go. */
  dialled(): void;
  /** Removes what the transport left on this machine. */
  close(): void;
}

/** A dial that failed. */
export interface DialFailure {
  readonly error: HostError;
  /** Whether the same dial may work in a moment (nobody listens yet), as opposed to never (a wrong key). */
  readonly retry: boolean;
}
