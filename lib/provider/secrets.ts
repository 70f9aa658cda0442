import { UNKNOWN, isObject, valueAt, type Properties } from "./properties";

const HIDDEN = "[secret]";

/** Takes secrets out of text that a person or a log will see. */
export class Scrubber {
  readonly #patterns: readonly RegExp[];

  private constructor(texts: ReadonlySet<string>) {
    // Longest first, so that a secret which contains another goes as one.
    this.#patterns = [...texts].sort((a, b) => b.length - a.length).map(patternOf);
  }

  /** Knows every secret of some properties: a resource's inputs and state, the provider's configuration. */
  static of(...all: readonly Properties[]): Scrubber {
    const texts = new Set<string>();
    for (const { values, secrets } of all) for (const path of secrets) collect(valueAt(values, path), texts);
    return new Scrubber(texts);
  }

  scrub(text: string): string {
    return this.#patterns.reduce((scrubbed, pattern) => scrubbed.replace(pattern, HIDDEN), text);
  }
}

/** Every form in which a secret may turn up in what a tool says. */
function collect(value: unknown, texts: Set<string>): void {
  if (value === UNKNOWN || value === null || value === undefined || typeof value === "boolean") return;
  if (Array.isArray(value)) for (const item of value) collect(item, texts);
  else if (isObject(value)) for (const item of Object.values(value)) collect(item, texts);
  else if (typeof value === "number") collectNumber(value, texts);
  else if (typeof value === "string") collectText(value, texts);
}

/** GRE keys and the like: `ip` prints them in decimal or as a dotted quad, other tools in hexadecimal. */
function collectNumber(value: number, texts: Set<string>): void {
  texts.add(String(value));
  if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff) return;
  texts.add([24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff).join("."));
  const hexadecimal = value.toString(16);
  texts.add(`0x${hexadecimal}`).add(`0x${hexadecimal.padStart(8, "0")}`);
}

function collectText(value: string, texts: Set<string>): void {
  const text = value.trim();
  if (text === "") return;
  texts.add(text);
  const escaped = JSON.stringify(text).slice(1, -1);
  if (escaped !== text) texts.add(escaped);
  // Of a file or a PEM key a tool may show a single line.
  for (const line of text.split("\n")) if (line.trim().length >= 8) texts.add(line.trim());
  if (/^\d{1,10}$/.test(text)) collectNumber(Number(text), texts);
  const quad = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (quad !== null)
    collectNumber(
      quad.slice(1).reduce((sum, part) => sum * 256 + Number(part), 0),
      texts,
    );
}

/** A short secret counts only where it stands by itself: `1` is not in `10`, but it is in `key 1`. */
function patternOf(text: string): RegExp {
  const literal = text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  if (/^[\d.]+$/.test(text)) return new RegExp(`(?<![\\d.])${literal}(?![\\d]|\\.\\d)`, "g");
  return text.length < 4 ? new RegExp(`(?<![\\w])${literal}(?![\\w])`, "g") : new RegExp(literal, "gi");
}
