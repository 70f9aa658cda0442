// Compiling, when a source is newer than what was compiled from it.
import { mkdirSync, readdirSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { root } from "./places.mjs";
import { output, step } from "./steps.mjs";

/** What dist/ is compiled from. */
const sources = [
  "lib",
  "constructs",
  "stacks",
  "bench",
  "tsconfig.json",
  "tsconfig.build.json",
  "package-lock.json",
];
const stamp = join(root, "dist", ".built");

/** Compiles into dist/ unless that is newer than every source. */
export async function ensureBuild() {
  if (!isStale()) return;
  const began = new Date();
  await step("compile", () => output("npm", ["run", "--silent", "build"], { cwd: root }));
  mkdirSync(join(root, "dist"), { recursive: true });
  writeFileSync(stamp, "");
  // As old as the moment it began: a source saved while it was compiling is newer.
  utimesSync(stamp, began, began);
}

function isStale() {
  let built;
  try {
    built = statSync(stamp).mtimeMs;
  } catch {
    return true;
  }
  return sources.some((name) => newest(join(root, name)) > built);
}

function newest(path) {
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found) return 0;
  if (!found.isDirectory()) return found.mtimeMs;
  // The folder itself too: a file that was removed is seen by that alone.
  return Math.max(found.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))));
}
