import type { Construct } from "constructs";
import { files } from "../lib/kinds/files";
import type { Input } from "../lib/synth";
import { KernelObject } from "../lib/synth";
import type { InNamespaceProps } from "./common";
import { leafProps } from "./common";

/** One file. */
export interface FileProps {
  /** The whole of its text, UTF-8. End it with a line end: nothing is added. May be a secret. */
  readonly content: Input<string>;
  /**
   * Permissions in octal.
   * @default "0644"
   */
  readonly mode?: string;
  /**
   * User and group by name.
   * @default "root:root"
   */
  readonly owner?: string;
}

/** Text files below one directory of a host. */
export interface FilesProps extends InNamespaceProps {
  /** Absolute path of the folder that the files are in; it is made where it is missing. */
  readonly directory: string;
  /**
   * Tells sets of files in one directory apart in their ids; it does not show up on the host.
   * @default - the construct's id
   */
  readonly name?: string;
  /** Files by path below the directory. Other files there stay as they are. */
  readonly files: Readonly<Record<string, FileProps>>;
}

/**
 * Text files of one directory, each with its mode and owner. A file system is the host's, whatever the namespace.
 *
 * @example
 * new Files(edge, "motd", { directory: "/etc", files: { motd: { content: "Made by a program\n" } } });
 */
export class Files extends KernelObject {
  constructor(scope: Construct, id: string, props: FilesProps) {
    super(scope, id, {
      ...leafProps(props),
      kind: files,
      intent: { directory: props.directory, name: props.name ?? id, files: props.files },
    });
  }
}
