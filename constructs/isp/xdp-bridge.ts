import type { Construct } from "constructs";
import { Composite } from "../../lib/synth";
import { BpfMap, BpfObject, TcProgram, XdpProgram } from "../bpf";
import type { LinkHandle } from "../link-handle";

/** One side of a bridge. */
export interface XdpBridgeSide {
  /** The link. */
  readonly link: LinkHandle;
  /** Its interface number, which it was made with. */
  readonly index: number;
  /** The other end of a veth, which has to have an XDP program for frames to be redirected to it. */
  readonly peer: LinkHandle;
}

/** What a bridge in XDP joins. */
export interface XdpBridgeProps {
  /** The two sides. */
  readonly sides: readonly [XdpBridgeSide, XdpBridgeSide];
}

/** Sends IP through the other side's qdisc, so that it can be shaped: BRIDGE_QUEUED of bpf/xdp-bridge. */
const QUEUED = 1;

/**
 * A wire between two links by eBPF programs on both: what nothing shapes is redirected by XDP, the rest by tc, so that
 * it passes the other side's qdisc. See bpf/xdp-bridge.
 */
export class XdpBridge extends Composite {
  constructor(scope: Construct, id: string, { sides }: XdpBridgeProps) {
    super(scope, id);
    const object = new BpfObject(this, "object", {
      source: "xdp-bridge/xdp-bridge.bpf.c",
      name: `bridge_${sides[0].link.name}`.replace(/[^A-Za-z0-9_-]/g, "_"),
    });
    const [one, other] = sides;
    new BpfMap(this, "ports", {
      object,
      map: "bridge_ports",
      key: { port: "u32" },
      value: { other: "u32", flags: "u32" },
      entries: {
        [one.index]: { other: other.index, flags: QUEUED },
        [other.index]: { other: one.index, flags: QUEUED },
      },
    });
    for (const { link, peer } of sides) {
      // What XDP lets through would reach the machine itself if tc were not there yet.
      const queued = new TcProgram(this, `${link.name}-ingress`, {
        object,
        program: "bridge_tc",
        link,
        direction: "ingress",
      });
      const fast = new XdpProgram(this, `${link.name}-xdp`, {
        object,
        program: "bridge_xdp",
        link,
        peerStub: peer,
      });
      fast.node.addDependency(queued);
    }
  }
}
