/** Something that the user can put right; its message says what, where and how. Never a stack trace. */
export class UserError extends Error {
  override readonly name: string = "UserError";
}

/** A change that was begun and not finished: the object is there in part and must not be forgotten. */
export class HalfMadeError extends UserError {
  override readonly name = "HalfMadeError";
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  if (error instanceof Error && error.message !== "") return error.message;
  return typeof error === "string" ? error : "an unknown error";
}
