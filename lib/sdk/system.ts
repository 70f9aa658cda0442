import { executable } from "../kinds/executable";
import { files } from "../kinds/files";
import { packages } from "../kinds/packages";
import { unit } from "../kinds/unit";
import { resourceOf } from "./resource";

/** An executable built from C sources. */
export class Executable extends resourceOf(executable) {}

/** Text files of a directory. */
export class Files extends resourceOf(files) {}

/** Packages of the distribution. */
export class Packages extends resourceOf(packages) {}

/** A systemd unit. */
export class Unit extends resourceOf(unit) {}
