import { kernelModule } from "../kinds/kernel-module";
import { sysctls } from "../kinds/sysctls";
import { resourceOf } from "./resource";

/** A kernel module, built and loaded. */
export class Module extends resourceOf(kernelModule) {}

/** Kernel settings of a host or of one namespace. */
export class Sysctls extends resourceOf(sysctls) {}
