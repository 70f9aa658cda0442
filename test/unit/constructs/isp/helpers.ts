import { readFileSync } from "node:fs";
import { join } from "node:path";
import { SubscribersError } from "../../../../constructs/isp/findings";
import type { SubscriberFinding } from "../../../../constructs/isp/findings";

/** Text of a file in test/fixtures/isp. */
export function fixture(name: string): string {
  return readFileSync(join(__dirname, "../../../fixtures/isp", name), "utf8");
}

/** What a function that must fail has to say. */
export function findingsOf(act: () => unknown): readonly SubscriberFinding[] {
  try {
    act();
  } catch (error) {
    if (error instanceof SubscribersError) return error.findings;
    throw error;
  }
  throw new Error("It was expected to fail and did not.");
}

/** The messages of a function that must fail, one text a finding. */
export function messagesOf(act: () => unknown): string[] {
  return findingsOf(act).map(({ row, column, path, message }) =>
    [row, column, path, message].filter((part) => part !== undefined).join(" | "),
  );
}

/** Processor time that a function took, in milliseconds: what else the machine does has no say in it. */
export function cpuTimeOf(act: () => void): number {
  const before = process.cpuUsage();
  act();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
