import { openSession, type OpenSession } from "../../lib/host";
import { shaping } from "../../lib/kinds/shaping";
import type { Facts, Query, Step } from "../../lib/kinds/step";
import { subscriberShaping } from "../../lib/kinds/subscriber-shaping";
import type { Release } from "../../lib/lab";
import { converges } from "../support/converge";
import { withLab } from "../support/lab";
import { scratchSteps } from "../support/scratch";
import { shapingSpecs } from "../support/specs/shaping";
import { shapedLinks, subscriberShapingSpecs } from "../support/specs/subscriber-shaping";

// `NETLOOM_LAB_RELEASE=11` (or 13) tries another Debian: its image takes minutes to build once.
const release = Number(process.env.NETLOOM_LAB_RELEASE ?? 12) as Release;
const machines = withLab(["edge"], [], { release });
const netns = "scratch";
const cases = Number(process.env.NETLOOM_CASES ?? 5);

let session: OpenSession;
let nth = 0;

async function run(steps: readonly Step[], queries: readonly Query[]): Promise<Facts> {
  return (
    await session.run({ label: `shaping/${++nth}`, stack: "test/lab", queries, decide: () => ({ steps }) })
  ).facts;
}

beforeAll(async () => {
  const { name, address, port, user, hostKey, privateKey } = machines.lab.host("edge");
  session = openSession({ name, address, port, user, hostKey }, { privateKey }, { gatherMs: 1 });
  await run(scratchSteps(netns), []);
}, 60_000);

afterAll(() => session?.close());

describe(`shaping converges on Debian ${release}, over ssh`, () => {
  test("trees with CAKE, fq_codel, fq, netem and flower", async () => {
    await converges({ kind: shaping, specs: shapingSpecs(netns, "v1", "distribution"), run, cases });
  }, 600_000);

  test("sets of subscribers with CAKE, fq_codel and flower", async () => {
    await run(shapedLinks(netns, ["v0", "w0"]), []);
    const specs = subscriberShapingSpecs(netns, "distribution");
    await converges({ kind: subscriberShaping, specs, run, cases });
  }, 600_000);
});
