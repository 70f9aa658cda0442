import { link, type LinkKind } from "../../../lib/kinds/link";
import { converges } from "../../support/converge";
import { closeShared, run } from "../../support/host";
import { linkSpecs, type Surroundings } from "../../support/link-specs";
import type { Step } from "../../../lib/kinds/step";

const prefix = `nlt-${process.pid}-l`;
const namespaces = ["0", "1", "2"].map((n) => `${prefix}${n}`);
const [netns = "", ...others] = namespaces;
const around: Surroundings = {
  netns,
  others,
  masters: ["br0", "br1"],
  otherMasters: ["br0"],
  below: "below",
  vlanFiltering: false,
};

const inside = (ns: string, ...args: string[]): Step => ({ tool: "ip", netns: ns, args });

beforeAll(async () => {
  await run(namespaces.map((ns) => ({ tool: "ip", args: ["netns", "add", ns] })));
  await run(
    namespaces.flatMap((ns) => [
      inside(ns, "link", "add", "name", "br0", "up", "type", "bridge"),
      inside(ns, "link", "add", "name", "br1", "up", "type", "bridge"),
    ]),
  );
});

afterAll(async () => {
  await run(namespaces.map((ns) => ({ tool: "ip", args: ["netns", "del", ns] })));
  await closeShared();
});

describe("links on this kernel converge, also after an interruption", () => {
  // The kinds that this machine's kernel has; the others are tested in a virtual machine.
  const families: readonly (readonly LinkKind[])[] = [["veth"], ["bridge"], ["vxlan"], ["ifb"]];

  test.each(families)(
    "from any %s to any other",
    async (...kinds) => {
      await converges({ kind: link, specs: linkSpecs(kinds, around), run, cases: 8 });
    },
    180_000,
  );

  test("from any kind to any other", async () => {
    const specs = linkSpecs(["veth", "bridge", "vxlan", "ifb"], around);
    await converges({ kind: link, specs, run, cases: 8 });
  });
});
