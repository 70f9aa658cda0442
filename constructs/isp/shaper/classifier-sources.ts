// The sources are part of this package; no path comes from a user.
// eslint-disable-next-line no-restricted-imports -- see above
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** What is compiled, and the headers that it includes. */
export const CLASSIFIER = "shaper/classify.bpf.c";
const FILES = [CLASSIFIER, "shaper/tables.h", "shaper/shaper.h"];

/** The package's folder of eBPF sources: it is beside this file's folders both as source and when compiled. */
function sourceFolder(): string {
  for (let folder = __dirname; dirname(folder) !== folder; folder = dirname(folder)) {
    if (existsSync(join(folder, "bpf", CLASSIFIER))) return join(folder, "bpf");
  }
  throw new Error(`bpf/${CLASSIFIER} is missing from the installed package: install it again`);
}

/** Texts of the classifier's sources by path below the package's `bpf/`. */
export function classifierSources(): Readonly<Record<string, string>> {
  const folder = sourceFolder();
  return Object.fromEntries(FILES.map((file) => [file, readFileSync(join(folder, file), "utf8")]));
}
