import type { Construct } from "constructs";
import { attachment } from "../../lib/kinds/bpf/attachment";
import { KernelObject, type Place } from "../../lib/synth";
import { leafProps, placeFor, type InNamespaceProps } from "../common";
import { LinkHandle } from "../link-handle";
import type { BpfObject } from "./bpf-object";

/** What every program that is attached to a link takes. */
export interface AttachedProps extends InNamespaceProps {
  /** What the program is in. */
  readonly object: BpfObject;
  /** The program, by the name of its function in C. */
  readonly program: string;
  /** The link: one of this program's own, or the name of one that is there, in the construct's namespace. */
  readonly link: LinkHandle | string;
}

/** Where an attachment is, and of what it is one. */
export interface Attached {
  readonly object: BpfObject;
  readonly program: string;
  readonly link: LinkHandle | string;
  readonly hook: "xdp" | "ingress" | "egress";
  readonly mode?: "native" | "generic";
  readonly preference?: number;
}

/** The leaf that attaches a program to a link. */
export function attach(scope: Construct, id: string, props: InNamespaceProps, what: Attached): KernelObject {
  const { object, program, link, hook, mode, preference } = what;
  const name = typeof link === "string" ? link : link.name;
  const place: Place | undefined = typeof link === "string" ? placeFor(scope, props.namespace) : link.place;
  const leaf = new KernelObject(scope, id, {
    ...leafProps(props),
    ...(place && { place }),
    kind: attachment,
    onBehalfOf: scope,
    intent: {
      netns: place?.netns,
      link: name,
      hook,
      program: object.programPin(program),
      version: object.version,
      mode,
      preference,
    },
  });
  object.attachedBy(leaf);
  if (link instanceof LinkHandle) leaf.node.addDependency(link.owner);
  return leaf;
}
