/** Where a value stands inside a resource's properties. */
export type Path = readonly (string | number)[];

/** A path as Pulumi writes it: `peer.addresses[1]`, `values["net/ipv4/ip_forward"]`. */
export function formatPath(path: Path): string {
  let text = "";
  for (const segment of path) {
    if (typeof segment === "number") text += `[${segment}]`;
    else if (!/^[A-Za-z_$][\w$]*$/.test(segment)) text += `[${JSON.stringify(segment)}]`;
    else text += text === "" ? segment : `.${segment}`;
  }
  return text;
}

/** Whether `path` is at or below `prefix`. */
export function isWithin(path: Path, prefix: Path): boolean {
  return prefix.length <= path.length && prefix.every((segment, index) => segment === path[index]);
}

/**
 * Reads a path as Pulumi's `ignoreChanges` writes it; `*` stands for any one segment. Undefined when it is not
 * a path.
 */
export function parsePath(text: string): Path | undefined {
  const path: (string | number)[] = [];
  const segment = /\.?([A-Za-z_$*][^.[\]]*)|\[(\d+|\*)\]|\[("(?:[^"\\]|\\.)*")\]/y;
  while (segment.lastIndex < text.length) {
    const match = segment.exec(text);
    if (match === null) return undefined;
    const [, name, index, quoted] = match;
    if (name !== undefined) path.push(name);
    else if (quoted !== undefined) path.push(JSON.parse(quoted) as string);
    else path.push(index === "*" ? "*" : Number(index));
  }
  return path;
}

/** Whether `path` is at or below a pattern in which `*` stands for any one segment. */
export function matches(path: Path, pattern: Path): boolean {
  return (
    pattern.length <= path.length &&
    pattern.every((segment, index) => segment === "*" || String(segment) === String(path[index]))
  );
}
