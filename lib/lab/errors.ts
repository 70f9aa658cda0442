/** A failure of the lab that its message explains in full: the command line prints it without a stack. */
export class LabError extends Error {
  override readonly name = "LabError";
}
