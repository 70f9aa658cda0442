import * as pulumi from "@pulumi/pulumi";
import type { z } from "zod";
import type { Kind } from "../kinds/kind";

/** How to reach a host. Only `name` says which host it is: another address or key is no change of its objects. */
export interface HostArgs {
  /** Names the host in ids and in the ledger. */
  readonly name: pulumi.Input<string>;
  /**
   * Host name or address for ssh.
   * @default - this machine, without ssh
   */
  readonly address?: pulumi.Input<string>;
  /**
   * TCP port of ssh, 1 to 65535.
   * @default - ssh's own
   */
  readonly port?: pulumi.Input<number>;
  /**
   * Login name.
   * @default - ssh's own
   */
  readonly user?: pulumi.Input<string>;
  /**
   * The host's public key: `ssh-ed25519 AAAA...`.
   * @default - the user's known_hosts
   */
  readonly hostKey?: pulumi.Input<string>;
  /**
   * The host to go through: `user@address:port`, as ssh's -J.
   * @default - none
   */
  readonly jumpHost?: pulumi.Input<string>;
}

/** What every resource takes. */
export interface CommonArgs {
  /** The host that the object is on. */
  readonly host: pulumi.Input<HostArgs>;
  /**
   * Takes over an object that is there already. What it was before is put back when the resource is deleted.
   * @default false
   */
  readonly adopt?: pulumi.Input<boolean>;
  /**
   * Deletes an adopted object with the resource, rather than putting back what it was.
   * @default false
   */
  readonly deleteAdopted?: pulumi.Input<boolean>;
}

/** A value in which every part may be one that Pulumi knows only later. */
export type DeepInput<T> = pulumi.Input<
  T extends readonly (infer Item)[]
    ? readonly DeepInput<Item>[]
    : T extends object
      ? { readonly [Key in keyof T]: DeepInput<T[Key]> }
      : T
>;

/** What a kind's resource takes besides {@link CommonArgs}: its schema's input. */
export type SpecArgs<Schema extends z.ZodObject> = {
  readonly [Property in keyof z.input<Schema>]: DeepInput<z.input<Schema>[Property]>;
};

/** What a kind's resource takes. */
export type KindArgs<Schema extends z.ZodObject> = CommonArgs & SpecArgs<Schema>;

/** What a kind's resource has: its inputs in canonical form, and what is known of the host. */
export type KindOutputs<Schema extends z.ZodObject> = {
  readonly [Property in keyof z.output<Schema>]-?: pulumi.Output<z.output<Schema>[Property]>;
};

/** A resource of any kind, by its type token. */
export class KernelResource extends pulumi.CustomResource {
  /** The host that the object is on. */
  declare readonly host: pulumi.Output<pulumi.Unwrap<HostArgs>>;
  /** The machine-id of the host that the object is on. */
  declare readonly machineId: pulumi.Output<string>;

  /**
   * @param token Pulumi's type token, such as `netloom:net:Link`
   * @param name the resource's name in its stack
   * @param args the kind's properties and {@link CommonArgs}; undefined only for one that is read by its id
   */
  constructor(
    token: string,
    name: string,
    args: (CommonArgs & Readonly<Record<string, unknown>>) | undefined,
    opts: pulumi.CustomResourceOptions = {},
  ) {
    // What the provider adds is named here, so that it is an output from the start.
    const inputs: pulumi.Inputs = { ...args, machineId: undefined, schemaVersion: undefined };
    super(token, name, inputs, opts);
  }
}

/** A class of resources of one kind. */
export interface KindClass<Schema extends z.ZodObject> {
  /** Pulumi's type token. */
  readonly token: string;
  new (
    name: string,
    args: KindArgs<Schema>,
    opts?: pulumi.CustomResourceOptions,
  ): KernelResource & KindOutputs<Schema>;
  /** Reads one that is there already, by its id such as `edge/site1/gre1`. */
  get(
    name: string,
    id: pulumi.Input<pulumi.ID>,
    opts?: pulumi.CustomResourceOptions,
  ): KernelResource & KindOutputs<Schema>;
}

/** Makes the class of a kind. */
export function resourceOf<Schema extends z.ZodObject>(kind: Kind<Schema>): KindClass<Schema> {
  const absent = Object.fromEntries(Object.keys(kind.schema.shape).map((property) => [property, undefined]));
  class KindResource extends KernelResource {
    static readonly token: string = kind.token;

    static get(name: string, id: pulumi.Input<pulumi.ID>, opts?: pulumi.CustomResourceOptions) {
      return new this(name, undefined, { ...opts, id });
    }

    constructor(name: string, args: KindArgs<Schema> | undefined, opts?: pulumi.CustomResourceOptions) {
      const given = args as (CommonArgs & Readonly<Record<string, unknown>>) | undefined;
      if (given === undefined && opts?.id === undefined)
        throw new Error(`${kind.token} ${name} needs its arguments`);
      super(
        kind.token,
        name,
        { ...absent, ...given } as CommonArgs & Readonly<Record<string, unknown>>,
        opts,
      );
    }
  }
  return KindResource as unknown as KindClass<Schema>;
}
