import { HostError, type HostAddress } from "./operation";

/** Where ssh goes, checked: no part of it can be taken for an option or a command. */
export interface SshAddress {
  readonly host: string;
  readonly port?: number;
  readonly user?: string;
  /** Type and base64 of the pinned key. */
  readonly hostKey?: string;
  readonly jump?: { readonly host: string; readonly user?: string; readonly port?: number };
}

const hostPattern = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$|^[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*(%[A-Za-z0-9_.-]+)?$/;
const userPattern = /^[A-Za-z0-9_][A-Za-z0-9_.@\\+-]*$/;
const keyPattern = /^((?:ssh|ecdsa|sk)-[a-z0-9@.-]+) ([A-Za-z0-9+/]{20,}={0,2})( [^\0\n\r]*)?$/;

/**
 * Checks a host's address.
 *
 * @throws HostError that names the property.
 */
export function sshAddress(address: HostAddress): SshAddress {
  const host = hostOf(address.address ?? "", "address");
  const { user, port, hostKey, jumpHost } = address;
  if (user !== undefined) check(userPattern.test(user), "user", user, "a login name, such as root");
  if (port !== undefined) checkPort(port, "port");
  const key = hostKey === undefined ? undefined : keyPattern.exec(hostKey.trim());
  if (hostKey !== undefined)
    check(
      key !== null,
      "hostKey",
      hostKey,
      'a type and a key as in known_hosts, such as "ssh-ed25519 AAAA…"',
    );
  return {
    host,
    ...(user !== undefined && { user }),
    ...(port !== undefined && { port }),
    ...(key && { hostKey: `${key[1]} ${key[2]}` }),
    ...(jumpHost !== undefined && { jump: jumpOf(jumpHost) }),
  };
}

function jumpOf(text: string): NonNullable<SshAddress["jump"]> {
  const parts = /^(?:([^@]+)@)?(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d+))?$/.exec(text);
  check(parts !== null, "jumpHost", text, "user@address:port");
  const [, user, bracketed, plain, port] = parts!;
  if (user !== undefined) check(userPattern.test(user), "jumpHost", text, "user@address:port");
  if (port !== undefined) checkPort(Number(port), "jumpHost");
  return {
    host: hostOf(bracketed ?? plain!, "jumpHost"),
    ...(user !== undefined && { user }),
    ...(port !== undefined && { port: Number(port) }),
  };
}

function hostOf(text: string, property: string): string {
  const host = text.replace(/^\[(.*)\]$/, "$1");
  check(hostPattern.test(host), property, text, "a host name or an IP address");
  return host;
}

function checkPort(port: number, property: string): void {
  check(Number.isInteger(port) && port > 0 && port < 65_536, property, port, "a port from 1 to 65535");
}

function check(good: boolean, property: string, found: string | number, wanted: string): void {
  if (!good) throw new HostError(`${property} is ${JSON.stringify(found)}: it must be ${wanted}`);
}
