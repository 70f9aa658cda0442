import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { Composite, type LifecycleProps } from "../../lib/synth";
import { Executable } from "../executable";
import { KernelModule, type ModuleSigning } from "../kernel-module";
import { packagedSources, sourcesIn } from "../sources";

/** How the module is built and kept. */
export interface NetAggBuild extends Pick<LifecycleProps, "adopt" | "protect" | "timeouts"> {
  readonly packages?: readonly string[] | undefined;
  readonly sign?: ModuleSigning | undefined;
}

/** The module netagg and its tool on one host, for all the pairs that the host is part of. */
export class NetAggInstallation extends Composite {
  #build: NetAggBuild | undefined;
  #version = "";

  /** Version of the module, once all pairs have said what they want of it. */
  get version(): string {
    return this.#version;
  }

  /** Makes both, in the place of what was made before a later pair said more. */
  make(build: NetAggBuild): void {
    if (isDeepStrictEqual(build, this.#build)) return;
    this.#build = build;
    for (const { node } of this.node.children) this.node.tryRemoveChild(node.id);
    const { packages, sign, ...lifecycle } = build;
    const folder = join(packagedSources("kmod"), "netagg");
    const tool = new Executable(this, "tool", {
      ...lifecycle,
      name: "netagg",
      link: "/usr/local/sbin/netagg",
      folder,
      sources: sourcesIn(folder, "tool"),
    });
    const module = new KernelModule(this, "kernel", {
      ...lifecycle,
      name: "netagg",
      folder,
      // What the tool writes is what it reads.
      keep: { executable: tool, save: ["-W"], clear: ["-F"], restore: ["-I"] },
      ...(packages && { packages }),
      ...(sign && { sign }),
    });
    if (packages !== undefined) tool.node.addDependency(module.node.findChild("packages"));
    this.#version = module.version;
  }
}
