import { z } from "zod";
import { artifactQueries, observeArtifacts, removeArtifact, type Artifact } from "../build/artifact";
import { buildDigest, compilerFlags, sortedSources, sourcePath, sourceTexts } from "../build/sources";
import { defineKind, inPlace, replace, type Located } from "../kind";
import { quoted } from "../schemas";
import type { Step } from "../step";
import { OBJECTS, pinName } from "./names";

/** Flags that say how to compile, and none that reads, writes or runs anything. */
const FLAG =
  /^-([DU][A-Za-z_][A-Za-z0-9_]*(=[A-Za-z0-9_.-]*)?|O[0-3s]|mcpu=v[1-4]|std=[a-z0-9]+|W[a-z][a-z0-9=-]*|I[A-Za-z0-9_][A-Za-z0-9_./-]*|f(no-)?(unroll-loops|inline|strict-aliasing|short-enums))$/;

const flags = compilerFlags(
  FLAG,
  "clang: -D, -U, -O, -W, -mcpu=v1 to v4, -std= and -I with a folder of the sources",
);

const schema = z.strictObject({
  name: pinName.describe("Names the object on the host: 1 to 48 letters, digits, `_` and `-`."),
  main: sourcePath.describe("Path of the source that is compiled, among `sources`: `shaper/classify.bpf.c`."),
  sources: sourceTexts.describe(
    'Text of the main source and of every header that it includes by `#include "…"`, by path.',
  ),
  flags: flags
    .default([])
    .describe(
      "Flags of clang(1) after the usual `-g -O2 -target bpf -mcpu=v3 -Wall`: -D, -U, -O, -W, -mcpu=, -std=, -I.",
    ),
  buildOn: z
    .enum(["host", "runner"], { error: "must be host or runner" })
    .optional()
    .describe(
      "Whose clang compiles it: the host's, or that of the machine Pulumi runs on, for hosts without one. @default host",
    ),
  stale: z
    .array(z.string())
    .optional()
    .describe("Reported, not set: what is there of other sources, or was altered."),
});

type Spec = z.output<typeof schema>;
type Part = Located<typeof schema>;

/** What an object is built from, told in 16 hexadecimal digits; the same sources and flags give the same. */
export function objectDigest({
  main,
  sources,
  flags = [],
}: Pick<Spec, "main" | "sources"> & { flags?: readonly string[] }): string {
  return buildDigest([main, sortedSources(sources), flags]);
}

/** Where an object is on its host. */
export const objectPath = (name: string, digest: string) => `${OBJECTS}/${digest}/${name}.bpf.o`;

/** Where it is written what came out of the compiler. */
const artifactAt = (object: string): Artifact => ({ object, record: object.replace(/\.o$/, ".record") });

function placeOf(spec: Part): Artifact | undefined {
  const { name, main, sources, flags } = spec;
  if (name === undefined || main === undefined || sources === undefined) return undefined;
  return artifactAt(objectPath(name, objectDigest({ main, sources, flags })));
}

/** Headers of the C library that are the machine's own are elsewhere on each; a folder that is not there is no harm. */
const SYSTEM = ["x86_64", "aarch64", "arm", "riscv64"].flatMap((machine) => [
  "-idirafter",
  `/usr/include/${machine}-linux-gnu${machine === "arm" ? "eabihf" : ""}`,
]);

const build = (spec: Spec, { object, record }: Artifact): Step => ({
  tool: "clang",
  files: spec.sources,
  args: [
    ...["-g", "-O2", "-target", "bpf", "-mcpu=v3", "-Wall", "-fno-stack-protector", "-I.", ...SYSTEM],
    ...spec.flags,
    "-c",
    spec.main,
  ],
  object,
  record,
  ...(spec.buildOn === "runner" && { here: true }),
});

/** eBPF sources compiled on the host into a file that is named by what it was made from. */
export const object = defineKind({
  token: "netloom:bpf:Object",
  description:
    "An eBPF object, compiled by the host's clang(1) into a file below /var/lib/netloom/bpf that is addressed by a " +
    "digest of sources and flags.",
  schema,
  policy: {
    name: replace("the object is known by its name"),
    main: inPlace(),
    sources: inPlace(),
    flags: inPlace(),
    buildOn: inPlace(),
    stale: inPlace(),
  },
  ownership: "object",
  identity: ({ name }) => [name],
  // The sources are not on the host: there is nothing to import.
  locate: () => undefined,
  check({ main, sources, stale }) {
    if (stale !== undefined) return [{ path: ["stale"], message: "is reported: it cannot be set" }];
    if (main in sources) return [];
    return [{ path: ["main"], message: `${quoted(main)} is not among the sources` }];
  },
  queries(spec) {
    const place = placeOf(spec);
    return place === undefined ? [] : artifactQueries(place);
  },
  observe(facts, specs) {
    const present = observeArtifacts(facts, specs, placeOf);
    const [first] = present;
    if (first === undefined) return undefined;
    const { isWhole } = first;
    const spec = first.spec as Spec;
    const others = present.filter((one) => one !== first || !isWhole).map(({ artifact }) => artifact.object);
    const stale = others.length > 0 && { stale: others };
    // One that was altered was made from no sources that anybody knows.
    return { ...spec, ...(!isWhole && { sources: {} }), ...stale };
  },
  plan(current, desired) {
    const wanted = desired && placeOf(desired);
    const now = current && Object.keys(current.sources).length > 0 ? placeOf(current) : undefined;
    const gone = [...(now ? [now.object] : []), ...(current?.stale ?? [])].filter(
      (one) => one !== wanted?.object,
    );
    const made =
      desired === undefined || wanted === undefined || now?.object === wanted.object
        ? []
        : [build(desired, wanted)];
    return [...made, ...gone.flatMap((one) => removeArtifact(artifactAt(one)))];
  },
  explain(error) {
    if (/'bpf\/[a-z_]+\.h' file not found/.test(error))
      return `${error}\nThe host lacks the headers of libbpf: install the package libbpf-dev.`;
    if (/'(asm|linux)\/[a-z_/]+\.h' file not found/.test(error))
      return `${error}\nThe host lacks the kernel's headers for programs: install the package linux-libc-dev.`;
    if (/'[^']+\.h' file not found/.test(error))
      return `${error}\nA header that is included must be among the sources, beside the file that includes it.`;
    return undefined;
  },
});
