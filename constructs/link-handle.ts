import type { IConstruct } from "constructs";
import type { Place } from "../lib/synth";

/** One link as other constructs refer to it: the end of a veth pair, a tunnel, a NIC. */
export class LinkHandle {
  #master: string | undefined;
  #mtu: number | undefined;
  #peer: LinkHandle | undefined;

  /**
   * @param owner the construct that makes the link
   * @param name the interface's name
   * @param place the namespace it is in
   */
  constructor(
    readonly owner: IConstruct,
    readonly name: string,
    readonly place: Place | undefined,
    master?: string,
  ) {
    this.#master = master;
  }

  /** The bridge that the link is a port of. */
  get master(): string | undefined {
    return this.#master;
  }

  /** The other end of a veth pair. */
  get peer(): LinkHandle | undefined {
    return this.#peer;
  }

  /** The largest MTU that whatever is on the link allows; undefined when nothing says. */
  get mtuLimit(): number | undefined {
    return this.#mtu;
  }

  /** Says that packets larger than so many bytes do not get through: the link's MTU where the program names none. */
  limitMtu(bytes: number): void {
    this.#mtu = Math.min(bytes, this.#mtu ?? bytes);
    this.#peer?.limitOwnMtu(bytes);
  }

  /** Makes two handles the ends of one pair. */
  joinPeer(peer: LinkHandle): void {
    this.#peer = peer;
    peer.#peer = this;
  }

  private limitOwnMtu(bytes: number): void {
    this.#mtu = Math.min(bytes, this.#mtu ?? bytes);
  }

  /** Makes the link a port of a bridge in its own namespace; false when it is another's already. */
  enslaveTo(master: string): boolean {
    if (this.#master !== undefined && this.#master !== master) return false;
    this.#master = master;
    return true;
  }
}

/** A construct that makes one link. */
export interface ILink extends IConstruct {
  readonly link: LinkHandle;
}
