import { found } from "../found";
import type { Facts, FileFact, Query } from "../step";
import type { Spec } from "./schema";

const FOLDER = "/etc/systemd/system";

/** Paths of what belongs to a unit. */
export const paths = {
  unit: (name: string) => `${FOLDER}/${name}`,
  dropIns: (name: string) => `${FOLDER}/${name}.d`,
  dropIn: (name: string, file: string) => `${FOLDER}/${name}.d/${file}`,
  /** What the unit was last started with, and known to be. systemd does not look there. */
  mark: (name: string) => `/var/lib/netloom-units/${name}.json`,
};

const fileQuery = (path: string): Query => ({ tool: "file", paths: [path] });

const stateQuery = (name: string): Query => ({
  tool: "systemctl",
  args: ["show", "--property=LoadState,ActiveState,UnitFileState", "--", name],
});

/** As much of a spec as names what is looked at. */
export type Located = Partial<Spec>;

export function queries({ name = "", dropIns = {} }: Located): readonly Query[] {
  const files = Object.keys(dropIns).map((file) => paths.dropIn(name, file));
  return [stateQuery(name), ...[paths.unit(name), paths.mark(name), ...files].map(fileQuery)];
}

function contentOf(facts: Facts, path: string): string | undefined {
  return (found(facts, fileQuery(path)) as Record<string, FileFact>)[path]?.content;
}

/** The unit as systemd has it and as its files are; undefined when there is none of the name. */
export function observe(facts: Facts, specs: readonly [Located, ...Located[]]): Spec | undefined {
  const { name = "" } = specs[0];
  const shown = found(facts, stateQuery(name)) as Readonly<Record<string, string>>;
  const content = contentOf(facts, paths.unit(name)) ?? "";
  const files = [...new Set(specs.flatMap((spec) => Object.keys(spec.dropIns ?? {})))].sort();
  const dropIns = Object.fromEntries(
    files.flatMap((file) => {
      const text = contentOf(facts, paths.dropIn(name, file));
      return text === undefined ? [] : [[file, text] as const];
    }),
  );
  const known = content !== "" || (isThere(shown) && !isImplicit(name, shown));
  // What an interrupted removal left of a unit is the unit still.
  if (!known && Object.keys(dropIns).length === 0) return undefined;
  const enabled = enabledOf(shown["UnitFileState"] ?? "");
  return {
    name,
    content,
    dropIns,
    ...(enabled !== undefined && { enabled }),
    state: isRunning(shown) ? "running" : "stopped",
    restartTriggers: triggersOf(contentOf(facts, paths.mark(name))),
  };
}

/** A unit that systemd knows: from a file of somebody's, masked, or running on though its file is gone. */
function isThere(shown: Readonly<Record<string, string>>): boolean {
  return (shown["LoadState"] ?? "not-found") !== "not-found" || isRunning(shown);
}

/** A slice that no file describes: systemd has any slice that is asked for. */
function isImplicit(name: string, { UnitFileState = "" }: Readonly<Record<string, string>>): boolean {
  return name.endsWith(".slice") && UnitFileState === "";
}

/** Undefined for a unit that cannot be enabled or disabled (static, generated, transient). */
function enabledOf(state: string): boolean | undefined {
  if (/^(enabled|enabled-runtime|alias)$/.test(state)) return true;
  return /^(disabled|linked|linked-runtime|indirect|masked|masked-runtime|bad)$/.test(state)
    ? false
    : undefined;
}

/** Reloading is running; starting over and over (`auto-restart`) is not. */
function isRunning({ ActiveState = "" }: Readonly<Record<string, string>>): boolean {
  return /^(active|reloading|refreshing)$/.test(ActiveState);
}

function triggersOf(mark: string | undefined): Record<string, string> {
  if (mark === undefined) return {};
  try {
    const read: unknown = JSON.parse(mark);
    if (typeof read !== "object" || read === null || Array.isArray(read)) return {};
    const entries = Object.entries(read).filter(
      (entry): entry is [string, string] => typeof entry[1] === "string",
    );
    return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
  } catch {
    // Somebody else's text: as good as none, and written anew.
    return {};
  }
}
