// The npm packages, exactly as the lock file has them.
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { root } from "./places.mjs";
import { output, SetupError, step } from "./steps.mjs";

/** Installs the npm packages unless what is there is what the lock file says. */
export async function ensureNpmPackages() {
  if (asLocked()) return;
  // No package's install script is needed, and none is run.
  const args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  await step("npm packages", () => output("npm", args, { cwd: root }));
  if (!asLocked())
    throw new SetupError("npm did not install what package-lock.json says: does package.json agree with it?");
}

/** npm writes down what it has installed in the form of the lock file, so the two can be compared. */
function asLocked() {
  const wanted = packagesOf("package-lock.json");
  const there = packagesOf(join("node_modules", ".package-lock.json"));
  if (!wanted || !there) return false;
  const differs = ([path, { version, optional }]) => {
    if (path === "") return false;
    // Optional packages for other platforms are left out when installing.
    return there[path] === undefined ? optional !== true : there[path].version !== version;
  };
  return !Object.entries(wanted).some(differs) && Object.keys(there).every((path) => path in wanted);
}

function packagesOf(file) {
  try {
    return JSON.parse(readFileSync(join(root, file), "utf8")).packages;
  } catch {
    return undefined;
  }
}
