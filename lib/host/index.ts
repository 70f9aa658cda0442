import type { Credentials, HostAddress, HostSession } from "./operation";
import type { Capabilities } from "./capabilities";
import { Session, type SessionOptions } from "./session";
import { localTransport } from "./transport-local";
import { sshTransport } from "./transport-ssh";

export type { Capabilities } from "./capabilities";
export type { HostFolders } from "./lock";
export type { SessionOptions } from "./session";
export * from "./operation";

/** A session that also tells what its host can do. */
export interface OpenSession extends HostSession {
  /**
   * What the opening look at the host found.
   *
   * @throws HostError when the host cannot be reached or worked with.
   */
  capabilities(): Promise<Capabilities>;
}

/** Opens a session with a host: this machine when it has no address. Nothing is dialled before the first use. */
export function openSession(
  address: HostAddress,
  credentials: Credentials = {},
  options: SessionOptions = {},
): OpenSession {
  const transport = address.address === undefined ? localTransport() : sshTransport(address, credentials);
  return new Session(address.name, transport, options);
}
