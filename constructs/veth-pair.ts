import type { Construct } from "constructs";
import { link } from "../lib/kinds/link";
import type { IPlace, LifecycleProps } from "../lib/synth";
import { addFindings, KernelObject, renamed } from "../lib/synth";
import type { LinkSysctls } from "./common";
import { placeFor } from "./common";
import { LinkHandle } from "./link-handle";

/** One end of a veth pair. */
export interface VethEnd {
  /**
   * The namespace this end is in; a `Host` stands for its initial one. Both ends are on one host.
   * @default - the nearest Namespace or Host around the construct
   */
  readonly namespace?: IPlace;
  /** Interface name, at most 15 bytes. */
  readonly name: string;
  /**
   * Addresses with prefix length: `10.0.0.1/24`, `2001:db8::1/64`.
   * @default - none
   */
  readonly addresses?: readonly string[];
  /**
   * MTU in bytes, 68 to 65535; at least 1280 with IPv6 addresses.
   * @default - 1500
   */
  readonly mtu?: number;
  /**
   * Link-layer address: `02:00:00:00:00:01`.
   * @default - the kernel picks one
   */
  readonly mac?: string;
  /**
   * Settings of this end: `{ "ipv4/rp_filter": "2" }`.
   * @default - the kernel's
   */
  readonly sysctls?: LinkSysctls;
}

/** A virtual cable between two namespaces of one host. */
export interface VethPairProps extends LifecycleProps {
  /** One end. The pair's id is that of this end. */
  readonly a: VethEnd;
  /** The other end. */
  readonly b: VethEnd;
  /**
   * Interface number of the end `a`, 1 to 2147483647, for what knows links by number.
   * @default - the kernel picks one
   */
  readonly index?: number;
  /**
   * Receive and transmit queues of each end, 1 to 4096. A pair cannot change them later: it is made again.
   * @default 1
   */
  readonly queues?: number;
}

/**
 * A veth pair: two interfaces, each in its own namespace, and what goes into one comes out of the other. See
 * veth(4).
 *
 * @example
 * new VethPair(edge, "wan0-site1", {
 *   a: { namespace: wan0, name: "eth1", addresses: ["10.100.0.254/16"] },
 *   b: { namespace: site1, name: "eth0", addresses: ["10.100.0.1/16"] },
 * });
 */
export class VethPair extends KernelObject {
  /** The end `a`, for a bridge. */
  readonly a: LinkHandle;
  /** The end `b`, for a bridge. */
  readonly b: LinkHandle;

  constructor(scope: Construct, id: string, props: VethPairProps) {
    const { a, b, index, queues, ...lifecycle } = props;
    const [placeA, placeB] = [placeFor(scope, a.namespace), placeFor(scope, b.namespace)];
    super(scope, id, {
      ...lifecycle,
      kind: link,
      ...(placeA !== undefined && { place: placeA }),
      intent: () => ({
        ...end(a, this.a),
        kind: "veth",
        index,
        rxQueues: queues,
        txQueues: queues,
        peer: end(b, this.b),
      }),
      origin: renamed({
        peer: ["b"],
        "peer.netns": ["b", "namespace"],
        netns: ["a", "namespace"],
        rxQueues: ["queues"],
        txQueues: ["queues"],
        ...Object.fromEntries(["name", "addresses", "mtu", "mac", "sysctls"].map((p) => [p, ["a", p]])),
      }),
    });
    this.a = new LinkHandle(this, a.name, placeA);
    this.b = new LinkHandle(this, b.name, placeB);
    this.a.joinPeer(this.b);
    addFindings(this, () => {
      if (placeA === undefined || placeB === undefined || placeA.host.name === placeB.host.name) return [];
      const message = `is on ${placeB.host.name}, the other end on ${placeA.host.name}; a veth pair is on one host`;
      return [{ path: ["b", "namespace"], message }];
    });
  }
}

function end({ name, addresses, mtu, mac, sysctls }: VethEnd, handle: LinkHandle) {
  return {
    netns: handle.place?.netns,
    name,
    addresses,
    mtu: mtu ?? handle.mtuLimit,
    mac,
    sysctls,
    master: handle.master,
  };
}
