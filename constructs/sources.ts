// What a program is built from is read here, at synthesis, so that a preview knows what has changed.
// eslint-disable-next-line no-restricted-imports -- see above; everything else takes text
import { existsSync, readFileSync } from "node:fs";
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

/** The folder of the eBPF programs (`bpf`) or of the kernel modules (`kmod`) that come with this package. */
export function packagedSources(which: "bpf" | "kmod" = "bpf"): string {
  let folder = __dirname;
  while (!existsSync(join(folder, which, "LICENSE")) && folder !== dirname(folder)) folder = dirname(folder);
  return join(folder, which);
}
