import type { Construct } from "constructs";
import { Composite, placeOf } from "../../lib/synth";
import type { LinkHandle } from "../link-handle";
import { attach, type AttachedProps } from "./attach";
import { BpfObject } from "./bpf-object";

/** A program of a link's XDP hook. */
export interface XdpProgramProps extends AttachedProps {
  /**
   * `"native"` is in the driver, before a packet has a socket buffer; `"generic"` is in the kernel's core, on any link
   * and slower.
   * @default - native where the driver can, else generic; the resource's `mode` reports it
   */
  readonly mode?: "native" | "generic";
  /**
   * The other end of a veth pair, where the program transmits (XDP_TX) or redirects frames to the pair: a veth takes
   * them only while its peer has an XDP program, too. One that passes everything is attached there, and removed with
   * this construct.
   * @default - none
   */
  readonly peerStub?: LinkHandle | string;
}

/**
 * An eBPF program at a link's XDP hook (ip-link(8)). A new version takes the place of the one before it at once. A
 * program of somebody else's there is refused, unless `adopt` says that it is to be replaced, and put back at the end.
 *
 * @example
 * new XdpProgram(edge, "mux", { object: mux, program: "mux", link: "eno1", mode: "native" });
 */
export class XdpProgram extends Composite {
  constructor(scope: Construct, id: string, props: XdpProgramProps) {
    super(scope, id);
    const { object, program, link, mode, peerStub } = props;
    const main = attach(this, "attachment", props, { object, program, link, hook: "xdp", mode });
    if (peerStub === undefined) return;
    const stub = { object: passing(this), program: "xdp_pass", link: peerStub, hook: "xdp" } as const;
    main.node.addDependency(attach(this, "peer", { namespace: props.namespace }, stub));
  }
}

/** The object whose program passes everything, once for each host. */
function passing(scope: Construct): BpfObject {
  const host = scope.node.scopes.find((one) => placeOf(one) !== undefined) ?? scope;
  const known = host.node.tryFindChild("xdp-pass");
  return known instanceof BpfObject
    ? known
    : new BpfObject(host, "xdp-pass", { source: "xdp-pass/xdp-pass.bpf.c", name: "xdp-pass" });
}
