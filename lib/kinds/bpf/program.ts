import { z } from "zod";
import { found } from "../found";
import { defineKind, inPlace, replace, type Located } from "../kind";
import { recordError } from "../records";
import { quoted, set, text } from "../schemas";
import type { Facts, PinsFact, Query, Step } from "../step";
import { isAlike, mapLayouts, migrationProblem, type MapLayout } from "./btf";
import { folderOf, mapPin, pinName, symbol, version } from "./names";
import { countersOf, statisticsFindings, statisticsSchema } from "./statistics";

const objectFile = text((path) =>
  /^\/[A-Za-z0-9_./@+-]+\.o$/.test(path) && !path.includes("..")
    ? undefined
    : `${quoted(path)} is not the absolute path of an object file such as /var/lib/netloom/bpf/x/mux.bpf.o`,
);

const layout = z.strictObject({ type: z.number(), key: z.string(), value: z.string(), rest: z.string() });

const schema = z.strictObject({
  name: pinName.describe("Names the folder of its pins: /sys/fs/bpf/netloom/NAME."),
  object: objectFile.describe("Path of the object file on the host."),
  version: version.describe(
    "Tells what is in the object: its digest. Another one is loaded beside the one in use, which it then replaces.",
  ),
  programs: set(symbol)
    .optional()
    .describe(
      "Programs that the object must bring, by the names of their functions. @default whatever it has",
    ),
  onMapChange: z
    .enum(["refuse", "migrate", "recreate"])
    .default("migrate")
    .describe(
      "What becomes of a map that the new version lays out otherwise. `migrate` copies its entries where only its " +
        "size or type is another, and refuses where keys or values are; `recreate` starts with an empty one.",
    ),
  sharedMaps: z
    .record(symbol, pinName, { error: recordError("must be an object of program names by map") })
    .optional()
    .describe("Maps that are another Program's: by the map's name, the name of the Program that has it."),
  statistics: statisticsSchema
    .optional()
    .describe("What the programs count in their maps, by what a table is called: for `netloom stats`."),
  loaded: z
    .strictObject({
      folder: z.string(),
      maps: z.record(z.string(), layout),
      next: z.record(z.string(), layout),
    })
    .optional()
    .describe("Reported, not set: the folder in use, and how the maps of it and of the object are laid out."),
});

type Spec = z.output<typeof schema>;
type Part = Located<typeof schema>;

const pinsQuery = ({ name = "" }: Part): Query => ({ tool: "bpf-pins", path: folderOf(name) });
const objectQuery = ({ object = "" }: Part): Query => ({
  tool: "bpftool",
  args: ["btf", "dump", "file", object],
});

/** How bpftool says that a file is not there, or has no BTF. */
const NO_BTF = /failed to load BTF|No such file|Unknown BTF|btf/i;

/** The layouts of an object file's maps. One that is not there yet has none: loading it says so. */
function layoutsIn(facts: Facts, spec: Part): Record<string, MapLayout> {
  return spec.object === undefined ? {} : mapLayouts(found(facts, objectQuery(spec), NO_BTF));
}

/** The version that a folder is of. A second load of one version is in a folder of its own. */
const versionOf = (folder: string) => folder.replace(/_b$/, "");

function freshFolder({ version: wanted }: Spec, inUse: string | undefined): string {
  return inUse === wanted ? `${wanted}_b` : wanted;
}

/** Pins of sections of plain data are named after the object; they are made anew with each version. */
const missingMaps = ({ maps }: PinsFact, layouts: Readonly<Record<string, MapLayout>>) =>
  Object.keys(layouts).filter((name) => !(name in maps));

function loadSteps(spec: Spec, current: Spec | undefined): Step[] {
  const { name, object, onMapChange, sharedMaps = {} } = spec;
  const loaded = current?.loaded;
  const root = folderOf(name);
  const into = freshFolder(spec, loaded?.folder);
  const shared = Object.entries(sharedMaps);
  const [reuse, migrate]: [string[], string[]] = [[], []];
  for (const [map, next] of Object.entries(loaded?.next ?? {})) {
    const now = loaded?.maps[map];
    if (now === undefined || map in sharedMaps) continue;
    if (isAlike(now, next)) reuse.push(map);
    else if (onMapChange !== "recreate") {
      const problem =
        onMapChange === "refuse" ? "it is laid out otherwise than before" : migrationProblem(now, next);
      if (problem !== undefined)
        throw new Error(
          `the map ${map} of ${name} would lose its entries: ${problem}. The version before keeps running. ` +
            'Set onMapChange: "recreate" to start with an empty map; entries that a program declares are filled in again',
        );
      migrate.push(map);
    }
  }
  const keep = loaded === undefined ? [] : ["current", loaded.folder];
  return [
    { tool: "bpf-rm", path: root, keep },
    { tool: "bpf-mkdir", path: `${root}/${into}/maps` },
    {
      tool: "bpftool",
      args: [
        ...["prog", "loadall", object, `${root}/${into}/programs`],
        ...reuse.flatMap((map) => ["map", "name", map, "pinned", mapPin(name, map)]),
        ...shared.flatMap(([map, owner]) => ["map", "name", map, "pinned", mapPin(owner, map)]),
        ...["pinmaps", `${root}/${into}/maps`],
      ],
    },
    ...migrate.map((map): Step => ({
      tool: "bpf-copy",
      from: mapPin(name, map),
      to: `${root}/${into}/maps/${map}`,
    })),
    { tool: "bpf-ln", target: into, path: `${root}/current` },
    { tool: "bpf-rm", path: root, keep: ["current", into] },
  ];
}

/** The programs of an object, loaded and pinned with their maps. */
export const program = defineKind({
  token: "netloom:bpf:Program",
  description:
    "The programs of an eBPF object, loaded and pinned with their maps below /sys/fs/bpf/netloom/NAME (bpftool-prog(8)). " +
    "A new version takes over the maps of the one before it.",
  schema,
  policy: {
    name: replace("the pins are known by their name"),
    object: inPlace(),
    version: inPlace(),
    programs: inPlace(),
    onMapChange: inPlace(),
    sharedMaps: inPlace(),
    statistics: inPlace(),
    loaded: inPlace(),
  },
  ownership: "object",
  identity: ({ name }) => [name],
  locate: ([name, ...more]) => (name === undefined || more.length > 0 ? undefined : { name }),
  check: ({ loaded, statistics }) => [
    ...(loaded === undefined ? [] : [{ path: ["loaded"], message: "is reported: it cannot be set" }]),
    ...statisticsFindings(statistics),
  ],
  statistics: ({ name, statistics }) => countersOf(name, statistics),
  queries: (spec) => [pinsQuery(spec), ...(spec.object === undefined ? [] : [objectQuery(spec)])],
  observe(facts, specs) {
    const [wanted] = specs;
    const pins = found(facts, pinsQuery(wanted)) as PinsFact;
    if (pins.current === undefined) return undefined;
    const maps = mapLayouts(pins.btf);
    const inUse = versionOf(pins.current);
    const { onMapChange = "migrate", programs, sharedMaps, statistics } = wanted;
    const of = specs.find((spec) => spec.version === inUse) ?? wanted;
    const whole = missingMaps(pins, maps).length === 0 && Object.keys(pins.programs).length > 0;
    return {
      name: wanted.name ?? "",
      object: of.object ?? "",
      version: whole ? inUse : "incomplete",
      ...(programs && { programs: programs.filter((one) => one in pins.programs) }),
      onMapChange,
      ...(of.sharedMaps && sharedMaps && { sharedMaps: of.sharedMaps }),
      // What the counters are called is ours to say, and nowhere on the host.
      ...(statistics && { statistics }),
      loaded: {
        folder: pins.current,
        maps: Object.fromEntries(Object.entries(maps).filter(([name]) => name in pins.maps)),
        next: layoutsIn(facts, wanted),
      },
    };
  },
  plan(current, desired) {
    if (desired === undefined)
      return current === undefined ? [] : [{ tool: "bpf-rm", path: folderOf(current.name) }];
    const same =
      current?.version === desired.version &&
      current.object === desired.object &&
      (desired.programs ?? []).every((one) => current.programs?.includes(one)) &&
      JSON.stringify(current.sharedMaps ?? {}) === JSON.stringify(desired.sharedMaps ?? {});
    return same ? [] : loadSteps(desired, current);
  },
  explain(error, { object, programs }) {
    if (/failed to open object|No such file or directory.*\.o\b/.test(error))
      return `${error}\n${object} is not on the host: build it first (bpf:Object).`;
    if (/BTF is required|failed to find valid kernel BTF|kernel BTF is missing|vmlinux BTF/i.test(error))
      return (
        `${error}\nThe host's kernel has no BTF (/sys/kernel/btf/vmlinux), which this object needs: use a kernel with ` +
        "CONFIG_DEBUG_INFO_BTF, or a program without CO-RE relocations."
      );
    if (/Operation not permitted/.test(error) && /memlock|RLIMIT/i.test(error))
      return `${error}\nThe limit of locked memory is too low on this kernel: raise memlock in /etc/security/limits.conf.`;
    if (/is not there after the steps/.test(error) && programs)
      return `${error}\nThe object has no program of the names ${programs.join(", ")}.`;
    return undefined;
  },
});
