/** A plain Python value. Floats are kept apart from whole numbers, tuples from lists. */
export type PyValue =
  | null
  | boolean
  | number
  | string
  | readonly PyValue[]
  | { readonly float: number }
  | { readonly tuple: readonly PyValue[] }
  | { readonly dict: readonly (readonly [key: PyValue, value: PyValue])[] };

/** An assignment of a plain value at the top of a Python file. */
export interface PyAssignment {
  readonly name: string;
  readonly value: PyValue;
  /** Line on which it begins, counted from 1. */
  readonly row: number;
}

/** A statement that is no such assignment. It was not run, and nothing is known of what it would do. */
export interface PySkipped {
  readonly row: number;
  /** The name that is assigned, when the statement is an assignment. */
  readonly name?: string;
  readonly reason: string;
}

/** Deeper than any configuration; keeps a hostile file from exhausting the stack. */
const DEEPEST = 50;

class NotPlain extends Error {}

const ESCAPES: Readonly<Record<string, string>> = {
  "\\": "\\",
  "'": "'",
  '"': '"',
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
  "\n": "",
};

class Scanner {
  at = 0;

  constructor(readonly text: string) {}

  get done(): boolean {
    return this.at >= this.text.length;
  }

  /** Takes what a sticky expression matches here. */
  take(expression: RegExp): RegExpExecArray | undefined {
    expression.lastIndex = this.at;
    const match = expression.exec(this.text) ?? undefined;
    if (match !== undefined) this.at = expression.lastIndex;
    return match;
  }

  /** Inside brackets, line ends and comments are white space. */
  space(nested: boolean): void {
    this.take(nested ? /(?:[ \t\r\n\f]|#[^\n]*)*/y : /[ \t\f]*/y);
  }

  value(depth: number): PyValue {
    if (depth > DEEPEST) throw new NotPlain(`brackets more than ${DEEPEST} deep`);
    const word = this.take(/(?:True|False|None)\b/y)?.[0];
    if (word !== undefined) return word === "None" ? null : word === "True";
    const bracket = this.take(/[[({]/y)?.[0];
    if (bracket === "[") return this.items("]", depth).values;
    if (bracket === "(") {
      const { values, commas } = this.items(")", depth);
      return values.length === 1 && commas === 0 ? (values[0] as PyValue) : { tuple: values };
    }
    if (bracket === "{") return this.dict(depth);
    const number = this.take(/[+-]?(?:\d[\d_]*(\.[\d_]*)?|(\.\d[\d_]*))([eE][+-]?\d+)?(?![\w.])/y);
    if (number !== undefined) {
      const [text, fraction, bare, exponent] = number;
      const value = Number(text.replaceAll("_", ""));
      return (fraction ?? bare ?? exponent) === undefined ? value : { float: value };
    }
    const parts: string[] = [];
    for (let part = this.string(); part !== undefined; part = this.string()) {
      parts.push(part);
      this.space(depth > 0);
    }
    if (parts.length > 0) return parts.join("");
    throw new NotPlain("not a plain value");
  }

  items(close: string, depth: number): { values: PyValue[]; commas: number } {
    const values: PyValue[] = [];
    let commas = 0;
    for (this.space(true); this.text[this.at] !== close; this.space(true)) {
      if (values.length > commas) throw new NotPlain("not a plain value");
      values.push(this.value(depth + 1));
      this.space(true);
      if (this.take(/,/y) !== undefined) commas += 1;
    }
    this.at += 1;
    return { values, commas };
  }

  dict(depth: number): PyValue {
    const entries: [PyValue, PyValue][] = [];
    let commas = 0;
    for (this.space(true); this.text[this.at] !== "}"; this.space(true)) {
      if (entries.length > commas) throw new NotPlain("not a plain value");
      const key = this.value(depth + 1);
      this.space(true);
      if (this.take(/:/y) === undefined) throw new NotPlain("a set, or not a plain value");
      this.space(true);
      entries.push([key, this.value(depth + 1)]);
      this.space(true);
      if (this.take(/,/y) !== undefined) commas += 1;
    }
    this.at += 1;
    return { dict: entries };
  }

  string(): string | undefined {
    const open = this.take(/([rRuU]?)('''|"""|'|")/y);
    if (open === undefined) return undefined;
    const [, prefix = "", quote = ""] = open;
    let result = "";
    while (!this.text.startsWith(quote, this.at)) {
      const char = this.text[this.at];
      if (char === undefined || (char === "\n" && quote.length === 1))
        throw new NotPlain("a string that does not end");
      this.at += 1;
      if (char !== "\\" || prefix.toLowerCase() === "r") {
        result += char;
        continue;
      }
      const code = this.take(/x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{1,3})/y);
      if (code !== undefined) {
        const point =
          code[4] === undefined
            ? Number.parseInt(code[1] ?? code[2] ?? code[3] ?? "", 16)
            : Number.parseInt(code[4], 8);
        if (point > 0x10ffff) throw new NotPlain("a character that does not exist");
        result += String.fromCodePoint(point);
        continue;
      }
      const next = this.text[this.at] ?? "";
      this.at += 1;
      // Python keeps the backslash of an escape that it does not know.
      result += ESCAPES[next] ?? `\\${next}`;
    }
    this.at += quote.length;
    return result;
  }

  /** Passes over the rest of a statement: to a line end that is in no bracket and no string. */
  skipStatement(): void {
    let depth = 0;
    while (!this.done) {
      if (this.take(/#[^\n]*/y) !== undefined || this.take(/\\\r?\n/y) !== undefined) continue;
      const char = this.text[this.at] ?? "";
      if (char === "'" || char === '"') {
        try {
          this.string();
        } catch {
          this.take(/[^\n]*/y);
        }
        continue;
      }
      this.at += 1;
      if ("([{".includes(char)) depth += 1;
      else if (")]}".includes(char)) depth = Math.max(0, depth - 1);
      else if (char === "\n" && depth === 0) return;
    }
  }
}

/**
 * Reads the assignments of plain values (`name = 'text'`, numbers, True, False, None, lists, tuples, dicts) at
 * the top level of a Python file. Nothing is run: whatever else is there is passed over and listed.
 */
export function parsePythonAssignments(text: string): {
  readonly assignments: readonly PyAssignment[];
  readonly skipped: readonly PySkipped[];
} {
  const scanner = new Scanner(text.replace(/^\ufeff/, "").replaceAll("\r\n", "\n"));
  const assignments: PyAssignment[] = [];
  const skipped: PySkipped[] = [];
  let [row, counted] = [1, 0];
  const rowHere = () => {
    for (; counted < scanner.at; counted += 1) if (scanner.text[counted] === "\n") row += 1;
    return row;
  };
  while (!scanner.done) {
    if (scanner.take(/[ \t\f]*(?:#[^\n]*)?(?:\n|$)/y) !== undefined) continue;
    const begin = scanner.at;
    const at = rowHere();
    const name = scanner.take(/([A-Za-z_]\w*)[ \t]*=(?!=)[ \t]*/y)?.[1];
    try {
      if (name === undefined) throw new NotPlain("not an assignment");
      const value = scanner.value(0);
      if (scanner.take(/[ \t\f]*;?[ \t\f]*(?:#[^\n]*)?(?:\n|$)/y) === undefined)
        throw new NotPlain("not a plain value");
      assignments.push({ name, value, row: at });
    } catch (error) {
      if (!(error instanceof NotPlain)) throw error;
      skipped.push({ row: at, ...(name !== undefined && { name }), reason: error.message });
      scanner.at = begin;
      scanner.skipStatement();
    }
  }
  return { assignments, skipped };
}

/** A string as a Python literal in single quotes; what it holds is data, whatever it looks like. */
export function renderPythonString(text: string): string {
  const escaped = text.replace(/[\\'\p{Cc}\p{Cs}\u2028\u2029]/gu, (char) => {
    if (char === "\\" || char === "'") return `\\${char}`;
    if (char === "\n") return "\\n";
    return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
  return `'${escaped}'`;
}

/** A plain value as Python source, on one line. */
export function renderPythonValue(value: PyValue): string {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "number") return String(value);
  if (typeof value === "string") return renderPythonString(value);
  if ("float" in value) {
    const text = String(value.float);
    return /^-?\d+$/.test(text) ? `${text}.0` : text;
  }
  if ("tuple" in value) {
    const items = value.tuple.map(renderPythonValue);
    return items.length === 1 ? `(${items[0]},)` : `(${items.join(", ")})`;
  }
  if ("dict" in value) {
    return `{${value.dict.map(([key, item]) => `${renderPythonValue(key)}: ${renderPythonValue(item)}`).join(", ")}}`;
  }
  return `[${value.map(renderPythonValue).join(", ")}]`;
}
