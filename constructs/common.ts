import type { Construct } from "constructs";
import type { IPlace, LifecycleProps, Place } from "../lib/synth";
import { lifecycleOf, placeOf } from "../lib/synth";

/** Props of whatever lives in a network namespace. */
export interface InNamespaceProps extends LifecycleProps {
  /**
   * The namespace it lives in; a `Host` stands for its initial one.
   * @default - the nearest Namespace or Host around the construct
   */
  readonly namespace?: IPlace;
}

/**
 * Settings of one link by their name below `net/<family>/conf/<link>` (`ipv4/rp_filter`) or
 * `net/<family>/neigh/<link>` (`ipv4/neigh/gc_stale_time`).
 */
export type LinkSysctls = Readonly<Record<string, string>>;

/** Where something is: where its props say, else where its scope is. */
export function placeFor(scope: Construct, namespace: IPlace | undefined): Place | undefined {
  return namespace?.place ?? placeOf(scope);
}

/** The place and lifecycle of a leaf, from its props. */
export function leafProps(props: InNamespaceProps) {
  return { ...lifecycleOf(props), ...(props.namespace !== undefined && { place: props.namespace.place }) };
}

const NOT_OF_THE_SPEC: ReadonlySet<string> = new Set<keyof InNamespaceProps>([
  "namespace",
  "adopt",
  "deleteAdopted",
  "protect",
  "retainOnDelete",
  "timeouts",
]);

/** A construct's props without those that are not the spec's. */
export function specOf<T extends InNamespaceProps>(props: T): Omit<T, keyof InNamespaceProps> {
  const own = Object.entries(props).filter(([property]) => !NOT_OF_THE_SPEC.has(property));
  return Object.fromEntries(own) as Omit<T, keyof InNamespaceProps>;
}
