// Runs the tiers of tests: node tools/test.mjs [unit|kernel|lab ...] [arguments of jest]
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { buildLabImage, everything, main, setUp } from "./setup.mjs";
import { CannotInstall } from "./support/debian.mjs";
import { root } from "./support/places.mjs";
import { foreground, interruptedBy, outliveSignals, SetupError } from "./support/steps.mjs";

const tiers = {
  unit: { needs: { npm: true } },
  kernel: {
    needs: { ...everything, packages: ["kernel", "sshd"] },
    jest: ["--maxWorkers=2"],
    lacking: () => (process.getuid() === 0 ? undefined : "it needs root, for network namespaces"),
  },
  lab: {
    needs: everything,
    jest: ["--maxWorkers=2"],
    lacking: () =>
      process.platform === "linux" && process.arch === "x64"
        ? undefined
        : "its machines need Linux on x86-64",
    prepare: buildLabImage,
  },
};

/** Pulumi in tests is what is here, and asks nobody for anything. */
const testEnvironment = {
  PULUMI_SKIP_UPDATE_CHECK: "true",
  PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
};

const total = { passed: 0, failed: 0, skipped: 0 };
const add = (counts) => {
  for (const key of Object.keys(total)) total[key] += counts[key] ?? 0;
};

await main(async () => {
  const given = process.argv.slice(2);
  const split = given.findIndex((word) => !(word in tiers));
  const [named, jestArguments] = split < 0 ? [given, []] : [given.slice(0, split), given.slice(split)];
  const asked = named.length > 0 ? [...new Set(named)] : Object.keys(tiers);
  const folder = mkdtempSync(join(tmpdir(), "netloom-test-"));
  try {
    outliveSignals();
    const whole = asked.length === Object.keys(tiers).length && jestArguments.length === 0;
    if (whole) await counting(check);
    for (const name of asked) {
      if (!interruptedBy()) await counting(() => runTier(name, tiers[name], jestArguments, folder));
    }
  } finally {
    await endLabs();
    rmSync(folder, { recursive: true, force: true });
  }
  const { passed, failed, skipped } = total;
  console.log(`\n${passed} passed, ${failed} failed, ${skipped} skipped`);
  if (interruptedBy()) return 128 + constants.signals[interruptedBy()];
  return failed > 0 || passed === 0 ? 1 : 0;
});

/** Does a part of the run; what keeps it from being done is one failure. */
async function counting(work) {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(error.message);
    total.failed++;
  }
}

/** What every tier stands on. */
async function check() {
  await setUp({ npm: true });
  console.log("\n== lint");
  if ((await foreground("npm", ["run", "--silent", "lint"], { cwd: root })) !== 0) total.failed++;
  console.log("\n== build");
  await setUp({ build: true });
}

async function runTier(name, tier, jestArguments, folder) {
  console.log(`\n== tests: ${name}`);
  const { env, lacking } = await prepare(tier);
  if (lacking) console.log(`skipped on this machine: ${lacking}`);
  const results = join(folder, `${name}.json`);
  const jest = join(root, "node_modules", "jest", "bin", "jest.js");
  const args = [jest, "--selectProjects", name, ...(tier.jest ?? []), "--json", "--outputFile", results];
  // A pattern that no name matches: jest then counts the tests without running one.
  const skipAll = lacking ? ["--testNamePattern", "(?!)"] : [];
  const status = await foreground(process.execPath, [...args, ...skipAll, ...jestArguments], {
    cwd: root,
    env: { ...testEnvironment, ...env },
  });
  add(counted(results, status, lacking !== undefined));
}

/** The set-up of a tier, or what this machine lacks for it. */
async function prepare(tier) {
  try {
    const lacking = tier.lacking?.();
    if (lacking) return { env: await setUp({ npm: true }), lacking };
    const env = await setUp(tier.needs);
    if (tier.prepare && (await tier.prepare()) !== 0) throw new SetupError("set-up of the tier failed");
    return { env };
  } catch (error) {
    if (!(error instanceof CannotInstall)) throw error;
    return { env: await setUp({ npm: true }), lacking: error.message };
  }
}

/** A suite that could not run has no tests to count, and is a failure all the same. */
function counted(results, status, skippedAll) {
  if (!existsSync(results)) return { failed: 1 };
  const report = JSON.parse(readFileSync(results, "utf8"));
  const counts = {
    passed: report.numPassedTests,
    failed: report.numFailedTests + report.numRuntimeErrorTestSuites,
    skipped: report.numPendingTests + report.numTodoTests,
  };
  if (status !== 0 && counts.failed === 0 && !skippedAll) counts.failed = 1;
  return counts;
}

/** A test that was cut short leaves its machines behind: they go when the process that started them has gone. */
async function endLabs() {
  const owners = join(root, "dist/lib/lab/owners.js");
  if (!existsSync(owners)) return;
  const { sweepOrphans } = (await import(pathToFileURL(owners).href)).default;
  await sweepOrphans();
}
