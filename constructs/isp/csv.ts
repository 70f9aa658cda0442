import { parse } from "csv-parse/sync";
import { stringify } from "csv-stringify/sync";
import type { SubscriberFinding } from "./findings";
import { SubscribersError } from "./findings";

/** One record of a CSV file. */
export interface CsvRow {
  /** Line of the file on which the record ends, counted from 1. */
  readonly row: number;
  readonly fields: readonly string[];
}

/** A CSV file: its header and the records below. */
export interface CsvTable {
  readonly header: readonly string[];
  readonly headerRow: number;
  readonly rows: readonly CsvRow[];
}

/**
 * Reads CSV (RFC 4180; comma, double quotes; blank lines and lines that begin with `#` are passed over). Fields
 * lose the white space around them. Records of any length are let through: the reader of the columns knows
 * what to say about them.
 * @throws SubscribersError for text that is no CSV, or has no header.
 */
export function parseCsv(text: string, source: string): CsvTable {
  const records: CsvRow[] = [];
  try {
    parse(text, {
      bom: true,
      comment: "#",
      comment_no_infix: true,
      // The library's own list of records has no lines in it.
      on_record: (fields, { lines }) => {
        records.push({ row: lines, fields });
        return null;
      },
      relax_column_count: true,
      skip_empty_lines: true,
      trim: true,
    });
  } catch (error) {
    const { message = String(error), lines } = error as { message?: string; lines?: number };
    throw new SubscribersError([{ source, row: lines, message: `not CSV: ${message}` }], source);
  }
  const [first, ...rest] = records;
  if (first === undefined) {
    throw new SubscribersError(
      [{ source, message: "the file is empty; its first line names the columns" }],
      source,
    );
  }
  return {
    header: first.fields,
    headerRow: first.row,
    rows: rest,
  };
}

/** CSV text with `\n` at the end of each line and quotes only where they are needed. */
export function renderCsv(
  header: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): string {
  return stringify([[...header], ...rows.map((row) => [...row])], { record_delimiter: "\n" });
}

/** What is wrong with a row whose number of fields is not the header's. */
export function fieldCountFinding(table: CsvTable, row: CsvRow, source: string): SubscriberFinding {
  const [found, wanted] = [row.fields.length, table.header.length];
  const detail =
    found > wanted
      ? `the first one too many is ${JSON.stringify(row.fields[wanted])}; put quotes around a field that holds a comma`
      : `column ${table.header[found]} and what follows it are missing`;
  return { source, row: row.row, message: `${found} fields where the header names ${wanted}: ${detail}` };
}
