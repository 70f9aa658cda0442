import { files } from "../kinds/files";
import { resourceOf } from "./resource";

/** Text files of a directory. */
export class Files extends resourceOf(files) {}
