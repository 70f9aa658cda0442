import type { Construct } from "constructs";
import { link } from "../lib/kinds/link";
import type { Finding } from "../lib/kinds/kind";
import { addFindings, KernelObject } from "../lib/synth";
import type { InNamespaceProps, LinkSysctls } from "./common";
import { leafProps, placeFor } from "./common";
import { LinkHandle } from "./link-handle";

/** A bridge and its ports. */
export interface BridgeProps extends InNamespaceProps {
  /**
   * Interface name, at most 15 bytes.
   * @default - the construct's id
   */
  readonly name?: string;
  /**
   * Links that become its ports: ends of veth pairs, tunnels, NICs, in the bridge's own namespace.
   * @default - none
   */
  readonly ports?: readonly LinkHandle[];
  /**
   * Addresses of the namespace on the bridged network, with prefix length.
   * @default - none
   */
  readonly addresses?: readonly string[];
  /**
   * MTU in bytes, 68 to 65535; at least 1280 with IPv6 addresses.
   * @default - the smallest of the ports'
   */
  readonly mtu?: number;
  /**
   * Link-layer address.
   * @default - the kernel picks one
   */
  readonly mac?: string;
  /**
   * Sysctls of the bridge itself.
   * @default - the kernel's
   */
  readonly sysctls?: LinkSysctls;
}

/**
 * A Linux bridge: a switch between the links that are its ports. See bridge(8).
 *
 * @example
 * new Bridge(lan, "br0", { ports: [pair1.b, pair2.b], addresses: ["172.16.100.254/24"] });
 */
export class Bridge extends KernelObject {
  /** The bridge as a link, for a VLAN above it or another bridge. */
  readonly link: LinkHandle;
  readonly #findings: Finding[] = [];

  constructor(scope: Construct, id: string, props: BridgeProps = {}) {
    const { name = id, ports = [], addresses, mtu, mac, sysctls } = props;
    super(scope, id, {
      ...leafProps(props),
      kind: link,
      intent: () => ({ kind: "bridge", name, addresses, mtu, mac, sysctls, master: this.link.master }),
    });
    this.link = new LinkHandle(this, name, placeFor(scope, props.namespace));
    ports.forEach((port, index) => this.#add(port, ["ports", index]));
    addFindings(this, () => this.#findings);
  }

  /** Makes a link a port of the bridge, as `ports` does. */
  addPort(port: LinkHandle): void {
    this.#add(port, ["ports"]);
  }

  #add(port: LinkHandle, path: readonly (string | number)[]): void {
    const [here, there] = [this.link.place, port.place];
    const who = `${port.name} of ${port.owner.node.path}`;
    if (here?.host.name !== there?.host.name || here?.netns !== there?.netns) {
      this.#findings.push({ path, message: `${who} is in another namespace than the bridge` });
    } else if (!port.enslaveTo(this.link.name)) {
      this.#findings.push({ path, message: `${who} is a port of ${port.master} already` });
    }
  }
}
