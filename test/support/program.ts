import * as pulumi from "@pulumi/pulumi";

/**
 * Evaluates a program of `stacks/` as the CLI would, afresh each time, but with the Pulumi of this process, which
 * is the one that runs it.
 */
export function stackProgram(name: string): () => Promise<Record<string, unknown>> {
  return () => {
    let outputs: Record<string, unknown> = {};
    jest.isolateModules(() => {
      jest.doMock("@pulumi/pulumi", () => pulumi);
      outputs = jest.requireActual(`../../stacks/${name}`);
    });
    return Promise.resolve(outputs);
  };
}
