import { randomBytes } from "node:crypto";

import { Lab, type LabLink, type Release } from "../../lib/lab";

/** The first lab of a run may have to build the image and boot it once. */
const patienceMs = 15 * 60_000;

/**
 * Machines of this test file's own, up before its first test and gone after its last:
 * `const machines = withLab(["edge"])`, and in a test `machines.lab.ssh("edge", ["ip", "link"])`.
 */
export function withLab(
  names: readonly string[],
  links: readonly LabLink[] = [],
  options: { readonly release?: Release } = {},
): { readonly lab: Lab } {
  let lab: Lab | undefined;
  beforeAll(async () => {
    lab = await Lab.up({ names, links, lab: uniqueLabName(), ephemeral: true, ...options });
  }, patienceMs);
  afterAll(async () => {
    try {
      if (lab) await tellTrouble(lab);
    } finally {
      await lab?.down();
    }
  }, 120_000);
  return {
    get lab() {
      if (!lab) throw new Error("the lab is up inside tests and hooks only");
      return lab;
    },
  };
}

/** What a kernel says on its console when it is not well. */
const TROUBLE = /BUG:|Oops|Kernel panic|Call Trace|lockup|self-detected stall|Out of memory/;

/** A test that fails since its machine fell over says only that nobody answers: the machine's console says why. */
async function tellTrouble(lab: Lab): Promise<void> {
  for (const { name } of lab.hosts) {
    const answer = await lab.run(name, ["true"], { timeoutMs: 30_000 }).catch(() => undefined);
    // What came before the machine was saved is in the console of that machine, not in this one's.
    const lines = lab.console(name).split("\n");
    if (answer?.exitCode === 0 && !lines.some((line) => TROUBLE.test(line))) continue;
    const state = answer?.exitCode === 0 ? "" : " (it does not answer)";
    console.error(`the console of ${name}${state} ends:\n${lines.slice(-80).join("\n")}`);
  }
}

/** A name that no other lab on this computer has. */
export const uniqueLabName = (): string => `test-${process.pid}-${randomBytes(3).toString("hex")}`;
