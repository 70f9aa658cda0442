// What a program is built from is read here, at synthesis, so that a preview knows what has changed.
// eslint-disable-next-line no-restricted-imports -- see above; everything else takes text
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";

/** A source with every header that it includes by `#include "…"`, by path below its folder. */
export interface Sources {
  readonly files: Readonly<Record<string, string>>;
  /** What could not be read, and why. */
  readonly problems: readonly string[];
}

/** Most sources that one object may have, a mistake in an include aside. */
const MOST = 500;

/**
 * Reads a source and what it includes. Nothing outside of the folder is read: an include that leads out of it, or to
 * a file that is not there, is a problem. Headers in angle brackets are the host's.
 *
 * @param folder absolute path
 * @param main path of the source below the folder
 */
export function readSources(folder: string, main: string): Sources {
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
      // As with `-I.`: first beside the file that includes it, then below the folder.
      const isBeside = beside.startsWith("..") || existsSync(join(folder, beside));
      visit(isBeside ? beside : posix.normalize(header), path);
    }
  };
  visit(posix.normalize(main), undefined);
  return { files, problems };
}

/** The folder of the programs that come with this package. */
export function packagedSources(): string {
  let folder = __dirname;
  while (!existsSync(join(folder, "bpf", "LICENSE")) && folder !== dirname(folder)) folder = dirname(folder);
  return join(folder, "bpf");
}
