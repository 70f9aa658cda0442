// Runs a compiled program, after the set-up that it needs: node tools/run.mjs SCRIPT [arguments]
import { join } from "node:path";

import { everything, main, setUp } from "./setup.mjs";
import { root } from "./support/places.mjs";
import { foreground, outliveSignals } from "./support/steps.mjs";

/** Programs that need less than everything. */
const needs = {
  "lib/cli/main.js": { packages: ["lab"], npm: true, build: true },
  "bench/main.js": { ...everything, packages: [...everything.packages, "sshd"] },
};

await main(async () => {
  const [script, ...args] = process.argv.slice(2);
  if (!script) {
    console.error("usage: node tools/run.mjs SCRIPT [arguments]");
    return 2;
  }
  const env = await setUp(needs[script] ?? everything);
  outliveSignals();
  return foreground(process.execPath, [join(root, "dist", script), ...args], { env });
});
