import type { IConstruct } from "constructs";
import type { Input } from "./intent";

/** How to reach a host. Only `name` says which host it is: a new address or key is no change of its objects. */
export interface HostRef {
  /** Names the host in ids and in the ledger; unique in an app. */
  readonly name: string;
  /** Host name or address for ssh; this machine when absent. */
  readonly address?: Input<string>;
  /** TCP port of ssh. */
  readonly port?: Input<number>;
  /** Login name. */
  readonly user?: Input<string>;
  /** The host's public key: `ssh-ed25519 AAAA…`. */
  readonly hostKey?: Input<string>;
  /** `user@address:port`, as ssh's `-J`. */
  readonly jumpHost?: Input<string>;
}

/** Where kernel objects live: a host, or a network namespace on it. */
export interface Place {
  readonly host: HostRef;
  /** Name of the network namespace; the host's initial one when absent. */
  readonly netns?: string;
  /** The namespace is somebody else's and is there already. */
  readonly existing?: boolean;
  /** A private key for this host alone; goes to the provider's configuration and never into a resource. */
  readonly privateKey?: Input<string>;
}

/** A construct that is a place for what is made inside it: a host or a namespace. */
export interface IPlace extends IConstruct {
  readonly place: Place;
  /**
   * Lets IPv4 packets be forwarded here (`net.ipv4.ip_forward`); a namespace of the program's own forwards IPv6, too.
   *
   * @param after what must be there before, such as the firewall that says what is forwarded. A namespace forwards
   * from its beginning, before anything in it
   */
  enableForwarding(...after: readonly IConstruct[]): void;
  /**
   * Lets IPv6 packets be forwarded here (`net.ipv6.conf.all.forwarding`). Apart from IPv4, because the kernel then
   * forgets the default routes that it learned from router advertisements, which may be the way in to a host.
   */
  enableIpv6Forwarding(...after: readonly IConstruct[]): void;
}

// Symbol.for and not a class: two copies of this package in one program must know each other's constructs.
const PLACE = Symbol.for("netloom.synth.Place");

/** Makes a construct the place of everything inside it. Called once, in the construct's constructor. */
export function definePlace(construct: IConstruct, place: Place): void {
  Object.defineProperty(construct, PLACE, { value: place, enumerable: false, writable: false });
}

/** The place that a construct defines itself. */
export function definedPlace(construct: IConstruct): Place | undefined {
  return (construct as unknown as Record<symbol, Place | undefined>)[PLACE];
}

/** The place that a construct is in: its own, else that of the nearest scope that is one. */
export function placeOf(construct: IConstruct): Place | undefined {
  for (const scope of [...construct.node.scopes].reverse()) {
    const place = definedPlace(scope);
    if (place !== undefined) return place;
  }
  return undefined;
}

/** The host or namespace that a construct is in, as the construct that it is. */
export function enclosing(construct: IConstruct): IPlace | undefined {
  const scopes = [...construct.node.scopes].reverse();
  return scopes.find(
    (scope): scope is IPlace => definedPlace(scope) !== undefined && "enableForwarding" in scope,
  );
}

/** How messages name a place: `edge`, or `site1 on edge`. */
export function describePlace(host: string, netns: string | undefined): string {
  return netns === undefined ? `the initial namespace of ${host}` : `namespace ${netns} of ${host}`;
}
