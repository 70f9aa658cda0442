import { sysctls } from "../kinds/sysctls";
import { resourceOf } from "./resource";

/** Kernel settings of a host or of one namespace. */
export class Sysctls extends resourceOf(sysctls) {}
