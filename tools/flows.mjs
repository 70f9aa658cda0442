// Builds the traffic generator where that is needed and runs it: npm run flows -- -i INTERFACE [options] VIP
// The last word may be a load balancer's config.yaml: its vip is taken.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";

import { isProgram, main, setUp } from "./setup.mjs";
import { root } from "./support/places.mjs";
import { foreground, SetupError } from "./support/steps.mjs";

const source = join(root, "tools", "flows", "flows.c");

/** Path of the generator, which is linked so that it runs on any Linux of this architecture. */
export function flowsProgram() {
  const program = join(root, "dist", "tools", "flows");
  if (existsSync(program) && statSync(program).mtimeMs >= statSync(source).mtimeMs) return program;
  mkdirSync(dirname(program), { recursive: true });
  try {
    execFileSync("cc", ["-O2", "-Wall", "-Wextra", "-static", "-o", program, source], { stdio: "pipe" });
  } catch (error) {
    throw new SetupError(`the traffic generator cannot be built: ${error.stderr || error.message}`);
  }
  return program;
}

/** The VIP that a config.yaml names. */
async function vipOf(file) {
  // Set-up may have brought it only now.
  const { parse } = await import("yaml");
  try {
    return String(parse(readFileSync(file, "utf8")).vip);
  } catch (error) {
    throw new SetupError(`${file} names no vip: ${error.message}`);
  }
}

if (isProgram(import.meta.url)) {
  await main(async () => {
    await setUp({ packages: ["kernel"], npm: true });
    const words = process.argv.slice(2);
    const last = words.at(-1) ?? "";
    const args = /\.ya?ml$/.test(last) ? [...words.slice(0, -1), await vipOf(last)] : words;
    return foreground(flowsProgram(), args);
  });
}
