import { netaggRules } from "../kinds/netagg-rules";
import { resourceOf } from "./resource";

/** Rules of the kernel module netagg. */
export class Rules extends resourceOf(netaggRules) {}
