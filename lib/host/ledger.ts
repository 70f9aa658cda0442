import { HostError, type Ledger, type LedgerEntry, type LedgerRecord } from "./operation";

/**
 * A stack's ledger on a host: a journal of entries, one a line, of which the last about a key holds. Appending is
 * one write, and a write that was cut short spoils no more than the last line.
 */
export class Journal implements Ledger {
  private constructor(
    private readonly records: ReadonlyMap<string, LedgerRecord>,
    /** Lines in the file. */
    private readonly lines: number,
    /** The file ends in a line that was cut short: it must be written anew before anything can be added. */
    private readonly torn: boolean,
  ) {}

  static readonly empty = new Journal(new Map(), 0, false);

  /**
   * Reads the file.
   *
   * @throws HostError for a line that makes no sense and is not the last.
   */
  static parse(text: string): Journal {
    const lines = text.split("\n");
    const rest = lines.pop() ?? "";
    const records = new Map<string, LedgerRecord>();
    let torn = rest !== "";
    lines.forEach((line, index) => {
      const entry = parseEntry(line);
      if (entry) apply(records, entry);
      else if (index === lines.length - 1 && !torn) torn = true;
      else throw new HostError(`line ${index + 1} of the ledger is damaged: repair or remove that line`);
    });
    return new Journal(records, lines.length, torn);
  }

  get(key: string): LedgerRecord | undefined {
    return this.records.get(key);
  }

  list(): readonly LedgerRecord[] {
    return [...this.records.values()];
  }

  /** Whether there is a file for it on the host. */
  get present(): boolean {
    return this.lines > 0 || this.torn;
  }

  /**
   * The journal with more entries, and what to write: lines to add, or the whole file when the journal is
   * torn, or has grown long (more than two lines for each record and a hundred), or nothing when it is empty.
   */
  with(entries: readonly LedgerEntry[]): { journal: Journal; write: JournalWrite } {
    const records = new Map(this.records);
    for (const entry of entries) apply(records, entry);
    if (records.size === 0) return { journal: Journal.empty, write: { how: "drop" } };
    const lines = this.lines + entries.length;
    if (!this.torn && lines <= 2 * records.size + 100)
      return {
        journal: new Journal(records, lines, false),
        write: { how: "append", lines: entries.map((entry) => JSON.stringify(entry)) },
      };
    const all = [...records.values()].map((record) => JSON.stringify({ op: "set", record }));
    return { journal: new Journal(records, all.length, false), write: { how: "rewrite", lines: all } };
  }
}

/** What happens to a ledger's file. */
export type JournalWrite =
  { readonly how: "append" | "rewrite"; readonly lines: readonly string[] } | { readonly how: "drop" };

function apply(records: Map<string, LedgerRecord>, entry: LedgerEntry): void {
  // A record keeps its place when it changes: the order is that in which the objects were made.
  if (entry.op === "set") records.set(entry.record.key, entry.record);
  else records.delete(entry.key);
}

function parseEntry(line: string): LedgerEntry | undefined {
  try {
    const entry = JSON.parse(line) as Partial<{ op: unknown; key: unknown; record: Partial<LedgerRecord> }>;
    if (entry.op === "forget" && typeof entry.key === "string") return entry as LedgerEntry;
    if (entry.op === "set" && typeof entry.record?.key === "string" && Array.isArray(entry.record.specs))
      return entry as LedgerEntry;
  } catch {
    // Not JSON: cut short.
  }
  return undefined;
}
