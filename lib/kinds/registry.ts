import type { AnyKind } from "./kind";
import { link } from "./link";

/** Every kind that the provider serves. Adding one is its file, its fixtures and its line here. */
export const kinds: readonly AnyKind[] = [link];

/** The kind of a type token. */
export function kindOf(token: string): AnyKind | undefined {
  return kinds.find((kind) => kind.token === token);
}
