// The one place where a construct reads: the file that the stack's author names.
// eslint-disable-next-line no-restricted-imports -- see above; everything else takes bytes or text
import { readFileSync } from "node:fs";
import { SubscribersError } from "./findings";

/** Gives the bytes of a file that the user names. */
export type ReadFile = (path: string) => Uint8Array;

/**
 * Reads a file of this machine.
 * @throws SubscribersError when there is no such file or it may not be read
 */
export const readLocalFile: ReadFile = (path) => {
  try {
    return readFileSync(path);
  } catch (error) {
    const { code = "unknown error" } = error as NodeJS.ErrnoException;
    const message = code === "ENOENT" ? "no such file" : `cannot be read (${code})`;
    throw new SubscribersError([{ source: path, message }], "the subscribers");
  }
};
