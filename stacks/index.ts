/**
 * The program of the project's `Pulumi.yaml`: the one that the configuration names (`netloom:program`), else the
 * one that the stack's name begins with (`gre-lab`, `gre-lab-dev`).
 */
import * as pulumi from "@pulumi/pulumi";

/* eslint-disable @typescript-eslint/no-require-imports -- a program runs when it is loaded: only the chosen one may be */
const programs: Readonly<Record<string, () => unknown>> = {
  "gre-lab": () => require("./gre-lab") as unknown,
  "gre-two-hosts": () => require("./gre-two-hosts") as unknown,
  netagg: () => require("./netagg") as unknown,
  "geneve-mux": () => require("./geneve-mux") as unknown,
  "l4-lb": () => require("./l4-lb") as unknown,
  "isp-in-a-box": () => require("./isp-in-a-box") as unknown,
};
/* eslint-enable @typescript-eslint/no-require-imports */

function chosen(): () => unknown {
  const stack = pulumi.getStack();
  const named = new pulumi.Config("netloom").get("program");
  const begins = Object.keys(programs).filter((name) => stack === name || stack.startsWith(`${name}-`));
  const program = programs[named ?? begins.sort((a, b) => b.length - a.length)[0] ?? ""];
  if (program !== undefined) return program;
  const known = Object.keys(programs).join(", ");
  throw new pulumi.RunError(
    named === undefined
      ? `the stack ${stack} has the name of no program: name it ${known} (or gre-lab-dev and the like), ` +
          `or run 'pulumi config set netloom:program <name>'`
      : `netloom:program is ${named}, and there is none of that name: they are ${known}`,
  );
}

module.exports = chosen()();
