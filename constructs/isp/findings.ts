/** One thing that is wrong with the subscribers, where the user wrote it. */
export interface SubscriberFinding {
  /** The file it was read from, as the user named it; absent for subscribers written in the program. */
  readonly source?: string;
  /** Line of the file, counted from 1; a record that spans several lines is named by its last. */
  readonly row?: number;
  /** Column, by the name in the file's header. */
  readonly column?: string;
  /** For what is written in the program: `subscribers[3].plan.downloadMax`. */
  readonly path?: string;
  /** What was found, and what to do about it. */
  readonly message: string;
}

/** How many findings an error prints; all of them are in its `findings`. */
const SHOWN = 20;

/** One line for a finding: `subscribers.csv, row 4, column download_max_mbps: …`. */
export function formatSubscriberFinding(finding: SubscriberFinding): string {
  const where = [
    finding.source,
    finding.row === undefined ? undefined : `row ${finding.row}`,
    finding.column === undefined ? undefined : `column ${finding.column}`,
    finding.path,
  ].filter((part) => part !== undefined && part !== "");
  return where.length === 0 ? finding.message : `${where.join(", ")}: ${finding.message}`;
}

/**
 * Everything that is wrong with a set of subscribers or an ISP's configuration, in one error. It carries no
 * stack: the mistake is in the values, and each finding says where.
 */
export class SubscribersError extends Error {
  override readonly name = "SubscribersError";
  /** Every finding, in the order of the rows. */
  readonly findings: readonly SubscriberFinding[];

  constructor(findings: readonly SubscriberFinding[], subject = "the subscribers") {
    const count = findings.length === 1 ? "1 thing is" : `${findings.length} things are`;
    const lines = findings.slice(0, SHOWN).map((finding) => `  ${formatSubscriberFinding(finding)}`);
    if (findings.length > SHOWN) lines.push(`  … and ${findings.length - SHOWN} more`);
    super(`${count} wrong with ${subject}; nothing was changed.\n${lines.join("\n")}`);
    this.findings = findings;
    // Pulumi's mark of an error that the user can read: it prints the message and no stack.
    Object.defineProperty(this, "__pulumiRunError", { value: true, enumerable: false });
    this.stack = `${this.name}: ${this.message}`;
  }
}

/** A value as it is quoted in an error: printable, and never longer than a line. */
export function quoted(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}…"` : text;
}
