import type { Construct } from "constructs";
import { Composite, hash8 } from "../../lib/synth";
import { placeFor } from "../common";
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
    const name = typeof peerStub === "string" ? peerStub : peerStub.name;
    const place = typeof peerStub === "string" ? placeFor(this, props.namespace) : peerStub.place;
    // Named by the link: stacks that share a host do not share what either of them removes.
    const passing = new BpfObject(this, "pass", {
      source: "xdp-pass/xdp-pass.bpf.c",
      name: `xdp-pass-${hash8(`${place?.netns ?? ""}/${name}`)}`,
    });
    const stub = { object: passing, program: "xdp_pass", link: peerStub, hook: "xdp" } as const;
    main.node.addDependency(attach(this, "peer", { namespace: props.namespace }, stub));
  }
}
