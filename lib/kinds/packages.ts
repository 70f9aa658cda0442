import { z } from "zod";
import { found } from "./found";
import { defineKind, inPlace, replace, type Located } from "./kind";
import { recordError } from "./records";
import { quoted, safeName, text } from "./schemas";
import type { Facts, Query, Step } from "./step";

const SEGMENT = "packages";

/** Debian's policy manual, 5.6.1. A "-" at the end would have apt-get remove what is before it. */
const packageName = text((name) =>
  /^[a-z0-9][a-z0-9+.-]{0,126}[a-z0-9+.]$/.test(name)
    ? undefined
    : `${quoted(name)} is no name of a package: two or more small letters, digits, "+", "." and "-"`,
);

const flag = z.literal(true, { error: "must be true, or left out" }).optional();

const schema = z.strictObject({
  name: safeName
    .default("packages")
    .describe("Tells sets of packages apart in their ids; it does not show up on the host."),
  packages: z
    .record(packageName, z.literal("installed", { error: 'must be "installed"' }), {
      error: recordError('must be an object such as { "ethtool": "installed" }'),
    })
    .superRefine((packages, context) => {
      if (Object.keys(packages).length === 0)
        context.addIssue({ code: "custom", message: "names no package: leave the whole set out" });
    })
    .overwrite((packages) =>
      Object.fromEntries(Object.entries(packages).sort(([a], [b]) => (a < b ? -1 : 1))),
    )
    .describe("Packages by name. Which version it is is the distribution's to say."),
  updateLists: flag.describe("Fetches the package lists (apt-get update) before something is installed."),
  removeOnDelete: flag.describe(
    "Removes what was installed for this set when it leaves the set. What was there before stays in any case.",
  ),
});

type Spec = z.output<typeof schema>;

// One query a package: what is asked for is then the same whether it is looked at alone or among others.
const query = (name: string): Query => ({ tool: "dpkg-query", args: [name] });

/** Second letter of dpkg's state: the package is there, configured; a third says that something is wrong. */
const INSTALLED = /^.i ?$/;

function isInstalled(facts: Facts, name: string): boolean {
  const fact = facts.get(query(name));
  if (!fact.ok && fact.error.includes("no dpkg on this host")) {
    throw new Error(
      "it has no dpkg: Packages knows Debian, Ubuntu and their like only. Install what is needed with the " +
        "distribution's own package manager, and leave Packages out",
    );
  }
  const packages = found(facts, query(name)) as Record<string, { readonly state: string }>;
  return INSTALLED.test(packages[name]?.state ?? "");
}

const membersOf = (spec: Located<typeof schema>): string[] => Object.keys(spec.packages ?? {});

const without = (members: readonly string[], others: Spec["packages"] | undefined): string[] =>
  members.filter((name) => others === undefined || !(name in others));

/** Packages of the distribution. What of them was there before is never touched. */
export const packages = defineKind({
  token: "netloom:system:Packages",
  description: "Packages of the distribution that are installed on a host.",
  schema,
  policy: {
    name: replace("the set is known by its name"),
    packages: inPlace(),
    updateLists: inPlace(),
    removeOnDelete: inPlace(),
  },
  // A package is there for everybody: whoever installs it first does not own it, but what we add can be taken back.
  ownership: "setting",
  identity: ({ name }) => [SEGMENT, name],
  // Which packages belong together is written nowhere on the host, and one that is there needs no import.
  locate: () => undefined,
  queries: (spec) => membersOf(spec).map(query),
  observe(facts, specs) {
    const { name = "packages", updateLists, removeOnDelete } = specs[0];
    // What stays when it leaves the set is not looked at once it has left.
    const members = removeOnDelete === true ? specs.flatMap(membersOf) : membersOf(specs[0]);
    const there = [...new Set(members)].sort().filter((member) => isInstalled(facts, member));
    return {
      name,
      packages: Object.fromEntries(there.map((member) => [member, "installed" as const])),
      ...(updateLists && { updateLists }),
      ...(removeOnDelete && { removeOnDelete }),
    };
  },
  plan(current, desired) {
    if (desired === undefined) return [];
    const missing = without(Object.keys(desired.packages), current?.packages);
    const gone =
      current?.removeOnDelete === true ? without(Object.keys(current.packages), desired.packages) : [];
    const steps: Step[] = [];
    if (missing.length > 0) {
      if (desired.updateLists === true) steps.push({ tool: "apt-get", args: ["update"] });
      // Nothing that is there gives way to what is installed.
      steps.push({ tool: "apt-get", args: ["--no-remove", "install", "--", ...missing] });
    }
    // Unlike apt-get, dpkg refuses to remove what another package needs, rather than removing that, too. It is asked
    // first, because a removal that it refuses it still takes note of.
    if (gone.length > 0) {
      steps.push(
        { tool: "dpkg", args: ["--no-act", "--remove", "--", ...gone] },
        { tool: "dpkg", args: ["--remove", "--", ...gone] },
      );
    }
    return steps;
  },
  explain(error) {
    const absent = /Unable to locate package (\S+)|Package '?(\S+?)'? has no installation candidate/.exec(
      error,
    );
    if (absent !== null) {
      return (
        `${error}. The host's package sources have no ${absent[1] ?? absent[2]}: check the name, have the lists fetched ` +
        "first (updateLists: true), or add the source that has it to /etc/apt/sources.list.d."
      );
    }
    if (/dpkg was interrupted/.test(error))
      return `${error}. An earlier installation on the host was cut short: run dpkg --configure -a there.`;
    if (/dependency problems/.test(error))
      return `${error}. Another package needs it by now: remove that first, or leave removeOnDelete out.`;
    if (/lock/.test(error) && /apt-get|dpkg/.test(error))
      return `${error}. Another package manager is at work on the host (unattended-upgrades, perhaps): try again.`;
    if (/Failed to fetch|Could not resolve|Temporary failure/.test(error))
      return `${error}. The host cannot reach its package sources: check its DNS and its way out.`;
    if (/but --no-remove|Packages need to be removed/.test(error))
      return `${error}. Something that is installed would have to go for it, which Packages never does.`;
    return undefined;
  },
});
