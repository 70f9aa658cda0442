interface RawIssue {
  readonly code?: string;
  readonly issues?: readonly { readonly message: string }[];
}

/** The message of a z.record: what is wrong with a key where it is the key, else that it is no such object. */
export function recordError(otherwise: string): (issue: RawIssue) => string {
  return ({ code, issues }) => (code === "invalid_key" ? (issues?.[0]?.message ?? otherwise) : otherwise);
}
