import type { Construct } from "constructs";
import { Composite } from "../../lib/synth";
import { attach, type AttachedProps } from "./attach";

/** A program of one side of a link's clsact qdisc. */
export interface TcProgramProps extends AttachedProps {
  /** `"ingress"` sees what the link receives, `"egress"` what it sends, before the link's qdisc. */
  readonly direction: "ingress" | "egress";
  /**
   * Order among the link's filters, the lowest first: 1 to 65535.
   * @default 1
   */
  readonly preference?: number;
}

/**
 * An eBPF program at a link's ingress or egress (tc-bpf(8), direct action). The clsact qdisc is added where it is
 * missing and removed with the last filter in it.
 *
 * @example
 * new TcProgram(edge, "mark", { object: marker, program: "mark", link: "eno1", direction: "egress" });
 */
export class TcProgram extends Composite {
  constructor(scope: Construct, id: string, props: TcProgramProps) {
    super(scope, id);
    const { object, program, link, direction, preference } = props;
    attach(this, "attachment", props, { object, program, link, hook: direction, preference });
  }
}
