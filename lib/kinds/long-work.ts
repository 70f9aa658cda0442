import { basename } from "node:path";
import type { Step } from "./step";

/** What a step that may take minutes is doing, such as `building netagg.ko`; undefined for one that takes none. */
function longStep(step: Step): string | undefined {
  if (step.tool === "kbuild") return `building ${step.module}.ko`;
  if (step.tool === "clang" || step.tool === "cc") return `building ${basename(step.object)}`;
  if (step.tool !== "apt-get") return undefined;
  const packages = step.args.slice(step.args.indexOf("--") + 1);
  return step.args.includes("install") ? `installing ${packages.join(" ")}` : "fetching package lists";
}

/** What there is to wait for in some steps, to tell whoever waits; undefined when there is nothing. */
export function longWork(steps: readonly Step[]): string | undefined {
  const long = steps.flatMap((step) => longStep(step) ?? []);
  return long.length === 0 ? undefined : long.join(", ");
}
