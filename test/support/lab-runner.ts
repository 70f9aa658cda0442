import { openSession, type OpenSession } from "../../lib/host";
import type { Facts, Query, Step } from "../../lib/kinds/step";
import type { Lab, Release } from "../../lib/lab";
import { scratchSteps } from "./scratch";

/** `NETLOOM_LAB_RELEASE=11` (or 13) tries another Debian: its image takes minutes to build once. */
export const labRelease = Number(process.env.NETLOOM_LAB_RELEASE ?? 12) as Release;

/**
 * Runs steps and queries on the lab's machine `edge` over one session, open from before the first test to after the
 * last, with a scratch namespace made at the beginning. `what` is what the operations are called.
 */
export function labRunner(machines: { readonly lab: Lab }, what: string, netns: string) {
  let session: OpenSession;
  let nth = 0;
  async function run(steps: readonly Step[], queries: readonly Query[]): Promise<Facts> {
    const label = `${what}/${++nth}`;
    return (await session.run({ label, stack: "test/lab", queries, decide: () => ({ steps }) })).facts;
  }
  beforeAll(async () => {
    const { name, address, port, user, hostKey, privateKey } = machines.lab.host("edge");
    session = openSession({ name, address, port, user, hostKey }, { privateKey }, { gatherMs: 1 });
    await run(scratchSteps(netns), []);
  }, 60_000);
  afterAll(() => session?.close());
  return run;
}
