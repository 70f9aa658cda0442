import type { Construct } from "constructs";
import { packages } from "../lib/kinds/packages";
import type { PropertyPath } from "../lib/synth";
import { KernelObject } from "../lib/synth";
import type { InNamespaceProps } from "./common";
import { leafProps } from "./common";

/** Packages of the distribution. */
export interface PackagesProps extends InNamespaceProps {
  /**
   * Tells sets of packages apart in their ids; it does not show up on the host.
   * @default - the construct's id
   */
  readonly name?: string;
  /** Packages by the distribution's names: `["bpftool", "ethtool"]`. Their versions are the distribution's to say. */
  readonly packages: readonly string[];
  /**
   * Fetches the package lists (`apt-get update`) before something is installed: for a host whose lists are old or
   * empty.
   * @default false
   */
  readonly updateLists?: boolean;
  /**
   * Removes what was installed for this set when it leaves the set or the set goes. What was there before stays in
   * any case, and so do the packages that came along as dependencies.
   * @default false
   */
  readonly removeOnDelete?: boolean;
}

/**
 * Packages of the distribution that are to be installed: Debian, Ubuntu and their like. Nothing that is there is ever
 * removed or replaced to make room.
 *
 * @example
 * new Packages(edge, "tools", { packages: ["bpftool", "ethtool"] });
 */
export class Packages extends KernelObject {
  constructor(scope: Construct, id: string, props: PackagesProps) {
    const names = props.packages;
    super(scope, id, {
      ...leafProps(props),
      kind: packages,
      intent: {
        name: props.name ?? id,
        packages: Object.fromEntries(names.map((name) => [name, "installed"])),
        // Left out rather than false: what is not asked for is nothing to remember.
        updateLists: props.updateLists === true ? true : undefined,
        removeOnDelete: props.removeOnDelete === true ? true : undefined,
      },
      origin: (path) => nthPackage(path, names),
    });
  }
}

/** The spec knows packages by name, the props by their place in the list. */
function nthPackage(path: PropertyPath, names: readonly string[]): PropertyPath {
  const [first, name] = path;
  const index = names.findIndex((one) => one === name);
  return first === "packages" && index >= 0 ? ["packages", index] : path;
}
