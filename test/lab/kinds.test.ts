import { firewall } from "../../lib/kinds/firewall";
import { namespace } from "../../lib/kinds/namespace";
import { routes } from "../../lib/kinds/routes";
import { rules } from "../../lib/kinds/rules";
import { sysctls } from "../../lib/kinds/sysctls";
import { converges } from "../support/converge";
import { withLab } from "../support/lab";
import { labRelease, labRunner } from "../support/lab-runner";
import { firewallSpecs } from "../support/specs/firewall";
import { namespaceSpecs } from "../support/specs/namespace";
import { routesSpecs } from "../support/specs/routes";
import { rulesSpecs } from "../support/specs/rules";
import { sysctlsSpecs } from "../support/specs/sysctls";

const machines = withLab(["edge"], [], { release: labRelease });
const netns = "scratch";

const run = labRunner(machines, "kinds", netns);

describe(`kinds converge on Debian ${labRelease}, over ssh`, () => {
  const cases = Number(process.env.NETLOOM_CASES ?? 3);

  test("sets of routes", async () => {
    await converges({ kind: routes, specs: routesSpecs(netns), run, cases });
  });

  test("sets of rules", async () => {
    await converges({ kind: rules, specs: rulesSpecs(netns), run, cases });
  });

  test("settings", async () => {
    await converges({ kind: sysctls, specs: sysctlsSpecs(netns), run, cases });
  });

  test("namespaces", async () => {
    await converges({ kind: namespace, specs: namespaceSpecs("made"), run, cases });
  });

  test.each(["inet", "ip", "ip6"] as const)(
    "tables of family %s",
    async (family) => {
      await converges({ kind: firewall, specs: firewallSpecs(netns, family), run, cases });
    },
    600_000,
  );
});
