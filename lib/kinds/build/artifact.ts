import { found } from "../found";
import type { Facts, FileFact, Query, Step } from "../step";

/** A file that is built on the host, and the record of what came out of the compiler. */
export interface Artifact {
  readonly object: string;
  readonly record: string;
}

/** What is there of an artifact. */
export interface ArtifactState {
  /** Whether it is as it came out of the compiler. */
  readonly isWhole: boolean;
  /** SHA-256 that the record says; empty where there is none. */
  readonly sum: string;
  /** The compiler's name and version; empty where there is no record. */
  readonly compiler: string;
  /** What the record says besides. */
  readonly lines: readonly string[];
}

const recordQuery = ({ record }: Artifact): Query => ({ tool: "file", paths: [record] });
const sumQuery = ({ object }: Artifact): Query => ({ tool: "sha256sum", paths: [object] });

/** Which facts {@link observeArtifact} needs. */
export const artifactQueries = (artifact: Artifact): readonly Query[] => [
  recordQuery(artifact),
  sumQuery(artifact),
];

/** An artifact as it is; undefined when there is nothing of it. */
export function observeArtifact(facts: Facts, artifact: Artifact): ArtifactState | undefined {
  const sum = (found(facts, sumQuery(artifact)) as Record<string, string>)[artifact.object];
  const record = (found(facts, recordQuery(artifact)) as Record<string, FileFact>)[artifact.record];
  if (sum === undefined && record === undefined) return undefined;
  const [built = "", compiler = "", ...lines] = record?.content.split("\n") ?? [];
  return { isWhole: sum !== undefined && built === sum, sum: built, compiler, lines };
}

const folderOf = (path: string) => path.slice(0, path.lastIndexOf("/"));

/** Removes an artifact, and the folders above it that this leaves empty, as many as are named. */
export function removeArtifact({ object, record }: Artifact, folders = 2): readonly Step[] {
  const prune: string[] = [];
  for (let folder = folderOf(object); prune.length < folders; folder = folderOf(folder)) prune.push(folder);
  return [
    { tool: "remove", path: record },
    { tool: "remove", path: object, prune },
  ];
}

/** An artifact that was found, and the spec that it was built for. */
export interface FoundArtifact<Spec> extends ArtifactState {
  readonly artifact: Artifact;
  readonly spec: Spec;
}

/** The artifacts of all specs that are there, each once, in the order of the specs. */
export function observeArtifacts<Spec>(
  facts: Facts,
  specs: readonly Spec[],
  place: (spec: Spec) => Artifact | undefined,
): FoundArtifact<Spec>[] {
  const seen = new Set<string>();
  return specs.flatMap((spec) => {
    const artifact = place(spec);
    if (artifact === undefined || seen.has(artifact.object)) return [];
    seen.add(artifact.object);
    const state = observeArtifact(facts, artifact);
    return state === undefined ? [] : [{ artifact, spec, ...state }];
  });
}
