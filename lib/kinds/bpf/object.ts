import { createHash } from "node:crypto";
import { z } from "zod";
import { found } from "../found";
import { defineKind, inPlace, replace, type Located } from "../kind";
import { recordError } from "../records";
import { quoted, text } from "../schemas";
import type { FileFact, Query, Step } from "../step";
import { OBJECTS, pinName } from "./names";

const path = text((value) =>
  /^[A-Za-z0-9_][A-Za-z0-9_.-]*(\/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$/.test(value) && value.length <= 200
    ? undefined
    : `${quoted(value)} is not a relative path of letters, digits, "_", "-", "." and "/"`,
);

/** Flags that say how to compile, and none that reads, writes or runs anything. */
const FLAG =
  /^-([DU][A-Za-z_][A-Za-z0-9_]*(=[A-Za-z0-9_.-]*)?|O[0-3s]|mcpu=v[1-4]|std=[a-z0-9]+|W[a-z][a-z0-9=-]*|I[A-Za-z0-9_][A-Za-z0-9_./-]*|f(no-)?(unroll-loops|inline|strict-aliasing|short-enums))$/;

const flag = text((value) =>
  FLAG.test(value) && !value.includes("..")
    ? undefined
    : `${quoted(value)} is not among the flags that are passed to clang: -D, -U, -O, -W, -mcpu=v1 to v4, -std= and -I ` +
      "with a folder of the sources",
);

const schema = z.strictObject({
  name: pinName.describe("Names the object on the host: 1 to 48 letters, digits, `_` and `-`."),
  main: path.describe("Path of the source that is compiled, among `sources`: `shaper/classify.bpf.c`."),
  sources: z
    .record(
      path,
      z.string({ error: "must be text" }).refine((content) => !content.includes("\0"), "holds a NUL byte"),
      { error: recordError("must be an object of texts by relative path") },
    )
    .overwrite((sources) => Object.fromEntries(Object.entries(sources).sort(([a], [b]) => (a < b ? -1 : 1))))
    .describe('Text of the main source and of every header that it includes by `#include "…"`, by path.'),
  flags: z
    .array(flag, { error: "must be a list of flags" })
    .default([])
    .describe(
      "Flags of clang(1) after the usual `-g -O2 -target bpf -mcpu=v3 -Wall`: -D, -U, -O, -W, -mcpu=, -std=, -I.",
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
  const parts = Object.entries(sources).sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash("sha256")
    .update(JSON.stringify([main, parts, flags]))
    .digest("hex")
    .slice(0, 16);
}

/** Where an object is on its host. */
export const objectPath = (name: string, digest: string) => `${OBJECTS}/${digest}/${name}.bpf.o`;

/** Where it is written what came out of the compiler. */
const recordOf = (path: string) => path.replace(/\.o$/, ".record");

interface Place {
  readonly object: string;
  readonly record: string;
}

function placeOf(spec: Part): Place | undefined {
  const { name, main, sources, flags } = spec;
  if (name === undefined || main === undefined || sources === undefined) return undefined;
  const object = objectPath(name, objectDigest({ main, sources, flags }));
  return { object, record: recordOf(object) };
}

const recordQuery = ({ record }: Place): Query => ({ tool: "file", paths: [record] });
const sumQuery = ({ object }: Place): Query => ({ tool: "sha256sum", paths: [object] });

/** Headers of the C library that are the machine's own are elsewhere on each; a folder that is not there is no harm. */
const SYSTEM = ["x86_64", "aarch64", "arm", "riscv64"].flatMap((machine) => [
  "-idirafter",
  `/usr/include/${machine}-linux-gnu${machine === "arm" ? "eabihf" : ""}`,
]);

const build = (spec: Spec, { object, record }: Place): Step => ({
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
});

const folderOf = (path: string) => path.slice(0, path.lastIndexOf("/"));

const remove = (path: string): Step[] => [
  { tool: "remove", path: recordOf(path) },
  { tool: "remove", path, prune: [folderOf(path), folderOf(folderOf(path))] },
];

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
    return place === undefined ? [] : [recordQuery(place), sumQuery(place)];
  },
  observe(facts, specs) {
    const present = new Map<string, { spec: Spec; isWhole: boolean }>();
    for (const spec of specs) {
      const place = placeOf(spec);
      if (place === undefined || present.has(place.object)) continue;
      const sum = (found(facts, sumQuery(place)) as Record<string, string>)[place.object];
      const record = (found(facts, recordQuery(place)) as Record<string, FileFact>)[place.record];
      if (sum === undefined && record === undefined) continue;
      const isWhole = record?.content.startsWith(`${sum}\n`) === true;
      present.set(place.object, { spec: spec as Spec, isWhole });
    }
    const [first] = present;
    if (first === undefined) return undefined;
    const [path, { spec, isWhole }] = first;
    const others = [...present.keys()].filter((one) => one !== path || !isWhole);
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
    return [...made, ...gone.flatMap(remove)];
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
