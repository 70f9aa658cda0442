import pc from "picocolors";

/** A heading before a part of the demo. */
export function heading(text: string): void {
  console.log(`\n${pc.bold(pc.cyan(text))}`);
}

/** One thing that was shown to hold. */
export function shown(text: string): void {
  console.log(`${pc.green("✓")} ${text}`);
}

/** What a program printed, set off from our own words. */
export function quoted(text: string): void {
  console.log(
    text
      .trimEnd()
      .split("\n")
      .map((line) => `  ${pc.dim("│")} ${line}`)
      .join("\n"),
  );
}

/** Something that should have held and does not: ends the demo with this text alone, without a stack trace. */
export class DemoError extends Error {
  override readonly name = "DemoError";
}

/** Ends the program with an error in the user's words. */
export function fail(error: unknown): void {
  console.error(pc.red(error instanceof Error ? error.message : String(error)));
  if (process.env["NETLOOM_DEBUG"] && error instanceof Error) console.error(error.stack);
  process.exitCode = 1;
}
