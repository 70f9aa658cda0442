import type { z } from "zod";
import type { AnySpec, Finding } from "../kinds/kind";
import type { PropertyPath } from "./finding";
import type { Intent } from "./intent";
import { separate } from "./intent";
import type { LeafKind } from "./kernel-object";

/** An intent after its schema has looked at it. */
export interface CheckedSpec {
  /** The canonical form, deferred values left out; undefined when the schema refuses it or cannot know yet. */
  readonly spec: AnySpec | undefined;
  /** Where the intent holds values that are known only while the program is deployed. */
  readonly deferred: readonly PropertyPath[];
  readonly findings: readonly Finding[];
}

interface Issue {
  readonly code?: string;
  readonly path: readonly PropertyKey[];
  readonly message: string;
  readonly keys?: readonly string[];
  readonly expected?: string;
  readonly errors?: readonly (readonly Issue[])[];
}

/**
 * Holds an intent against the schema of its kind. A value that is known only while the program is deployed is
 * skipped here; the provider checks it when it has it.
 */
export function checkSpec(kind: LeafKind, intent: Intent): CheckedSpec {
  const { data, deferred, findings } = hold(kind.schema as z.ZodObject, intent);
  if (data === undefined) return { spec: undefined, deferred, findings };
  // Checks between properties wait until all of them are known: then the provider makes them.
  return { spec: data, deferred, findings: deferred.length > 0 ? [] : (kind.check?.(data) ?? []) };
}

/** Holds a construct's props against a schema of its own, in the same way. */
export function checkProps(schema: z.ZodObject, props: Intent): readonly Finding[] {
  return hold(schema, props).findings;
}

function hold(schema: z.ZodObject, intent: Intent) {
  const { known, deferred } = separate(intent);
  const parsed = schema.safeParse(known);
  if (parsed.success) return { data: parsed.data as AnySpec, deferred, findings: [] };
  const findings = parsed.error.issues.flatMap((issue) => findingsOfIssue(issue as Issue, [], known));
  return { data: undefined, deferred, findings: unexcused(findings, deferred) };
}

function unexcused(findings: readonly Finding[], deferred: readonly PropertyPath[]): readonly Finding[] {
  const excused = (path: PropertyPath) => deferred.some((d) => isPrefix(d, path) || isPrefix(path, d));
  return findings.filter((finding) => !excused(finding.path));
}

/** The findings of one zod issue; of a union, those of the alternative that came closest. */
function findingsOfIssue(issue: Issue, above: PropertyPath, values: Intent): Finding[] {
  const path = [
    ...above,
    ...issue.path.map((segment) => (typeof segment === "number" ? segment : String(segment))),
  ];
  if (issue.code === "unrecognized_keys" && issue.keys !== undefined) {
    return issue.keys.map((key) => ({ path: [...path, key], message: "there is no such property" }));
  }
  const closest = [...(issue.errors ?? [])]
    .filter((e) => e.length > 0)
    .sort((a, b) => depth(b) - depth(a))[0];
  if (issue.code === "invalid_union" && closest !== undefined && depth(closest) > 0) {
    return closest.flatMap((inner) => findingsOfIssue(inner, path, values));
  }
  if (issue.code === "invalid_type" && valueAt(values, path) === undefined) {
    const { expected = "value" } = issue;
    return [{ path, message: `is required: ${/^[aeiou]/.test(expected) ? "an" : "a"} ${expected}` }];
  }
  return [{ path, message: issue.message }];
}

function valueAt(value: unknown, path: PropertyPath): unknown {
  return path.reduce<unknown>(
    (inner, segment) =>
      typeof inner === "object" && inner !== null
        ? (inner as Record<string | number, unknown>)[segment]
        : undefined,
    value,
  );
}

function depth(issues: readonly Issue[]): number {
  return Math.max(0, ...issues.map((issue) => issue.path.length));
}

function isPrefix(prefix: PropertyPath, path: PropertyPath): boolean {
  return prefix.length <= path.length && prefix.every((segment, index) => segment === path[index]);
}
