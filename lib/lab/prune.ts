import { rmSync } from "node:fs";
import { basename } from "node:path";

import { imagesInUse } from "./lab";
import { foldersIn } from "./owners";
import { imagesFolder } from "./paths";
import { imageKey, recipeOf } from "./recipe";

/** Removes images that no current recipe builds, or all; never one that a machine runs on. Returns what went. */
export function pruneImages(options: { readonly all: boolean }): string[] {
  const current = new Set(([11, 12, 13] as const).map((release) => imageKey(recipeOf(release))));
  const used = imagesInUse();
  return foldersIn(imagesFolder()).filter((folder) => {
    const name = basename(folder);
    // What is being built is named with a dot.
    if (used.has(folder) || name.startsWith(".") || (current.has(name) && !options.all)) return false;
    for (const path of [folder, `${folder}.lock`]) rmSync(path, { recursive: true, force: true });
    return true;
  });
}
