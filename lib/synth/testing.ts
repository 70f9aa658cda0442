import { App } from "./app";
import type { Intent } from "./intent";
import { printable, UNKNOWN } from "./intent";
import { resolve } from "./resolve";

/** One object of a resolved plan: what `App.deploy()` would register. */
export interface PlannedResource {
  /** Path of the construct, which is the resource's name. */
  readonly path: string;
  /** Pulumi's type token. */
  readonly token: string;
  /** The resource's name. */
  readonly name: string;
  /** Name of the host. */
  readonly host: string;
  /** The spec; a value that is only known when deployed is `Testing.UNKNOWN`. */
  readonly spec: Intent;
  /** Paths of what must be there before. */
  readonly dependsOn: readonly string[];
  /** Path of the namespace that takes this with it when it goes. */
  readonly deletedWith?: string;
}

/** Helpers for the tests of those who write constructs and programs. They need no engine and touch no host. */
export class Testing {
  /** Stands for a value that is only known when deployed. */
  static readonly UNKNOWN = UNKNOWN;

  /** An empty app. */
  static app(): App {
    return new App();
  }

  /**
   * The plan of a program, in the order in which it would be registered.
   *
   * @throws ValidationError with everything that is wrong with the program
   */
  static synth(app: App): readonly PlannedResource[] {
    return resolve(app).resolved.map(({ leaf, dependsOn, deletedWith }) => ({
      path: leaf.path,
      token: leaf.kind.token,
      name: leaf.path,
      host: leaf.place.host.name,
      spec: printable(leaf.intent) as Intent,
      dependsOn: dependsOn.map((other) => other.path),
      ...(deletedWith !== undefined && { deletedWith: deletedWith.path }),
    }));
  }
}
