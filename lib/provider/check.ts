import type { z } from "zod";
import type { AnyKind, AnySpec, Finding } from "../kinds/kind";
import { commonSchema, split } from "./common";
import { formatPath, isWithin, type Path } from "./paths";
import { hasUnknown, unknownPaths, valueAt, type Properties } from "./properties";
import { Scrubber } from "./secrets";
import { isSecret } from "./zod-shape";

/** One input that is not as it must be. */
export interface CheckFailure {
  /**
   * Such as `peer.addresses[1]`. Empty for a property that is secret, and named in the reason then: the engine
   * shows the value of a property that it is told of.
   */
  readonly property: string;
  readonly reason: string;
}

/** Inputs in their canonical form, and what is wrong with them. */
export interface Checked {
  readonly inputs: Properties;
  readonly failures: readonly CheckFailure[];
}

interface Issue {
  readonly code?: string;
  readonly path: readonly PropertyKey[];
  readonly message: string;
  readonly expected?: string;
  readonly keys?: readonly string[];
  readonly errors?: readonly (readonly Issue[])[];
}

/** Finding with whether it is about the whole of what is at its path, and not about a value inside. */
interface Located extends Finding {
  readonly whole: boolean;
}

/**
 * Holds a resource's inputs against its kind's schema, fills in defaults and makes values canonical. What is not
 * known yet is accepted; checks between properties wait until everything is known.
 */
export function checkInputs(kind: AnyKind, news: Properties): Checked {
  const { common, spec } = split(news.values);
  const shared = checkObject(commonSchema, common);
  const own = checkObject(kind.schema as z.ZodObject, spec);
  const findings = [...shared.findings, ...own.findings];
  if (own.findings.length === 0 && !hasUnknown(spec)) findings.push(...(kind.check?.(own.values) ?? []));

  const secrets = [...news.secrets, ...declaredSecrets(kind, own.values)];
  const failures = failuresOf(findings, { values: news.values, secrets });
  return { inputs: { values: { ...own.values, ...shared.values }, secrets }, failures };
}

/** Findings as the engine shows them, without a secret in any of them. */
export function failuresOf(findings: readonly Finding[], inputs: Properties): CheckFailure[] {
  const scrubber = Scrubber.of(inputs);
  return findings.map(({ path, message }) => {
    const property = formatPath(path);
    const reason = scrubber.scrub(message);
    const secret = path.length === 1 && inputs.secrets.some((mark) => mark[0] === path[0]);
    return secret ? { property: "", reason: `${property}: ${reason}` } : { property, reason };
  });
}

/**
 * The canonical form of values that were accepted before, by this version or an older one: defaults are filled
 * in, what is not understood any more is left as it is.
 */
export function canonical(schema: z.ZodObject, values: AnySpec): AnySpec {
  return byProperty(schema, values);
}

/** The properties that a kind declares to be secret. */
export function declaredSecrets(kind: AnyKind, values: AnySpec): Path[] {
  const shape = (kind.schema as z.ZodObject).shape as Record<string, z.ZodType>;
  return Object.keys(shape)
    .filter((property) => values[property] !== undefined && isSecret(shape[property]))
    .map((property) => [property]);
}

function checkObject(schema: z.ZodObject, values: AnySpec): { values: AnySpec; findings: Finding[] } {
  const unknowns = unknownPaths(values);
  const parsed = schema.safeParse(values);
  if (parsed.success && unknowns.length === 0) return { values: parsed.data, findings: [] };
  const findings = parsed.success
    ? []
    : (parsed.error.issues as readonly Issue[])
        .flatMap((issue) => findingsOfIssue(issue, [], values))
        .filter((finding) => !isExcused(finding, unknowns));
  return { values: byProperty(schema, values), findings };
}

/** Each property through its own schema, for values that the schema as a whole cannot take. */
function byProperty(schema: z.ZodObject, values: AnySpec): AnySpec {
  const shape = schema.shape as Record<string, z.ZodType>;
  const properties = new Set([...Object.keys(shape), ...Object.keys(values)]);
  const entries = [...properties].map((property): [string, unknown] => {
    const value = values[property];
    if (hasUnknown(value)) return [property, value];
    const parsed = shape[property]?.safeParse(value);
    return [property, parsed?.success ? parsed.data : value];
  });
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
}

/** A finding at or below an unknown says nothing, nor one about something whole of which a part is unknown. */
function isExcused(finding: Located, unknowns: readonly Path[]): boolean {
  return unknowns.some(
    (unknown) => isWithin(finding.path, unknown) || (finding.whole && isWithin(unknown, finding.path)),
  );
}

/** The findings of one zod issue; of a union, those of the alternative that came closest. */
function findingsOfIssue(issue: Issue, above: Path, values: AnySpec): Located[] {
  const path = [...above, ...issue.path.map((s) => (typeof s === "number" ? s : String(s)))];
  if (issue.code === "unrecognized_keys" && issue.keys !== undefined) {
    return issue.keys.map((key) => ({
      path: [...path, key],
      message: "there is no such property",
      whole: false,
    }));
  }
  const closest = [...(issue.errors ?? [])]
    .filter((e) => e.length > 0)
    .sort((a, b) => depth(b) - depth(a))[0];
  if (issue.code === "invalid_union" && closest !== undefined && depth(closest) > 0) {
    return closest.flatMap((inner) => findingsOfIssue(inner, path, values));
  }
  if (issue.code === "invalid_type" && valueAt(values, path) === undefined) {
    return [{ path, message: `is required: ${article(issue.expected ?? "value")}`, whole: true }];
  }
  return [{ path, message: issue.message, whole: true }];
}

function depth(issues: readonly Issue[]): number {
  return Math.max(0, ...issues.map((issue) => issue.path.length));
}

function article(noun: string): string {
  return `${/^[aeiou]/.test(noun) ? "an" : "a"} ${noun}`;
}
