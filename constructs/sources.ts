// What a program is built from is read here, at synthesis, so that a preview knows what has changed.
// eslint-disable-next-line no-restricted-imports -- see above; everything else takes text
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";

/** Sources with every header that they include by `#include "…"`, by path below their folder. */
export interface Sources {
  readonly files: Readonly<Record<string, string>>;
  /** What could not be read, and why. */
  readonly problems: readonly string[];
}

/** Most sources that one build may have, a mistake in an include aside. */
const MOST = 500;

/**
 * Reads sources and what they include. Nothing outside of the folder is read: an include that leads out of it, or to
 * a file that is not there, is a problem. Headers in angle brackets are the host's.
 *
 * @param folder absolute path
 * @param units paths of the sources that are compiled, below the folder
 * @param flags those of the compiler: `-I` names folders to look in as well
 */
export function readSources(
  folder: string,
  units: string | readonly string[],
  flags: readonly string[] = [],
): Sources {
  const included = flags.filter((flag) => flag.startsWith("-I")).map((flag) => flag.slice(2));
  const files: Record<string, string> = {};
  const problems: string[] = [];
  const visit = (path: string, by: string | undefined) => {
    if (path in files) return;
    const whose = by === undefined ? "" : `, which ${by} includes,`;
    if (path.startsWith("/") || path.split("/").includes("..")) {
      problems.push(`${JSON.stringify(path)}${whose} is outside of ${folder}`);
      return;
    }
    if (Object.keys(files).length === MOST) return;
    let text: string;
    try {
      text = readFileSync(join(folder, path), "utf8");
    } catch (error) {
      const { code = "unknown error" } = error as NodeJS.ErrnoException;
      problems.push(
        `${JSON.stringify(path)}${whose} ${code === "ENOENT" ? "is not there" : `cannot be read (${code})`}: looked in ${folder}`,
      );
      return;
    }
    files[path] = text;
    for (const [, header = ""] of text.matchAll(/^[ \t]*#[ \t]*include[ \t]+"([^"\n]+)"/gm)) {
      const beside = posix.normalize(posix.join(posix.dirname(path), header));
      // As the compiler looks for it: first beside the file that includes it, then as with `-I.` and each other `-I`.
      const places = [
        beside,
        ...["", ...included].map((place) => posix.normalize(posix.join(place, header))),
      ];
      const found = places.find((place) => place.startsWith("..") || existsSync(join(folder, place)));
      visit(found ?? posix.normalize(header), path);
    }
  };
  for (const unit of typeof units === "string" ? [units] : units) visit(posix.normalize(unit), undefined);
  return { files, problems };
}

/** The sources of a kernel module, and which of them are compiled. */
export interface ModuleSources extends Sources {
  readonly units: readonly string[];
}

/**
 * Reads a kernel module's sources. With a Kbuild file in the folder, that says what is compiled, and is one of them;
 * without one, the units do, or the source of the module's own name.
 *
 * @param folder absolute path
 * @param name the module's name
 * @param units paths of the sources that are compiled
 */
export function readModuleSources(
  folder: string,
  name: string,
  units: readonly string[] | undefined,
  flags: readonly string[] = [],
): ModuleSources {
  const path = join(folder, "Kbuild");
  // A name that is none is told by the module's own check.
  if (units !== undefined || !existsSync(path) || !/^\w+$/.test(name)) {
    const own = units?.map((unit) => posix.normalize(unit)) ?? [`${name}.c`];
    return { ...readSources(folder, own, flags), units: own };
  }
  const kbuild = readFileSync(path, "utf8");
  const joined = kbuild.replaceAll(/\\\n/g, " ");
  const objects = [...joined.matchAll(new RegExp(`^${name}-(?:y|objs)[ \\t]*[:+]?=(.*)$`, "gm"))].flatMap(
    ([, words = ""]) => words.trim().split(/\s+/).filter(Boolean),
  );
  const found = (objects.length > 0 ? objects : [`${name}.o`]).map((object) => object.replace(/\.o$/, ".c"));
  const included = [...joined.matchAll(/-I\$\(src\)\/?(\S*)/g)].map(
    ([, folder = ""]) => `-I${folder || "."}`,
  );
  const { files, problems } = readSources(folder, found, included);
  const isOfIt = new RegExp(`^obj-m[ \\t]*[:+]?=.*\\b${name}\\.o\\b`, "m").test(joined);
  return {
    files: { ...files, Kbuild: kbuild },
    units: found,
    problems: isOfIt ? problems : [...problems, `Kbuild in ${folder} has no line obj-m += ${name}.o`],
  };
}

/** The folder of the eBPF programs (`bpf`) or of the kernel modules (`kmod`) that come with this package. */
export function packagedSources(which: "bpf" | "kmod" = "bpf"): string {
  let folder = __dirname;
  while (!existsSync(join(folder, which, "LICENSE")) && folder !== dirname(folder)) folder = dirname(folder);
  return join(folder, which);
}

/** Paths of the C sources right in a folder below another, in the order of their names. */
export function sourcesIn(folder: string, below: string): string[] {
  // A list of our own: what node gives is of another realm where the program is evaluated in one of its own.
  return [...readdirSync(join(folder, below))]
    .filter((name) => name.endsWith(".c"))
    .sort()
    .map((name) => posix.join(below, name));
}
