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
  return onOneLine(`[${where}] ${property === "" ? "" : `${property}: `}${finding.message}`);
}

/** What a program was given may be in a message: a line end or a terminal's escape in it stays text. */
function onOneLine(text: string): string {
  // eslint-disable-next-line no-control-regex -- they are what is escaped
  return text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]/g, (character) => {
    const code = character.charCodeAt(0).toString(16).padStart(4, "0");
    return character === "\n" ? "\\n" : `\\u${code}`;
  });
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
    // Pulumi's mark of an error that the user can read: it prints the message and no stack.
    Object.defineProperty(this, "__pulumiRunError", { value: true, enumerable: false });
    this.stack = `${this.name}: ${this.message}`;
  }
}
