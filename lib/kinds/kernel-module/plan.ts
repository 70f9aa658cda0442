import { isDeepStrictEqual } from "node:util";
import { removeArtifact } from "../build/artifact";
import type { Step } from "../step";
import {
  artifactAt,
  artifactOf,
  bootText,
  buildFiles,
  dkmsFiles,
  dkmsVersion,
  optionsText,
  paths,
} from "./files";
import type { Spec } from "./schema";

const write = (path: string, content: string): Step => ({
  tool: "write",
  path,
  file: { content, mode: "0644", owner: "root:root" },
});

/** Built first; what is loaded gives way only to what has been built. */
export function change(current: Spec | undefined, desired: Spec): readonly Step[] {
  const { name, sign, keep, dkms } = desired;
  const wanted = artifactOf(desired)!;
  const problems = current?.problems ?? [];
  const isThere = current !== undefined && isArtifactOf(current, wanted.object);
  const isBuilt = isThere && !problems.includes("build");
  const steps: Step[] = [];
  if (!isBuilt) {
    const signing = sign && { sign };
    steps.push({ tool: "kbuild", files: buildFiles(desired), module: name, ...wanted, ...signing });
  }
  const hasNewParameters = !isDeepStrictEqual(current?.parameters ?? {}, desired.parameters);
  if (hasNewParameters) {
    steps.push(
      Object.keys(desired.parameters).length > 0
        ? write(paths.options(name), optionsText(desired))
        : { tool: "remove", path: paths.options(name) },
    );
  }
  if (desired.loadAtBoot !== (current?.loadAtBoot ?? false)) {
    steps.push(
      desired.loadAtBoot
        ? write(paths.boot(name), bootText(name))
        : { tool: "remove", path: paths.boot(name) },
    );
  }
  const isReady = isBuilt && problems.length === 0 && !hasNewParameters && current.loaded;
  if (desired.loaded && !isReady) {
    steps.push({
      tool: "module-load",
      module: name,
      object: wanted.object,
      ...(keep && { keep }),
    });
  }
  // After it has been loaded: until then the one before is DKMS's.
  if (isThere ? current.dkms !== dkms : dkms || current?.dkms === true) {
    const sources = dkms ? { version: dkmsVersion(desired), files: dkmsFiles(desired) } : {};
    steps.push({ tool: "module-dkms", module: name, ...sources });
  }
  if (!desired.loaded && current?.loaded === true) steps.push({ tool: "module-unload", module: name });
  return [...steps, ...outdated(current, wanted.object)];
}

/** Whether what is there was made from what is wanted. */
function isArtifactOf(current: Spec, object: string): boolean {
  const own = Object.keys(current.sources).length > 0 ? artifactOf(current)?.object : undefined;
  return own === object || (current.stale?.[0] === object && current.reason !== undefined);
}

/** Removes what was built of other sources. */
function outdated(current: Spec | undefined, wanted: string | undefined): Step[] {
  if (current === undefined) return [];
  const own = Object.keys(current.sources).length > 0 ? artifactOf(current)?.object : undefined;
  const there = new Set([...(own === undefined ? [] : [own]), ...(current.stale ?? [])]);
  return [...there].filter((one) => one !== wanted).flatMap((one) => removeArtifact(artifactAt(one)));
}

/** It goes out of the kernel first, which refuses while it is in use: nothing has changed then. */
export function removal(current: Spec): readonly Step[] {
  const { name, parameters, loadAtBoot, loaded } = current;
  return [
    ...(loaded ? [{ tool: "module-unload", module: name } as const] : []),
    ...(loadAtBoot ? [{ tool: "remove", path: paths.boot(name) } as const] : []),
    ...(Object.keys(parameters).length > 0 ? [{ tool: "remove", path: paths.options(name) } as const] : []),
    { tool: "module-remove", module: name },
    ...outdated(current, undefined),
  ];
}
