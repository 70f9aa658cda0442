import { isDeepStrictEqual } from "node:util";
import type { AnySpec } from "./kind";

/**
 * The properties in which what is there differs from what is wanted. A property that the program leaves out is
 * not looked at.
 */
export function disagreements(desired: AnySpec, state: AnySpec): string[] {
  return Object.keys(desired).filter(
    (property) => desired[property] !== undefined && !isDeepStrictEqual(desired[property], state[property]),
  );
}
