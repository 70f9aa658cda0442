import type { Construct } from "constructs";
import { kernelModule } from "../lib/kinds/kernel-module";
import { moduleDigest } from "../lib/kinds/kernel-module/files";
import type { LifecycleProps, PropertyPath } from "../lib/synth";
import { addFindings, Composite, KernelObject, lifecycleOf } from "../lib/synth";
import type { Executable } from "./executable";
import { Packages } from "./packages";
import { readModuleSources } from "./sources";

/** What a module is signed with: files on the host. */
export interface ModuleSigning {
  /** Absolute path of the private key on the host, in PEM form. */
  readonly key: string;
  /** Absolute path of its X.509 certificate on the host, which the kernel trusts (`mokutil --import`). */
  readonly certificate: string;
}

/** How what a module knows is carried over to a new version of it, by a program that knows the module. */
export interface ModuleKeeper {
  /** The program. It is run in each network namespace of the host. */
  readonly executable: Executable;
  /** Its arguments to write what the module knows to standard output. */
  readonly save: readonly string[];
  /** Its arguments to make the module forget it, so that it can be unloaded. */
  readonly clear: readonly string[];
  /** Its arguments to read it from standard input. */
  readonly restore: readonly string[];
}

/** A kernel module, and how it is loaded. */
export interface KernelModuleProps extends LifecycleProps {
  /**
   * The module's name, as lsmod(8) shows it: a letter, then letters, digits and `_`, at most 55.
   * @default - the construct's id
   */
  readonly name?: string;
  /** Absolute path of the folder that holds the sources. A `Kbuild` file in it says how they are built. */
  readonly folder: string;
  /**
   * Paths of the C sources below `folder`, where it has no Kbuild file or that is to be passed over.
   * @default - those that the Kbuild file names; without one, `NAME.c`
   */
  readonly sources?: readonly string[];
  /**
   * Flags of the compiler after the kernel's own: `-D`, `-U`, `-g`, `-W`, `-I`. Not with a Kbuild file, which has them.
   * @default - none
   */
  readonly flags?: readonly string[];
  /**
   * Parameters that it is loaded with, by name (modprobe.d(5)).
   * @default - the module's own
   */
  readonly parameters?: Readonly<Record<string, string>>;
  /**
   * Whether it is loaded when the host starts (modules-load.d(5)).
   * @default true
   */
  readonly loadAtBoot?: boolean;
  /**
   * What it is signed with, for a kernel that loads signed modules only (Secure Boot, `module.sig_enforce`).
   * @default - not signed; such a kernel is told of before anything is built
   */
  readonly sign?: ModuleSigning;
  /**
   * Whether DKMS, where the host has it, builds the module again for each kernel that is installed later.
   * @default true
   */
  readonly dkms?: boolean;
  /**
   * Packages of the distribution that the build needs, such as `["linux-headers-amd64", "gcc", "make"]`.
   * @default - none: they are there, or the error says which are not
   */
  readonly packages?: readonly string[];
  /**
   * How what the module knows is carried over to a new version.
   * @default - it is not
   */
  readonly keep?: ModuleKeeper;
}

/**
 * A kernel module of one's own: built on the host for the kernel that runs, from sources that are read when the
 * program runs, installed for modprobe(8), and loaded, now and when the host starts. A new version is built before it
 * takes the place of the one before; where it does not build or load, that one stays.
 *
 * @example
 * new KernelModule(edge, "netagg", { folder: join(__dirname, "kmod", "netagg"), parameters: { debug: "1" } });
 */
export class KernelModule extends Composite {
  /** The module's name. */
  readonly name: string;
  /** Digest of sources and flags. */
  readonly version: string;

  constructor(scope: Construct, id: string, props: KernelModuleProps) {
    super(scope, id);
    const {
      name = id,
      folder,
      sources,
      flags = [],
      parameters,
      loadAtBoot,
      sign,
      dkms,
      packages,
      keep,
    } = props;
    const { files, units, problems } = readModuleSources(folder, name, sources, flags);
    this.name = name;
    this.version = moduleDigest({ units, sources: files, flags, ...(sign && { sign }) });
    const module = new KernelObject(this, "module", {
      ...lifecycleOf(props),
      kind: kernelModule,
      onBehalfOf: this,
      origin,
      intent: {
        name,
        units,
        sources: files,
        flags,
        parameters,
        loadAtBoot,
        sign,
        dkms,
        ...(keep && {
          keep: {
            executable: keep.executable.path,
            save: [...keep.save],
            clear: [...keep.clear],
            restore: [...keep.restore],
          },
        }),
      },
    });
    if (keep) module.node.addDependency(keep.executable);
    if (packages !== undefined)
      module.node.addDependency(new Packages(this, "packages", { name: `${name}-build`, packages }));
    addFindings(this, () => problems.map((message) => ({ path: ["folder"], message })));
  }
}

/** What is compiled and what is read along with it is one prop. */
function origin([first, ...rest]: PropertyPath): PropertyPath {
  if (first === "units") return ["sources", ...rest];
  return first === undefined ? [] : [first, ...rest];
}
