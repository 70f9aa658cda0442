import { openSession, type OpenSession } from "../../lib/host";
import { firewall } from "../../lib/kinds/firewall";
import { namespace } from "../../lib/kinds/namespace";
import { routes } from "../../lib/kinds/routes";
import { rules } from "../../lib/kinds/rules";
import type { Facts, Query, Step } from "../../lib/kinds/step";
import { sysctls } from "../../lib/kinds/sysctls";
import type { Release } from "../../lib/lab";
import { converges } from "../support/converge";
import { withLab } from "../support/lab";
import { scratchSteps } from "../support/scratch";
import { firewallSpecs } from "../support/specs/firewall";
import { namespaceSpecs } from "../support/specs/namespace";
import { routesSpecs } from "../support/specs/routes";
import { rulesSpecs } from "../support/specs/rules";
import { sysctlsSpecs } from "../support/specs/sysctls";

// `NETLOOM_LAB_RELEASE=11` (or 13) tries another Debian: its image takes minutes to build once.
const release = Number(process.env.NETLOOM_LAB_RELEASE ?? 12) as Release;
const machines = withLab(["edge"], [], { release });
const netns = "scratch";

let session: OpenSession;
let nth = 0;

async function run(steps: readonly Step[], queries: readonly Query[]): Promise<Facts> {
  return (
    await session.run({ label: `kinds/${++nth}`, stack: "test/lab", queries, decide: () => ({ steps }) })
  ).facts;
}

beforeAll(async () => {
  const { name, address, port, user, hostKey, privateKey } = machines.lab.host("edge");
  session = openSession({ name, address, port, user, hostKey }, { privateKey }, { gatherMs: 1 });
  await run(scratchSteps(netns), []);
}, 60_000);

afterAll(() => session?.close());

describe(`kinds converge on Debian ${release}, over ssh`, () => {
  const cases = Number(process.env.NETLOOM_CASES ?? 3);

  test("sets of routes", async () => {
    await converges({ kind: routes, specs: routesSpecs(netns), run, cases });
  }, 600_000);

  test("sets of rules", async () => {
    await converges({ kind: rules, specs: rulesSpecs(netns), run, cases });
  }, 600_000);

  test("settings", async () => {
    await converges({ kind: sysctls, specs: sysctlsSpecs(netns), run, cases });
  }, 600_000);

  test("namespaces", async () => {
    await converges({ kind: namespace, specs: namespaceSpecs("made"), run, cases });
  }, 600_000);

  test.each(["inet", "ip", "ip6"] as const)(
    "tables of family %s",
    async (family) => {
      await converges({ kind: firewall, specs: firewallSpecs(netns, family), run, cases });
    },
    600_000,
  );
});
