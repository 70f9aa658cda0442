import { Testing, ValidationError, type App } from "../../../lib/synth";

/** The lines of the error that a program is refused with, without the first; none when it is accepted. */
export function refusals(app: App): string[] {
  try {
    Testing.synth(app);
    return [];
  } catch (error) {
    if (!(error instanceof ValidationError)) throw error;
    return error.message
      .split("\n")
      .slice(1)
      .map((line) => line.trim());
  }
}
