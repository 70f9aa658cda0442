import type { Construct } from "constructs";
import { posix } from "node:path";
import { executable, executableDigest, executablePath } from "../lib/kinds/executable";
import type { LifecycleProps, PropertyPath } from "../lib/synth";
import { addFindings, KernelObject, lifecycleOf } from "../lib/synth";
import { readSources } from "./sources";

/** A program in C, and how it is compiled. */
export interface ExecutableProps extends LifecycleProps {
  /**
   * The executable's name: 1 to 64 letters, digits, `_`, `.` and `-`; unique on its host.
   * @default - the construct's id
   */
  readonly name?: string;
  /** Absolute path of the folder that holds the sources and every header that they include by `#include "…"`. */
  readonly folder: string;
  /** Paths of the C sources below `folder`, such as `["health/main.c", "health/probe.c"]`. */
  readonly sources: readonly string[];
  /**
   * Flags of cc(1) after `-O2 -Wall`: `-D`, `-U`, `-O`, `-g`, `-W`, `-std=`, `-I` with a folder below `folder`,
   * `-march=`, `-pthread`, `-static`.
   * @default - none
   */
  readonly flags?: readonly string[];
  /**
   * Libraries to link with, in their order, without `lib`: `["mnl"]`. The host needs their packages for building.
   * @default - none
   */
  readonly libraries?: readonly string[];
  /**
   * Absolute path of a symbolic link to it, where people look for programs: `/usr/local/sbin/health`. Something else
   * that is there stays, and is an error.
   * @default - none
   */
  readonly link?: string;
}

/**
 * An executable, built on the host by its C compiler from sources that are read when the program runs, into a file
 * that is named by a digest of what it was made from: a changed header builds it again, and a program that runs from
 * the old one goes on until it is started anew. It is in a folder that root alone can enter.
 *
 * @example
 * const health = new Executable(edge, "health", { folder: join(__dirname, "health"), sources: ["health.c"] });
 * new SystemdUnit(edge, "health-service", {
 *   name: "health.service",
 *   content: `[Service]\nExecStart=${health.path}\n[Install]\nWantedBy=multi-user.target\n`,
 *   enabled: true,
 *   state: "running",
 * }).node.addDependency(health);
 */
export class Executable extends KernelObject {
  /** Absolute path of the executable on the host. Another version has another. */
  readonly path: string;
  /** Digest of sources, flags and libraries. */
  readonly version: string;

  constructor(scope: Construct, id: string, props: ExecutableProps) {
    const { name = id, folder, flags = [], libraries = [], link } = props;
    const units = props.sources.map((source) => posix.normalize(source));
    const { files, problems } = readSources(folder, units, flags);
    super(scope, id, {
      ...lifecycleOf(props),
      kind: executable,
      intent: { name, units, sources: files, flags, libraries, link },
      origin,
    });
    this.version = executableDigest({ units, sources: files, flags, libraries });
    this.path = executablePath(name, this.version);
    addFindings(this, () => problems.map((message) => ({ path: ["sources"], message })));
  }
}

/** What is compiled and what is read along with it is one prop. */
function origin([first, ...rest]: PropertyPath): PropertyPath {
  return first === "units" ? ["sources", ...rest] : first === undefined ? [] : [first, ...rest];
}
