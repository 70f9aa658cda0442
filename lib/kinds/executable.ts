import { z } from "zod";
import { artifactQueries, observeArtifacts, removeArtifact, type Artifact } from "./build/artifact";
import {
  buildDigest,
  compilerFlags,
  missingUnits,
  sortedSources,
  sourceTexts,
  translationUnits,
} from "./build/sources";
import { defined, found } from "./found";
import { defineKind, inPlace, replace, type Located } from "./kind";
import { quoted, safeName, text } from "./schemas";
import type { Facts, Query, Step } from "./step";

/** Where executables are built. */
export const EXECUTABLES = "/var/lib/netloom/executables";

/** Flags that say how to compile, and none that reads, writes or runs anything. */
const FLAG =
  /^-([DU][A-Za-z_][A-Za-z0-9_]*(=[A-Za-z0-9_.-]*)?|O[0-3gs]|g[0-3]?|std=[a-z0-9]+|W[a-z][a-z0-9=-]*|I[A-Za-z0-9_][A-Za-z0-9_./-]*|m(arch|tune)=[a-z0-9-]+|f(no-)?(strict-aliasing|stack-protector|stack-protector-strong|inline|omit-frame-pointer|PIE|pie|common|sanitize=[a-z,]+)|pthread|static|s)$/;

const library = text((value) =>
  /^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}$/.test(value)
    ? undefined
    : `${quoted(value)} is no name of a library: write "mnl" for libmnl`,
);

const linkPath = text((path) => {
  if (path === "") return undefined;
  if (!/^(\/[A-Za-z0-9_@+-][A-Za-z0-9_.@+-]*)+$/.test(path))
    return `${quoted(path)} is not the absolute path of a file, such as /usr/local/sbin/probe`;
  return /^\/(proc|sys|dev|var\/lib\/netloom)\//.test(path)
    ? `${quoted(path)} is no place for it`
    : undefined;
});

const schema = z.strictObject({
  name: safeName.describe("The executable's name."),
  units: translationUnits.describe(
    "Paths of the sources that are compiled, among `sources`: `health/main.c`.",
  ),
  sources: sourceTexts.describe(
    'Text of each source that is compiled and of every header that it includes by `#include "…"`, by path.',
  ),
  flags: compilerFlags(
    FLAG,
    "cc: -D, -U, -O, -g, -W, -std=, -march=, -pthread, -static, some of -f, and -I with a folder of the sources",
  )
    .default([])
    .describe("Flags of cc(1) after the usual `-O2 -Wall`."),
  libraries: z
    .array(library, { error: "must be a list of libraries" })
    .default([])
    .describe("Libraries that it is linked with, in their order, without `lib`: `mnl`, `pthread`."),
  link: linkPath
    .optional()
    .describe(
      'Absolute path of a symbolic link to the executable, such as /usr/local/sbin/probe; "" for none. Something else ' +
        "that is there stays, and is an error.",
    ),
  problem: z.string().optional().describe("Reported, not set: why it has to be built again."),
  stale: z.array(z.string()).optional().describe("Reported, not set: what is there of other sources."),
});

type Spec = z.output<typeof schema>;
type Part = Located<typeof schema>;

/** What an executable is built from. */
export interface ExecutableSources {
  readonly units: readonly string[];
  readonly sources: Readonly<Record<string, string>>;
  readonly flags?: readonly string[];
  readonly libraries?: readonly string[];
}

/** What it is built from, told in 16 hexadecimal digits; the same sources, flags and libraries give the same. */
export function executableDigest({ units, sources, flags = [], libraries = [] }: ExecutableSources): string {
  return buildDigest([units, sortedSources(sources), flags, libraries]);
}

/** Where an executable is on its host. */
export const executablePath = (name: string, digest: string) => `${EXECUTABLES}/${digest}/${name}`;

const artifactAt = (object: string): Artifact => ({ object, record: `${object}.record` });

function placeOf({ name, units, sources, flags, libraries }: Part): Artifact | undefined {
  if (name === undefined || units === undefined || sources === undefined) return undefined;
  return artifactAt(executablePath(name, executableDigest({ units, sources, flags, libraries })));
}

const linkQuery = (path: string): Query => ({ tool: "readlink", paths: [path] });

/** Where a link leads; empty text for what is none. */
const targetOf = (facts: Facts, path: string) =>
  (found(facts, linkQuery(path)) as Record<string, string>)[path];

/** Whether a link leads to a version of the executable. */
const isOurs = (name: string, target: string | undefined) =>
  target?.startsWith(`${EXECUTABLES}/`) === true && target.endsWith(`/${name}`);

/** The links that specs name, each once. */
const linksOf = (specs: readonly Part[]) => [
  ...new Set(specs.flatMap(({ link }) => (link === undefined || link === "" ? [] : [link]))),
];

const compilerQuery: Query = { tool: "cc", args: ["--version"] };

const build = ({ sources, units, flags, libraries }: Spec, artifact: Artifact): Step => ({
  tool: "cc",
  files: sources,
  args: ["-O2", "-Wall", "-I.", ...flags, ...units, ...libraries.map((name) => `-l${name}`)],
  ...artifact,
});

const inTheWay = (link: string) =>
  `something that is not ours is at ${link}: move it away, or give the executable another link`;

/** C sources compiled on the host into an executable that is named by what it was made from. */
export const executable = defineKind({
  token: "netloom:system:Executable",
  description:
    "An executable, built by the host's C compiler, cc(1), into a file below /var/lib/netloom/executables that is " +
    "addressed by a digest of sources, flags and libraries; another compiler builds it again.",
  schema,
  policy: {
    name: replace("the executable is known by its name"),
    units: inPlace(),
    sources: inPlace(),
    flags: inPlace(),
    libraries: inPlace(),
    link: inPlace({ unset: "" }),
    problem: inPlace(),
    stale: inPlace(),
  },
  ownership: "object",
  identity: ({ name }) => [name],
  // The sources are not on the host: there is nothing to import.
  locate: () => undefined,
  check({ name, units, sources, problem, stale }) {
    const reported = Object.keys(defined({ problem, stale }));
    return [
      ...reported.map((property) => ({ path: [property], message: "is reported: it cannot be set" })),
      ...missingUnits("units", units, sources),
      ...(/(\.record|_build)$/.test(name)
        ? [{ path: ["name"], message: `${quoted(name)} ends like the record of a build` }]
        : []),
    ];
  },
  queries(spec) {
    const place = placeOf(spec);
    if (place === undefined) return [];
    return [...artifactQueries(place), compilerQuery, ...linksOf([spec]).map(linkQuery)];
  },
  observe(facts, specs) {
    const present = observeArtifacts(facts, specs, placeOf);
    const [first] = present;
    if (first === undefined) return undefined;
    const now = found(facts, compilerQuery) as string;
    const { isWhole, compiler } = first;
    // A host that has lost its compiler runs on with what was built.
    const isOther = now !== "" && compiler !== now;
    const problem = !isWhole
      ? "it was altered, or is not whole"
      : isOther
        ? `it was built by ${compiler}, and the host's compiler is ${now}`
        : undefined;
    const spec = first.spec as Spec;
    const isLinked = linksOf([spec]).some((path) => targetOf(facts, path) === first.artifact.object);
    const link = spec.link === undefined || isLinked ? spec.link : "";
    const others = [
      ...present.slice(1).map(({ artifact }) => artifact.object),
      ...linksOf(specs).filter((path) => path !== link && isOurs(spec.name, targetOf(facts, path))),
    ];
    return defined({
      ...spec,
      link,
      // One that has to be built again was made from no sources that are wanted.
      ...(problem !== undefined && { sources: {}, problem, stale: [first.artifact.object, ...others] }),
      ...(problem === undefined && others.length > 0 && { stale: others }),
    });
  },
  plan(current, desired, { facts }) {
    const wanted = desired && placeOf(desired);
    const link = desired?.link ?? "";
    if (facts !== undefined && desired !== undefined && link !== "") {
      const target = targetOf(facts, link);
      if (target !== undefined && !isOurs(desired.name, target)) throw new Error(inTheWay(link));
    }
    const now = current && current.problem === undefined ? placeOf(current) : undefined;
    const there = now?.object ?? current?.stale?.[0];
    const gone = [...(now ? [now.object] : []), current?.link ?? "", ...(current?.stale ?? [])];
    const steps: Step[] = [];
    if (desired !== undefined && wanted !== undefined) {
      if (now?.object !== wanted.object) steps.push(build(desired, wanted));
      const isLinked = current?.link === link && there === wanted.object;
      if (link !== "" && !isLinked) steps.push({ tool: "symlink", path: link, target: wanted.object });
    }
    // What was there stays until the build has succeeded; a link goes before what it leads to, by which it is found.
    const useless = gone.filter((one) => one !== "" && one !== wanted?.object && one !== link);
    const isArtifact = (one: string) => one.startsWith(`${EXECUTABLES}/`);
    return [
      ...steps,
      ...useless.filter((one) => !isArtifact(one)).map((path): Step => ({ tool: "remove", path })),
      ...useless.filter(isArtifact).flatMap((one) => removeArtifact(artifactAt(one))),
    ];
  },
  explain(error, { link = "" }) {
    if (/something else is in its place/.test(error)) return `${error}: ${inTheWay(link)}`;
    const library = /cannot find -l([A-Za-z0-9_.+-]+)/.exec(error)?.[1];
    if (library !== undefined) {
      return `${error}\nThe host lacks the library ${library}: install the package that has it for building, such as lib${library}-dev.`;
    }
    const header = /fatal error: ([^\s:]+): No such file or directory/.exec(error)?.[1];
    if (header === undefined) return undefined;
    return /^(stdio|stdlib|string|errno|unistd|stdint|features|assert|bits\/.*)\.h$/.test(header)
      ? `${error}\nThe host lacks the headers of the C library: install the package libc6-dev.`
      : `${error}\nA header in quotes must be among the sources, beside the file that includes it; one in angle brackets ` +
          "is the host's: install the package that has it.";
  },
});
