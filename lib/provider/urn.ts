/** The parts of `urn:pulumi:STACK::PROJECT::PARENT$TYPE::NAME`. */
export interface Urn {
  readonly stack: string;
  readonly project: string;
  /** The resource's own type token, without those of its parents. */
  readonly type: string;
  readonly name: string;
}

/** Reads a URN. */
export function parseUrn(urn: string): Urn {
  const [prefix = "", project = "", types = "", ...name] = urn.split("::");
  return {
    stack: prefix.replace(/^urn:pulumi:/, ""),
    project,
    type: types.slice(types.lastIndexOf("$") + 1),
    name: name.join("::"),
  };
}
