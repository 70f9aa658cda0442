import { createHash } from "node:crypto";
import { z } from "zod";
import { recordError } from "../records";
import { quoted, text } from "../schemas";

/** Path of a source below the folder that it is built in. */
export const sourcePath = text((value) =>
  /^[A-Za-z0-9_][A-Za-z0-9_.-]*(\/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$/.test(value) && value.length <= 200
    ? undefined
    : `${quoted(value)} is not a relative path of letters, digits, "_", "-", "." and "/"`,
);

/** Texts by path, in the order of the paths. */
export const sourceTexts = z
  .record(
    sourcePath,
    z.string({ error: "must be text" }).refine((content) => !content.includes("\0"), "holds a NUL byte"),
    { error: recordError("must be an object of texts by relative path") },
  )
  .overwrite((sources) => Object.fromEntries(Object.entries(sources).sort(([a], [b]) => (a < b ? -1 : 1))));

/** Paths of the sources that are compiled, each once. */
export const translationUnits = z
  .array(sourcePath, { error: "must be a list of paths" })
  .min(1, "names no source: at least one is compiled")
  .refine((paths) => new Set(paths).size === paths.length, "names a source twice");

/** Flags of a compiler that fit a pattern; a comma or a path that climbs would lead out of it. */
export const compilerFlags = (pattern: RegExp, what: string) =>
  z.array(
    text((value) =>
      pattern.test(value) && !value.includes("..")
        ? undefined
        : `${quoted(value)} is not among the flags that are passed to ${what}`,
    ),
    { error: "must be a list of flags" },
  );

/** What something is built from, told in 16 hexadecimal digits. */
export function buildDigest(parts: unknown): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 16);
}

/** Sources by path, as a list without an order of its own: what a digest is made of. */
export const sortedSources = (sources: Readonly<Record<string, string>>) =>
  Object.entries(sources).sort(([a], [b]) => (a < b ? -1 : 1));

/** What is wrong with the sources that are to be compiled: those that are not there. */
export function missingUnits(
  property: string,
  units: readonly string[],
  sources: Readonly<Record<string, string>>,
): { path: (string | number)[]; message: string }[] {
  return units.flatMap((unit, index) =>
    unit in sources ? [] : [{ path: [property, index], message: `${quoted(unit)} is not among the sources` }],
  );
}
