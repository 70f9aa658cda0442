import type { Construct, IConstruct } from "constructs";
import { join } from "node:path";
import { Composite } from "../../lib/synth";
import { Executable } from "../executable";
import type { Host } from "../host";
import { KernelModule, type ModuleSigning } from "../kernel-module";
import { packagedSources, sourcesIn } from "../sources";

/** What the build of the module may need. */
export interface NetAggBuild {
  readonly packages?: readonly string[];
  readonly sign?: ModuleSigning;
}

/** The module netagg and its tool on one host, for all the pairs that the host is part of. */
export class NetAggInstallation extends Composite {
  /** Version of the module. */
  readonly version: string;

  constructor(scope: Construct, id: string, { packages, sign }: NetAggBuild) {
    super(scope, id);
    const folder = join(packagedSources("kmod"), "netagg");
    const tool = new Executable(this, "tool", {
      name: "netagg",
      folder,
      sources: sourcesIn(folder, "tool"),
    });
    const module = new KernelModule(this, "kernel", {
      name: "netagg",
      folder,
      // What the tool writes is what it reads.
      keep: { executable: tool, save: ["-W"], clear: ["-F"], restore: ["-I"] },
      ...(packages && { packages }),
      ...(sign && { sign }),
    });
    if (packages !== undefined) tool.node.addDependency(module.node.findChild("packages"));
    this.version = module.version;
  }
}

/** The installation of a host; made when it is first asked for, after what is given. */
export function netaggOn(host: Host, build: NetAggBuild, after: readonly IConstruct[]): NetAggInstallation {
  const known = host.node.tryFindChild("netagg");
  const made = known instanceof NetAggInstallation ? known : new NetAggInstallation(host, "netagg", build);
  made.node.addDependency(...after);
  return made;
}
