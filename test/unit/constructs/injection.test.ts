import { formatProperty, type PropertyPath } from "../../../lib/synth";
import { Testing } from "../../../lib";
import { refusals } from "../synth/support";
import { program, samples } from "./samples";

const HOSTILE = [
  "; rm -rf /",
  "$(reboot)",
  "`id`",
  "a\nlink del eth0",
  "' || true #",
  '"',
  "a b",
  "-x",
  "\u0000",
  "🐟",
];

/** Every place in a value that holds text, keys of records included. */
function texts(value: unknown, path: PropertyPath = []): { path: PropertyPath; key: boolean }[] {
  if (typeof value === "string") return [{ path, key: false }];
  if (typeof value !== "object" || value === null) return [];
  const entries = Array.isArray(value) ? value.map((v, i) => [i, v] as const) : Object.entries(value);
  return entries.flatMap(([key, inner]) => {
    const below = texts(inner, [...path, key]);
    const isRecord = typeof key === "string" && /[/]/.test(key);
    return isRecord ? [{ path: [...path, key], key: true }, ...below] : below;
  });
}

/** A copy with the text at a path (or the key itself) put in place of what is there. */
function replaced(value: unknown, path: PropertyPath, text: string, key: boolean): unknown {
  const [first, ...rest] = path;
  if (first === undefined) return text;
  if (Array.isArray(value))
    return value.map((v, i): unknown => (i === first ? replaced(v, rest, text, key) : v));
  return Object.fromEntries(
    Object.entries(value as object).map(([name, inner]: [string, unknown]) => {
      if (name !== first) return [name, inner];
      return key && rest.length === 0 ? [text, inner] : [name, replaced(inner, rest, text, key)];
    }),
  );
}

describe.each(samples)("$name", ({ props, make, data = [] }) => {
  test("its sample is accepted as it is", () => {
    const { app, ns } = program();
    make(ns, props as never);
    expect(refusals(app)).toEqual([]);
  });

  test.each(texts(props).map((place) => ({ ...place, property: formatProperty(place.path) })))(
    "text that means something to a shell is refused at $property with the construct's path, or is data",
    ({ path, key, property }) => {
      for (const text of HOSTILE) {
        const { app, ns } = program();
        const construct = make(ns, replaced(props, path, text, key) as never);
        const lines = refusals(app);
        if (data.includes(property) && lines.length === 0) {
          // A program of its own: what was looked at is locked.
          const again = program();
          make(again.ns, replaced(props, path, text, key) as never);
          expect(JSON.stringify(Testing.synth(again.app))).toContain(JSON.stringify(text));
          continue;
        }
        const at = key ? formatProperty([...path.slice(0, -1), text]) : property;
        expect(lines).toContainEqual(expect.stringContaining(`[${construct.node.path}] ${at}: `));
        // Whatever else is found is no more than what follows from it, and the text stays on its line.
        for (const line of lines) expect(line).toMatch(/^\[[^\]]+\] /);
      }
    },
  );
});
