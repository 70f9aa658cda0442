import type { IConstruct } from "constructs";
import { Construct } from "constructs";
import type { AnyKind } from "../kinds/kind";
import type { PropertyPath } from "./finding";
import type { Intent } from "./intent";
import type { HostAccess, OtherResource } from "./other-plugin";
import type { Place } from "./place";
import { placeOf } from "./place";
import type { TreeView } from "./view";

/** What any construct that becomes one object on a host takes besides its own props. */
export interface LifecycleProps {
  /**
   * Takes over an object of the same name that is already on the host. What it was before is put back when the
   * resource goes.
   * @default false - an object that is not ours is refused by name
   */
  readonly adopt?: boolean;
  /**
   * Deletes an adopted object with its resource, rather than putting back what it was.
   * @default false
   */
  readonly deleteAdopted?: boolean;
  /**
   * Pulumi refuses to delete the resource and what is made inside it.
   * @default false
   */
  readonly protect?: boolean;
  /**
   * The object stays on the host when the resource is deleted.
   * @default false
   */
  readonly retainOnDelete?: boolean;
  /**
   * How long Pulumi waits for each operation, as `"30s"`, `"5m"`.
   * @default - Pulumi's
   */
  readonly timeouts?: { readonly create?: string; readonly update?: string; readonly delete?: string };
}

/** What has to be known of a kind to check a program: all of it but how the object is made. */
export type LeafKind = Pick<AnyKind, "schema" | "identity" | "check" | "claims"> & { readonly token: string };

/** How a leaf of the tree says what it wants. */
export interface KernelObjectProps extends LifecycleProps {
  /** The kind of kernel object. */
  readonly kind: LeafKind;
  /**
   * The resource that it becomes, where another plugin than ours serves it.
   * @default - a resource of the kind's own token
   */
  readonly servedElsewhere?: (intent: Intent, host: HostAccess) => OtherResource;
  /**
   * Properties of the spec whose values are secrets.
   * @default - those that the program marks itself
   */
  readonly secrets?: readonly string[];
  /** The spec as far as the program knows it. Read once the tree is complete. */
  readonly intent: Intent | (() => Intent);
  /**
   * Where the object lives.
   * @default - the nearest host or namespace around the construct
   */
  readonly place?: Place;
  /**
   * The spec once everything it depends on is known: a tunnel's MTU from the link below it, for one.
   * @default - the intent as it is
   */
  readonly complete?: (intent: Intent, view: TreeView) => Intent;
  /**
   * Which prop of the construct a property of the spec comes from, for messages.
   * @default - the same
   */
  readonly origin?: (path: PropertyPath) => PropertyPath;
  /**
   * The construct whose props the spec was made from, for messages.
   * @default - this one
   */
  readonly onBehalfOf?: IConstruct;
}

/** The lifecycle props alone, out of a construct's. */
export function lifecycleOf(props: LifecycleProps): LifecycleProps {
  const { adopt, deleteAdopted, protect, retainOnDelete, timeouts } = props;
  return { adopt, deleteAdopted, protect, retainOnDelete, timeouts };
}

const KERNEL_OBJECT = Symbol.for("netloom.synth.KernelObject");

/**
 * A leaf: one object on a host, of any kind. It holds plain intent and becomes one Pulumi resource when the app
 * is deployed. Constructs of a particular kind derive from it; it can be used as it is for a kind without one.
 */
export class KernelObject extends Construct {
  /** Whether a construct is a leaf, also one of another copy of this package. */
  static isKernelObject(construct: IConstruct): construct is KernelObject {
    return KERNEL_OBJECT in construct;
  }

  /** What was asked for; `lib/synth` reads it when the tree is complete. */
  readonly kernelObject: KernelObjectProps;

  constructor(scope: Construct, id: string, props: KernelObjectProps) {
    super(scope, id);
    Object.defineProperty(this, KERNEL_OBJECT, { value: true, enumerable: false });
    this.kernelObject = props;
  }

  /** The place the object lives in, if there is a host or namespace around it. */
  protected get livesIn(): Place | undefined {
    return this.kernelObject.place ?? (this.node.scope && placeOf(this.node.scope));
  }
}

/** Where a leaf lives. */
export function leafPlace(leaf: KernelObject): Place | undefined {
  return leaf.kernelObject.place ?? (leaf.node.scope && placeOf(leaf.node.scope));
}

/** Names spec properties by the props they came from, by the longest prefix: `{ "peer": ["b"] }`. */
export function renamed(prefixes: Readonly<Record<string, PropertyPath>>) {
  return (path: PropertyPath): PropertyPath => {
    for (let length = path.length; length > 0; length -= 1) {
      const replacement = prefixes[path.slice(0, length).join(".")];
      if (replacement !== undefined) return [...replacement, ...path.slice(length)];
    }
    return path;
  };
}
