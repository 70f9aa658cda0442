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
    await lab?.down();
  }, 60_000);
  return {
    get lab() {
      if (!lab) throw new Error("the lab is up inside tests and hooks only");
      return lab;
    },
  };
}

/** A name that no other lab on this computer has. */
export const uniqueLabName = (): string => `test-${process.pid}-${randomBytes(3).toString("hex")}`;
