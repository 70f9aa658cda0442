import * as pulumi from "@pulumi/pulumi";
import type { Input, Intent } from "./intent";
import type { HostRef } from "./place";

/** How a leaf's host is reached, for a plugin that opens connections of its own. */
export interface HostAccess extends HostRef {
  /** PEM text of the private key to log in with, where the program or its configuration names one. */
  readonly privateKey?: Input<string>;
}

/** A resource that another plugin than ours serves, as Pulumi is told of it. */
export interface OtherResource {
  /** Pulumi's type token, such as `command:remote:Command`. */
  readonly token: string;
  /** The plugin's version, exactly. */
  readonly version: string;
  /** What the resource takes. */
  readonly inputs: Intent;
  /** Properties that only the plugin knows; the program's outputs have them. */
  readonly outputs: readonly string[];
  /** Inputs that are secrets, whatever they hold. */
  readonly secrets: readonly string[];
  /** Property paths (`triggers[*]`) whose change makes the resource anew. */
  readonly replaceOnChanges: readonly string[];
}

/** A resource of another plugin, with its outputs by name. */
export class OtherPluginResource extends pulumi.CustomResource {
  readonly #outputs: readonly string[];

  constructor(name: string, resource: OtherResource, opts: pulumi.CustomResourceOptions) {
    const { token, version, inputs, outputs, secrets, replaceOnChanges } = resource;
    const known: pulumi.Inputs = { ...inputs };
    for (const secret of secrets)
      if (known[secret] !== undefined) known[secret] = pulumi.secret(known[secret]);
    // Named here, so that they are outputs from the start.
    for (const output of outputs) known[output] = undefined;
    super(token, name, known, {
      ...opts,
      version,
      additionalSecretOutputs: [...secrets],
      replaceOnChanges: [...replaceOnChanges],
    });
    this.#outputs = outputs;
  }

  /** What the plugin says of it. */
  outputs(): Readonly<Record<string, unknown>> {
    const own = this as unknown as Readonly<Record<string, unknown>>;
    return Object.fromEntries(this.#outputs.map((name) => [name, own[name]]));
  }
}
