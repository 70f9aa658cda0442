import type { Construct } from "constructs";
import { mapEntries } from "../../lib/kinds/bpf/map-entries";
import type { TypedValue } from "../../lib/kinds/bpf/typed";
import { KernelObject, lifecycleOf, type LifecycleProps } from "../../lib/synth";
import type { BpfObject } from "./bpf-object";
import { fieldsOf, type BpfFields } from "./fields";

/** Entries of one map. */
export interface BpfMapProps extends LifecycleProps {
  /** What the map is in. */
  readonly object: BpfObject;
  /**
   * The map's name in C.
   * @default - the construct's id
   */
  readonly map?: string;
  /**
   * What a key is made of, without gaps: write `pad:N` where the compiler leaves one. Goes with `value`.
   * @default - what the program's own types say (BTF)
   */
  readonly key?: BpfFields;
  /**
   * What a value is made of, likewise.
   * @default - what the program's own types say (BTF)
   */
  readonly value?: BpfFields;
  /**
   * Values by key. A key is its fields as text, one space between them; a value is a number or text where it has one
   * field, else an object of them. By the program's own types, a value is as nested as they are, members that are left
   * out are zero when the entry is written and are not looked at later, and bytes are an address, a MAC address or hexadecimal digits
   * when they are written so.
   */
  readonly entries: Readonly<Record<string, TypedValue>>;
  /**
   * Removes every other entry of the map.
   * @default false
   */
  readonly exclusive?: boolean;
}

/**
 * Entries of a map of a {@link BpfObject}, there before its programs are attached. What changes is written, and no
 * more; entries that it does not name are left.
 *
 * @example
 * new BpfMap(edge, "rates", { object: shaper, entries: { "192.0.2.7": { rate: 1000, burst: 20 } } });
 */
export class BpfMap extends KernelObject {
  constructor(scope: Construct, id: string, props: BpfMapProps) {
    const { object, map = id, key, value, entries, exclusive } = props;
    super(scope, id, {
      ...lifecycleOf(props),
      kind: mapEntries,
      intent: {
        program: object.name,
        map,
        version: object.version,
        ...(key !== undefined && { key: fieldsOf("key", key) }),
        ...(value !== undefined && { value: fieldsOf("value", value) }),
        entries,
        exclusive,
      },
    });
    this.node.addDependency(object);
    object.filledBy(this);
  }
}
