import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSession, type OpenSession, type SessionOptions } from "../../lib/host";
import type { Facts, Query, Step } from "../../lib/kinds/step";

/** What is under `lib/host` once the steps have run. */
export interface TestHost extends OpenSession {
  /** Runs steps on this machine and asks queries after them: what a kind's plan and `observe` meet in earnest. */
  apply(steps: readonly Step[], queries?: readonly Query[]): Promise<Facts>;
  /** Asks queries. */
  look(queries: readonly Query[]): Promise<Facts>;
  /** Holds the ledgers (`state`) and the lock (`run`) in place of the machine's own folders. */
  readonly folder: string;
}

/** A session with this machine, whose ledger and lock are in a temporary folder. Needs root. */
export function localHost(options: SessionOptions = {}): TestHost {
  const folder = mkdtempSync(join(tmpdir(), "nlt-host-"));
  const folders = { state: join(folder, "state"), run: join(folder, "run") };
  const session = openSession({ name: "here" }, {}, { folders, gatherMs: 1, ...options });
  let nth = 0;
  return {
    folder,
    run: (operation) => session.run(operation),
    capabilities: () => session.capabilities(),
    cancel: () => session.cancel(),
    async close() {
      await session.close();
      rmSync(folder, { recursive: true, force: true });
    },
    async apply(steps, queries = []) {
      const label = `test/${++nth}`;
      return (await session.run({ label, stack: "test/test", queries, decide: () => ({ steps }) })).facts;
    },
    async look(queries) {
      return (await session.run({ label: "test", stack: "test/test", queries })).facts;
    },
  };
}

let shared: TestHost | undefined;

/**
 * Runs steps on this machine over one session that all tests of a file share, then asks queries.
 * {@link closeShared} belongs in `afterAll`.
 */
export function run(steps: readonly Step[], queries: readonly Query[] = []): Promise<Facts> {
  shared ??= localHost();
  return steps.length > 0 ? shared.apply(steps, queries) : shared.look(queries);
}

/** Ends the session behind {@link run}. */
export async function closeShared(): Promise<void> {
  await shared?.close();
  shared = undefined;
}
