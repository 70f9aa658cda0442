// Brings a fresh Debian or Ubuntu machine to where everything here runs. Each step is skipped when it is done already.
import { delimiter, join } from "node:path";
import { realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { ensureBuild } from "./support/build.mjs";
import { ensurePackages } from "./support/debian.mjs";
import { ensureNpmPackages } from "./support/npm.mjs";
import { root } from "./support/places.mjs";
import { ensurePulumi } from "./support/pulumi-cli.mjs";
import { foreground, SetupError } from "./support/steps.mjs";

/** What set-up can see to. */
export const everything = { packages: ["kernel", "lab"], npm: true, pulumi: true, build: true };

/** Refuses a Node that is too old, before anything fails for that reason in a way nobody understands. */
function checkNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  throw new SetupError(
    `Node ${process.versions.node} is too old: 20.19 or newer is needed (https://nodejs.org/en/download)`,
  );
}

/**
 * Sees to what is wanted, in the order in which one thing needs another, and returns the environment to run in:
 * the Pulumi CLI on PATH.
 */
export async function setUp({ packages = [], npm = false, pulumi = false, build = false }) {
  checkNode();
  if (packages.length > 0) await ensurePackages(packages);
  if (npm) await ensureNpmPackages();
  const env = {};
  if (pulumi) env.PATH = `${await ensurePulumi()}${delimiter}${process.env.PATH ?? ""}`;
  if (build) await ensureBuild();
  return env;
}

/** Builds the lab image and its snapshot unless the cache has them; needs all the rest. */
export const buildLabImage = () =>
  foreground(process.execPath, [join(root, "dist/lib/cli/main.js"), "lab", "build"]);

/** Runs an entry of tools/: what went wrong is one message, not a stack. */
export async function main(work) {
  try {
    process.exitCode = await work();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(`set-up: ${error.message}`);
    process.exitCode = 1;
  }
}

/** Whether a module is the program that node was started with. */
export const isProgram = (url) =>
  process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(url);

if (isProgram(import.meta.url)) {
  await main(async () => {
    await setUp(everything);
    const status = await buildLabImage();
    if (status === 0) console.log("ready: npm run demo, npm test, npm run lab -- up");
    return status;
  });
}
