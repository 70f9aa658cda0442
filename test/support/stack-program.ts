import * as pulumi from "@pulumi/pulumi";
import * as netloom from "netloom";
import { registered, type Registered } from "../unit/synth/mocks";

/** Runs a program of stacks/ as the engine would, and returns what it registered. */
export async function runProgram(
  program: string,
  config: Record<string, string> = {},
  stack = "test",
): Promise<readonly Registered[]> {
  let exports: unknown;
  const { resources } = await registered(
    () => {
      // The program alone is evaluated afresh: netloom and the SDK are those of this test.
      jest.isolateModules(() => {
        jest.doMock("netloom", () => netloom);
        jest.doMock("@pulumi/pulumi", () => pulumi);
        // eslint-disable-next-line @typescript-eslint/no-require-imports -- it runs when it is loaded
        exports = require(`../../stacks/${program}`);
      });
      return exports;
    },
    { config, stack },
  );
  return resources;
}
