import type { Construct, IConstruct } from "constructs";
import { z } from "zod";
import type { HostRef, Input, IPlace, Place } from "../lib/synth";
import { addFindings, checkProps, Composite, definePlace } from "../lib/synth";
import { Sysctls } from "./sysctls";

/** How to reach a host. Only its name is identity: a new address, port, user or key changes no resource. */
export interface HostProps {
  /**
   * Names the host in ids (`edge/site1/gre1`) and in its ledger; unique in an app. Letters, digits, `.`, `_` and
   * `-`, at most 63.
   * @default - the construct's id
   */
  readonly name?: string;
  /**
   * Host name or address for ssh(1), or a `Host` of the user's ssh configuration.
   * @default - this machine, without ssh
   */
  readonly address?: Input<string>;
  /**
   * TCP port of sshd, 1 to 65535.
   * @default - that of the user's ssh configuration, else 22
   */
  readonly port?: Input<number>;
  /**
   * Login name. Anyone but root needs `sudo -n`.
   * @default - that of the user's ssh configuration
   */
  readonly user?: Input<string>;
  /**
   * The host's public key as in known_hosts(5), without the name: `ssh-ed25519 AAAA…`.
   * @default - the user's known_hosts; an unknown key is an error that prints its fingerprint
   */
  readonly hostKey?: Input<string>;
  /**
   * A host to go through, as ssh's `-J`: `user@address:port`.
   * @default - none
   */
  readonly jumpHost?: Input<string>;
  /**
   * PEM text of a private key for this host alone. It goes to the provider's configuration, as a secret, and
   * never into a resource.
   * @default - the app's
   */
  readonly privateKey?: Input<string>;
}

const HOST_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const ADDRESS = /^[A-Za-z0-9:][A-Za-z0-9._:%-]{0,252}$/;
const USER = /^[A-Za-z_][A-Za-z0-9_.-]{0,31}$/;
const HOST_KEY =
  /^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com) [A-Za-z0-9+/]+={0,3}$/;
const JUMP = /^([A-Za-z_][A-Za-z0-9_.-]{0,31}@)?([A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?$/;

const schema = z.object({
  name: z
    .string()
    .regex(HOST_NAME, "must be letters, digits, '.', '_' and '-', at most 63, with no '-' in front"),
  address: z.string().regex(ADDRESS, "must be a host name or an IP address").optional(),
  port: z
    .int("must be a whole number")
    .min(1, "must be at least 1")
    .max(65535, "must be at most 65535")
    .optional(),
  user: z.string().regex(USER, "must be a login name").optional(),
  hostKey: z
    .string()
    .regex(HOST_KEY, "must be one public key without the host's name, such as 'ssh-ed25519 AAAA…'")
    .optional(),
  jumpHost: z.string().regex(JUMP, "must be 'user@address:port'; user and port may be left out").optional(),
});

/**
 * A Linux host: the place of everything made inside it. It becomes a component that holds its resources; nothing
 * on the host belongs to it alone.
 *
 * @example
 * const edge = new Host(app, "edge", { address: "192.0.2.1", hostKey: "ssh-ed25519 AAAA…" });
 */
export class Host extends Composite implements IPlace {
  readonly place: Place;

  constructor(scope: Construct, id: string, props: HostProps = {}) {
    super(scope, id);
    const { privateKey, ...rest } = props;
    const host: HostRef = { ...rest, name: props.name ?? id };
    this.place = { host, ...(privateKey !== undefined && { privateKey }) };
    definePlace(this, this.place);
    addFindings(this, () => checkProps(schema, { ...host }));
  }

  /**
   * Lets the host's initial namespace forward IPv4, once what is given is there; put back to what it was when the
   * stack goes.
   */
  enableForwarding(...after: readonly IConstruct[]): void {
    forwardingOf(this, "forwarding").node.addDependency(...after);
  }

  /**
   * The same for IPv6. The kernel then forgets the default routes that it learned from router advertisements: have a
   * static one, or `net/ipv6/conf/<interface>/accept_ra` at 2, before you ask for it on a host that you reach so.
   */
  enableIpv6Forwarding(...after: readonly IConstruct[]): void {
    forwardingOf(this, "forwarding-ipv6").node.addDependency(...after);
  }
}

/** The setting that lets a place forward that the program does not make; made when first asked for. */
export function forwardingOf(place: Construct, which: keyof typeof FORWARDING): IConstruct {
  return place.node.tryFindChild(which) ?? new Sysctls(place, which, { values: FORWARDING[which] });
}

/** Forwarding by family: `Documentation/networking/ip-sysctl.rst`. */
export const FORWARDING = {
  forwarding: { "net/ipv4/ip_forward": "1" },
  "forwarding-ipv6": { "net/ipv6/conf/all/forwarding": "1" },
} as const;
