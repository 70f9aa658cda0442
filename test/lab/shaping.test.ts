import { shaping } from "../../lib/kinds/shaping";
import { subscriberShaping } from "../../lib/kinds/subscriber-shaping";
import { converges } from "../support/converge";
import { withLab } from "../support/lab";
import { labRelease, labRunner } from "../support/lab-runner";
import { shapingSpecs } from "../support/specs/shaping";
import { shapedLinks, subscriberShapingSpecs } from "../support/specs/subscriber-shaping";

const machines = withLab(["edge"], [], { release: labRelease });
const netns = "scratch";
const cases = Number(process.env.NETLOOM_CASES ?? 5);

const run = labRunner(machines, "shaping", netns);

describe(`shaping converges on Debian ${labRelease}, over ssh`, () => {
  test("trees with CAKE, fq_codel, fq, netem and flower", async () => {
    await converges({ kind: shaping, specs: shapingSpecs(netns, "v1", "distribution"), run, cases });
  });

  test("sets of subscribers with CAKE, fq_codel and flower", async () => {
    await run(shapedLinks(netns, ["v0", "w0"]), []);
    const specs = subscriberShapingSpecs(netns, "distribution");
    await converges({ kind: subscriberShaping, specs, run, cases });
  });
});
