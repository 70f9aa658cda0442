import type { Construct } from "constructs";
import type { z } from "zod";
import { shaping } from "../lib/kinds/shaping";
import type { queue } from "../lib/kinds/shaping/queues";
import { KernelObject } from "../lib/synth";
import type { InNamespaceProps } from "./common";
import { leafProps } from "./common";

/**
 * A queueing discipline without classes, in the words of its manual page: tc-cake(8), tc-fq_codel(8), tc-fq(8),
 * tc-netem(8), tc-tbf(8), tc-bfifo(8). Rates are bit/s, times microseconds.
 */
export type ShapingQueue = z.input<typeof queue>;

/** One class of tc-htb(8). */
export interface ShapingClass {
  /** Its id, hexadecimal: `1:10`. */
  readonly classid: string;
  /**
   * The class above.
   * @default - none: it is right below the root
   */
  readonly parent?: string;
  /** What is held for the class, bit/s. */
  readonly rate: number;
  /**
   * What the class gets at most, while the one above has some to lend, bit/s.
   * @default - `rate`
   */
  readonly ceil?: number;
  /**
   * Bytes that are sent at once at `rate`.
   * @default - a millisecond's worth, and two full frames at least
   */
  readonly burst?: number;
  /**
   * Bytes that are sent at once at `ceil`.
   * @default - a millisecond's worth, and two full frames at least
   */
  readonly cburst?: number;
  /**
   * Bytes in one turn when classes share what the one above lends, 1000 to 200000.
   * @default 6056
   */
  readonly quantum?: number;
  /**
   * Among classes that ask the one above, the lowest is served first, 0 to 7.
   * @default 0
   */
  readonly prio?: number;
  /**
   * The queue of a class without children. Its handle is the second part of the class id.
   * @default - a FIFO
   */
  readonly leaf?: ShapingQueue;
}

/** A filter that picks a class by addresses and ports (tc-flower(8)). */
export interface ShapingFilter {
  /** The class that the packets go to. */
  readonly classid: string;
  /** Filters of the lowest number are asked first; all of one number are of one protocol. 1 to 65535. */
  readonly pref: number;
  /** Its number among those of the same `pref`, 1 to 4294967295. */
  readonly handle: number;
  /**
   * The packets that it looks at.
   * @default "ip"
   */
  readonly protocol?: "ip" | "ipv6";
  /** Address or network that the packet comes from. @default - any */
  readonly source?: string;
  /** Address or network that the packet goes to. @default - any */
  readonly destination?: string;
  /** @default - any */
  readonly ipProtocol?: "tcp" | "udp" | "icmp" | "icmpv6" | "sctp";
  /** With `ipProtocol` tcp, udp or sctp. @default - any */
  readonly sourcePort?: number;
  /** With `ipProtocol` tcp, udp or sctp. @default - any */
  readonly destinationPort?: number;
}

/** How what leaves by a link is queued. */
export interface ShapingProps extends InNamespaceProps {
  /** The link. */
  readonly link: string;
  /** The root qdisc: `htb` with classes, or a queue alone. */
  readonly root: { readonly kind: "htb" } | ShapingQueue;
  /**
   * Of an htb root, the class of what no filter claims.
   * @default - none: it is sent without being shaped
   */
  readonly defaultClass?: string;
  /**
   * Classes of an htb root, in any order.
   * @default - none
   */
  readonly classes?: readonly ShapingClass[];
  /**
   * Filters that pick classes.
   * @default - none
   */
  readonly filters?: readonly ShapingFilter[];
}

const FRAME = 1514;
const burstOf = (bits: number) => Math.max(2 * FRAME, Math.ceil(bits / 8000));

/**
 * The qdiscs, classes and filters of one link. A qdisc that is there already is somebody else's: `adopt` takes it over.
 *
 * @example
 * new Shaping(edge, "wan", { link: "eth0", root: { kind: "cake", bandwidth: 100e6, nat: true } });
 */
export class Shaping extends KernelObject {
  constructor(scope: Construct, id: string, props: ShapingProps) {
    const { link, root, defaultClass, classes = [], filters = [] } = props;
    super(scope, id, {
      ...leafProps(props),
      kind: shaping,
      intent: {
        link,
        root: { ...root, handle: "1:", ...(defaultClass !== undefined && { defaultClass }) },
        classes: classes.map(
          ({ leaf: _, parent = "1:", ceil, burst, cburst, quantum = 4 * FRAME, ...one }) => ({
            ...one,
            parent,
            ceil: ceil ?? one.rate,
            burst: burst ?? burstOf(one.rate),
            cburst: cburst ?? burstOf(ceil ?? one.rate),
            quantum,
          }),
        ),
        qdiscs: classes.flatMap(({ classid, leaf }) =>
          leaf === undefined
            ? []
            : [{ ...leaf, parent: classid, handle: `${classid.slice(classid.indexOf(":") + 1)}:` }],
        ),
        filters: filters.map((filter) => ({ protocol: "ip", ...filter, parent: "1:" })),
      },
      origin: ([first, ...rest]) =>
        first === "qdiscs"
          ? ["classes"]
          : first === "root" && rest[0] === "defaultClass"
            ? rest
            : [first ?? "", ...rest],
    });
  }
}
