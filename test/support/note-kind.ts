import { z } from "zod";
import { defineKind, inPlace, replace, type AnyKind } from "../../lib/kinds/kind";
import type { FileFact, Query } from "../../lib/kinds/step";

/**
 * A kind of nothing but a file, for what the provider does with any kind: every sort of property (plain, secret,
 * list without order, map, nested, replacing, with and without an unset value) on steps that any host can run.
 */
export function noteKind(folder: string): AnyKind {
  const pathOf = (name: unknown) => `${folder}/${String(name)}.json`;
  const query = (name: unknown): Query => ({ tool: "file", paths: [pathOf(name)] });
  return defineKind({
    token: "netloom:test:Note",
    description: "A note in a file.",
    schema: z.strictObject({
      name: z
        .string()
        .regex(/^[a-z0-9-]+$/, "must be of a-z, 0-9 and -")
        .describe("What the note is called."),
      text: z.string().max(100).optional().describe("What it says."),
      key: z
        .number()
        .min(1, { error: (issue) => `${String(issue.input)} must be at least 1` })
        .optional()
        .meta({ secret: true }),
      colour: z.enum(["red", "blue"]).default("red"),
      lines: z
        .array(
          z
            .string()
            .regex(/^\d+$/, "must be a number")
            .transform((line) => String(Number(line))),
        )
        .transform((lines) => [...lines].sort())
        .optional(),
      labels: z.record(z.string(), z.string()).optional(),
      peer: z.strictObject({ name: z.string(), addresses: z.array(z.string().startsWith("10.")) }).optional(),
    }),
    policy: {
      name: replace("another name is another note"),
      text: inPlace(),
      key: inPlace(),
      colour: replace("ink cannot be changed"),
      lines: inPlace({ unset: [] }),
      labels: inPlace(),
      peer: inPlace(),
    },
    ownership: "object",
    identity: (spec) => ["notes", spec.name],
    locate: ([kind, name]) => (kind === "notes" && name !== undefined ? { name } : undefined),
    check: (spec) =>
      spec.text === spec.name ? [{ path: ["text"], message: "must not repeat the name" }] : [],
    queries: (spec) => [query(spec.name)],
    observe: (facts, [spec]) => {
      const fact = facts.get(query(spec.name));
      if (!fact.ok) return undefined;
      const file = (fact.value as Record<string, FileFact>)[pathOf(spec.name)];
      return file && (JSON.parse(file.content) as never);
    },
    plan: (current, desired) => {
      if (desired === undefined) return current ? [{ tool: "remove", path: pathOf(current.name) }] : [];
      const wanted = { ...current, ...desired };
      const content = JSON.stringify(wanted);
      if (current !== undefined && JSON.stringify(sorted(current)) === JSON.stringify(sorted(wanted)))
        return [];
      const file = { content, mode: "0600", owner: "root:root" };
      const write = { tool: "write", path: pathOf(desired.name), file } as const;
      // For a note that is only half made: the step after the first is one that fails on every host.
      if (desired.text !== "half") return [write];
      return [write, { tool: "sysctl", values: { "net/nlt_no_such_key": "1" } }];
    },
    explain: (error) => (error.includes("ENOSPC") ? "the disk is full: make room" : undefined),
  }) as AnyKind;
}

/** The same text for objects that differ in the order of their keys. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, item]) => [key, sorted(item)] as const);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}
