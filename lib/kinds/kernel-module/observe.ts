import { artifactQueries, observeArtifacts, type FoundArtifact } from "../build/artifact";
import { defined, found } from "../found";
import type { Facts, FileFact, ModuleFact, Query } from "../step";
import { artifactOf, bootText, dkmsVersion, paths, readOptions } from "./files";
import type { Part, Spec } from "./schema";

const moduleQuery = (name: string): Query => ({ tool: "kernel-module", args: [name] });
const fileQuery = (path: string): Query => ({ tool: "file", paths: [path] });
const compilerQuery: Query = { tool: "cc", args: ["--version"] };

export function queries(spec: Part): readonly Query[] {
  const { name } = spec;
  if (name === undefined) return [];
  const artifact = artifactOf(spec);
  return [
    moduleQuery(name),
    fileQuery(paths.options(name)),
    fileQuery(paths.boot(name)),
    ...(artifact === undefined ? [] : [...artifactQueries(artifact), compilerQuery]),
  ];
}

/** The module as it is; undefined when there is nothing of it. */
export function observe(facts: Facts, specs: readonly [Part, ...Part[]]): Spec | undefined {
  const { name = "" } = specs[0];
  const fact = found(facts, moduleQuery(name)) as ModuleFact;
  const file = (path: string) => (found(facts, fileQuery(path)) as Record<string, FileFact>)[path];
  const [options, boot] = [file(paths.options(name)), file(paths.boot(name))];
  const present = observeArtifacts(facts, specs, artifactOf);
  const [first] = present;
  const isThere = [options, boot, fact.installed, fact.loaded, first].some((one) => one !== undefined);
  if (!isThere) return undefined;
  const parameters = readOptions(name, options);
  const rest = {
    parameters,
    loadAtBoot: boot?.content === bootText(name),
    loaded: fact.loaded !== undefined,
  };
  if (first === undefined) {
    // Somebody else's, or what is left of ours without what it was made from.
    return {
      name,
      units: [],
      sources: {},
      flags: [],
      dkms: fact.dkms.added.length > 0,
      ...rest,
      problems: ["build", "load"],
    };
  }
  const spec = first.spec as Spec;
  const build = needsBuild(facts, first, spec, fact);
  const load = needsLoad(first, spec, fact, parameters);
  const problem = build ?? load;
  const stale = present.slice(1).map(({ artifact }) => artifact.object);
  return defined({
    ...spec,
    ...rest,
    dkms: isRegistered(fact, spec),
    ...(problem !== undefined && {
      // What is there was made from no sources that are wanted.
      sources: {},
      reason: problem,
      problems: build === undefined ? ["load" as const] : ["build" as const, "load" as const],
      stale: [first.artifact.object, ...stale],
    }),
    ...(problem === undefined && stale.length > 0 && { stale }),
  });
}

/** Whether DKMS builds it for each new kernel; where there is no DKMS, all is as it is wanted. */
function isRegistered({ dkms: { isThere, added } }: ModuleFact, spec: Spec): boolean {
  if (!isThere) return spec.dkms;
  return spec.dkms ? added.length === 1 && added[0] === dkmsVersion(spec) : added.length > 0;
}

/** Whether DKMS has built the module of these sources for the kernel that runs, signed as is wanted. */
const isByDkms = (spec: Spec, fact: ModuleFact) => fact.dkms.installed.includes(dkmsVersion(spec));

function needsBuild(
  facts: Facts,
  { isWhole, compiler, lines }: FoundArtifact<Part>,
  spec: Spec,
  fact: ModuleFact,
): string | undefined {
  if (!isWhole) return "the module's file was altered, or is not whole";
  if (isByDkms(spec, fact)) return undefined;
  const [release = ""] = lines;
  if (release !== fact.release) return `it was built for ${release}, and the kernel is ${fact.release}`;
  const now = found(facts, compilerQuery) as string;
  return now === "" || now === compiler
    ? undefined
    : `it was built by ${compiler}, and the host's compiler is ${now}`;
}

function needsLoad(
  { sum }: FoundArtifact<Part>,
  spec: Spec,
  { installed, loaded, dkms, release }: ModuleFact,
  parameters: Readonly<Record<string, string>>,
): string | undefined {
  if (installed !== sum && !isByDkms(spec, { installed, loaded, dkms, release }))
    return installed === undefined ? "it is not installed" : "another module is installed in its place";
  if (loaded === undefined) return undefined;
  if (!loaded.isInstalled) return "the module that is loaded is not the one that is installed";
  const other = Object.entries(parameters).find(([name, value]) => {
    const now = loaded.parameters[name];
    return now !== undefined && !isSame(now, value);
  });
  return other && `it was loaded with another ${other[0]}`;
}

/** Values of a parameter as the kernel prints them: a bool as Y or N (param_get_bool in kernel/params.c). */
function isSame(shown: string, wanted: string): boolean {
  const plain = (value: string) => (/^[Yy1]$/.test(value) ? "1" : /^[Nn0]$/.test(value) ? "0" : value);
  const number = (value: string) =>
    /^0[xX][0-9a-fA-F]+$/.test(value) ? String(Number(value)) : plain(value);
  return number(shown) === number(wanted);
}
