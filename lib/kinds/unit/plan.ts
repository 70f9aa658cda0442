import { isDeepStrictEqual } from "node:util";
import type { Step } from "../step";
import { paths } from "./observe";
import { isInstallable, PENDING, type Spec } from "./schema";

const systemctl = (...args: string[]): Step => ({ tool: "systemctl", args });

const write = (path: string, content: string): Step => ({
  tool: "write",
  path,
  file: { content, mode: "0644", owner: "root:root" },
});

function writeMark(name: string, triggers: Readonly<Record<string, string>>): Step {
  if (Object.keys(triggers).length > 0) return write(paths.mark(name), `${JSON.stringify(triggers)}\n`);
  return { tool: "remove", path: paths.mark(name), prune: [paths.mark(name).replace(/\/[^/]*$/, "")] };
}

/** The files that differ, and whether any does. */
function fileSteps(current: Spec | undefined, desired: Spec): Step[] {
  const { name } = desired;
  const steps: Step[] = [];
  if (desired.content !== undefined && desired.content !== (current?.content ?? "")) {
    steps.push(
      desired.content === ""
        ? { tool: "remove", path: paths.unit(name) }
        : write(paths.unit(name), desired.content),
    );
  }
  const now = current?.dropIns ?? {};
  for (const [file, content] of Object.entries(desired.dropIns)) {
    if (now[file] !== content) steps.push(write(paths.dropIn(name, file), content));
  }
  for (const file of Object.keys(now)) {
    if (file in desired.dropIns) continue;
    steps.push({ tool: "remove", path: paths.dropIn(name, file), prune: [paths.dropIns(name)] });
  }
  return steps;
}

/**
 * The smallest change. A unit that runs is restarted at most once, after everything it depends on is in place. That
 * it still has to be is written down before its files change, and what it was started with after it was: a run that
 * ends in between is taken up by the next.
 */
export function change(current: Spec | undefined, desired: Spec): readonly Step[] {
  const { name } = desired;
  refuse(current, desired);
  const files = fileSteps(current, desired);
  const triggers = current?.restartTriggers ?? {};
  const isPending = PENDING in triggers;
  const runs = current?.state === "running";
  const restarts =
    runs &&
    desired.state !== "stopped" &&
    (files.length > 0 || isPending || isNewIn(desired.restartTriggers, triggers));
  const marks = current !== undefined && files.length > 0 && !isPending;
  const steps: Step[] = [];
  if (marks) steps.push(writeMark(name, { ...triggers, [PENDING]: "changed since its last start" }));
  steps.push(...files);
  if (files.length > 0 || isPending) steps.push(systemctl("daemon-reload"));
  if (desired.enabled !== undefined && desired.enabled !== current?.enabled)
    steps.push(systemctl(desired.enabled ? "enable" : "disable", "--", name));
  if (desired.state === "stopped" && runs) steps.push(systemctl("stop", "--", name));
  if (desired.state === "running" && !runs) steps.push(systemctl("start", "--", name));
  if (restarts) steps.push(systemctl("restart", "--", name));
  if (marks || !isDeepStrictEqual(triggers, desired.restartTriggers))
    steps.push(writeMark(name, desired.restartTriggers));
  return steps;
}

/** Whether something is to be started with that it was not started with. What is looked at no longer is nothing new. */
function isNewIn(wanted: Spec["restartTriggers"], known: Spec["restartTriggers"]): boolean {
  return Object.entries(wanted).some(([name, digest]) => known[name] !== digest);
}

/** Everything of ours goes, and the unit is stopped and disabled before its file does. */
export function removal(current: Spec): readonly Step[] {
  const { name } = current;
  const steps: Step[] = [];
  if (current.state === "running") steps.push(systemctl("stop", "--", name));
  if (current.enabled === true) steps.push(systemctl("disable", "--", name));
  const files = fileSteps(current, { ...current, content: "", dropIns: {} });
  steps.push(...files);
  if (Object.keys(current.restartTriggers).length > 0) steps.push(writeMark(name, {}));
  if (files.length > 0) {
    steps.push(systemctl("daemon-reload"));
    // One that had failed is remembered without its file. The pattern fits this name alone, and unlike the name
    // itself it is no error when systemd has forgotten the unit already.
    steps.push(systemctl("reset-failed", "--", `${name.slice(0, -1)}[${name.slice(-1)}]`));
  }
  return steps;
}

/** @throws Error for what no step can bring about */
function refuse(current: Spec | undefined, desired: Spec): void {
  const { name } = desired;
  const brings = desired.content !== undefined && desired.content !== "";
  if (current === undefined && !brings) {
    throw new Error(
      `there is no unit ${name}: give its content, or install the package that brings it first (Packages)`,
    );
  }
  const isStatic = current !== undefined && current.enabled === undefined && !brings;
  if (isStatic && desired.enabled === true && !Object.values(desired.dropIns).some(isInstallable)) {
    throw new Error(
      `${name} cannot be enabled: its unit file has no [Install] section. Leave enabled out; it is started by what ` +
        "needs it",
    );
  }
}
