import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { link, type LinkInput } from "../../../lib/kinds/link";
import type { Step } from "../../../lib/kinds/step";

interface Case {
  readonly name: string;
  readonly current: LinkInput | null;
  readonly desired: LinkInput | null;
  readonly steps: readonly string[];
}

const folder = join(__dirname, "../../fixtures/link/plan");
const files = readdirSync(folder).map((file): [string, Case[]] => [
  file.replace(".json", ""),
  JSON.parse(readFileSync(join(folder, file), "utf8")) as Case[],
]);

const context = { owner: "netloom:p/s" };
const parse = (input: LinkInput | null) => (input === null ? undefined : link.schema.parse(input));

/** A step as a person would read it: `[site1] ip link set dev gre1 up`. */
function told(step: Step): string {
  const within = "netns" in step && step.netns !== undefined ? `[${step.netns}] ` : "";
  if (step.tool === "ip") return `${within}ip ${step.args.join(" ")}`;
  if (step.tool !== "sysctl") throw new Error(`no link needs ${step.tool}`);
  const values = Object.entries(step.values).map(([key, value]) => `${key}=${value}`);
  return `${within}sysctl ${values.join(" ")}`;
}

describe.each(files)("plans of %s", (_, cases) => {
  test.each(cases.map((one) => [one.name, one] as const))("%s", (_name, { current, desired, steps }) => {
    expect(link.plan(parse(current), parse(desired), context).map(told)).toEqual(steps);
  });

  test.each(cases.filter(({ desired }) => desired !== null).map((one) => [one.name, one] as const))(
    "%s: nothing is left to do of it",
    (_name, { desired }) => {
      expect(link.plan(parse(desired), parse(desired), context)).toEqual([]);
    },
  );

  test.each(cases.filter(({ desired }) => desired !== null).map((one) => [one.name, one] as const))(
    "%s: check has nothing against it",
    (_name, { desired }) => {
      const spec = parse(desired);
      expect(spec && link.check?.(spec)).toEqual([]);
    },
  );
});

describe("plans of what is not ours", () => {
  const spec = (input: LinkInput) => link.schema.parse(input);

  test("a physical link that is not there is refused", () => {
    const wanted = spec({ netns: "site1", name: "eno9", kind: "physical" });
    expect(() => link.plan(undefined, wanted, context)).toThrow("there is no link eno9 in netns site1");
  });

  test("a link that netloom does not make is not replaced by one of its own", () => {
    const [there, wanted] = [spec({ name: "tun0", kind: "physical" }), spec({ name: "tun0", kind: "dummy" })];
    expect(() => link.plan(there, wanted, context)).toThrow("cannot be replaced");
  });
});
