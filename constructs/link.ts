import type { Construct } from "constructs";
import { link } from "../lib/kinds/link";
import type { LinkInput } from "../lib/kinds/link/schema";
import type { Inputs } from "../lib/synth";
import { KernelObject } from "../lib/synth";
import type { InNamespaceProps } from "./common";
import { leafProps, placeFor, specOf } from "./common";
import type { ILink } from "./link-handle";
import { LinkHandle } from "./link-handle";

type LinkSpecProps = Omit<Inputs<LinkInput>, "netns" | "name" | "kind" | "master">;

/** A link in the words of the `netloom:net:Link` resource. */
export interface LinkProps extends InNamespaceProps, LinkSpecProps {
  /**
   * Interface name, at most 15 bytes.
   * @default - the construct's id
   */
  readonly name?: string;
  /** What sort of link: `ip link`'s type, or `physical` for one that is there already and is only configured. */
  readonly kind: LinkInput["kind"];
  /**
   * The bridge that the link is a port of.
   * @default - none, or the `Bridge` that has it among its ports
   */
  readonly master?: string;
}

/**
 * A link of any kind, in the words of its resource: the way out where no construct is made for it.
 *
 * @example
 * new Link(edge, "wan", { name: "eth1", kind: "physical", addresses: ["192.0.2.1/24"] });
 */
export class Link extends KernelObject implements ILink {
  /** The interface, for a bridge. */
  readonly link: LinkHandle;

  constructor(scope: Construct, id: string, props: LinkProps) {
    const { name = id, master } = props;
    super(scope, id, {
      ...leafProps(props),
      kind: link,
      intent: () => ({
        ...specOf(props),
        name,
        mtu: props.mtu ?? this.link.mtuLimit,
        master: this.link.master,
      }),
    });
    this.link = new LinkHandle(this, name, placeFor(scope, props.namespace), master);
  }
}
