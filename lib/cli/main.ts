#!/usr/bin/env node
import { Command, CommanderError } from "commander";

import { labCommand } from "./lab";
import { statsCommand } from "./stats";

const program = new Command("netloom")
  .description("Linux network data planes as code: what is not Pulumi's own")
  .addCommand(labCommand())
  .addCommand(statsCommand())
  .showHelpAfterError("(--help shows what there is)")
  .exitOverride();
for (const command of allOf(program)) command.exitOverride();

program.parseAsync().catch((error: unknown) => {
  // Commander has printed its own complaints, and help is no failure.
  if (error instanceof CommanderError) process.exitCode = error.exitCode;
  else {
    console.error(`netloom: ${messageOf(error)}`);
    process.exitCode = 1;
  }
});

function* allOf(command: Command): Generator<Command> {
  for (const child of command.commands) {
    yield child;
    yield* allOf(child);
  }
}

function messageOf(error: unknown): string {
  if (process.env.NETLOOM_DEBUG && error instanceof Error && error.stack) return error.stack;
  return error instanceof Error ? error.message : String(error);
}
