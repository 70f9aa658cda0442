import type { Construct } from "constructs";
import { sysctls } from "../lib/kinds/sysctls";
import { KernelObject } from "../lib/synth";
import type { InNamespaceProps } from "./common";
import { leafProps } from "./common";

/** Kernel settings of a host or of a namespace. */
export interface SysctlsProps extends InNamespaceProps {
  /**
   * Names the set in its id; it does not show up on the host.
   * @default - the construct's id
   */
  readonly name?: string;
  /** Values by `/`-separated key: `{ "net/ipv4/ip_forward": "1" }`. */
  readonly values: Readonly<Record<string, string>>;
}

/**
 * Kernel settings (`Documentation/admin-guide/sysctl`, `Documentation/networking/ip-sysctl.rst`). What a setting
 * was before is put back when the resource goes.
 *
 * @example
 * new Sysctls(edge, "tcp", { values: { "net/ipv4/tcp_congestion_control": "bbr" } });
 */
export class Sysctls extends KernelObject {
  constructor(scope: Construct, id: string, props: SysctlsProps) {
    super(scope, id, {
      ...leafProps(props),
      kind: sysctls,
      intent: { name: props.name ?? id, values: props.values },
    });
  }
}
