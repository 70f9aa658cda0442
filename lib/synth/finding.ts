import type { IConstruct } from "constructs";
import type { Finding } from "../kinds/kind";

/** A place inside a construct's props or a kind's spec: `["routes", 0, "via"]`. */
export type PropertyPath = readonly (string | number)[];

/** One thing that is wrong with a program. */
export interface TreeFinding extends Finding {
  /** Path of the construct in the tree: `edge/site1/gre1`. */
  readonly construct: string;
}

/** A finding about a construct's own property. */
export function findingAt(construct: IConstruct, path: PropertyPath, message: string): TreeFinding {
  return { construct: construct.node.path, path, message };
}

/** A property path as one would write it in a program: `routes[0].via`. */
export function formatProperty(path: PropertyPath): string {
  return path.reduce<string>((text, segment) => {
    if (typeof segment === "number") return `${text}[${segment}]`;
    if (!/^[A-Za-z_$][\w$]*$/.test(segment)) return `${text}[${JSON.stringify(segment)}]`;
    return text === "" ? segment : `${text}.${segment}`;
  }, "");
}

/** One line for a finding: `[edge/site1/gre1] addresses[0]: …`. */
export function formatFinding(finding: TreeFinding): string {
  const where = finding.construct === "" ? "app" : finding.construct;
  const property = formatProperty(finding.path);
  return `[${where}] ${property === "" ? "" : `${property}: `}${finding.message}`;
}

/**
 * Everything that is wrong with a program, in one error. It carries no stack: the mistake is in the program's
 * values, and each finding names the construct and the property.
 */
export class ValidationError extends Error {
  override readonly name = "ValidationError";
  /** Every finding, in the order of the tree. */
  readonly findings: readonly TreeFinding[];

  constructor(findings: readonly TreeFinding[]) {
    const lines = [...new Set(findings.map(formatFinding))];
    const count = lines.length === 1 ? "1 thing is" : `${lines.length} things are`;
    super(`${count} wrong with this program; nothing was changed.\n${lines.map((l) => `  ${l}`).join("\n")}`);
    this.findings = findings;
    this.stack = `${this.name}: ${this.message}`;
  }
}
