import * as pulumi from "@pulumi/pulumi";
import type { HostArgs } from "./resource";

/** What a {@link Provider} takes. */
export interface ProviderArgs {
  /**
   * The private key to log in with, in PEM form; a secret.
   * @default - the user's ssh configuration and agent
   */
  readonly privateKey?: pulumi.Input<string>;
  /**
   * Private keys of hosts that have their own, by host name; secrets.
   * @default - `privateKey` for every host
   */
  readonly hostPrivateKeys?: pulumi.Input<Readonly<Record<string, pulumi.Input<string>>>>;
  /**
   * How to reach the hosts of imported resources, by host name: `[user@]address[:port]`, `local` for this machine,
   * or what a resource's `host` takes.
   * @default - the name itself, as ssh's configuration knows it
   */
  readonly hosts?: pulumi.Input<Readonly<Record<string, pulumi.Input<string | Omit<HostArgs, "name">>>>>;
  /**
   * Forgets resources on hosts that cannot be reached when they are deleted, rather than failing.
   * @default false
   */
  readonly deleteUnreachable?: pulumi.Input<boolean>;
  /**
   * The folder on the hosts for the ledger and the lock.
   * @default - /var/lib/netloom and /run/netloom
   */
  readonly stateDirectory?: pulumi.Input<string>;
}

/** How a stack reaches its hosts. Credentials live here and never in a resource. */
export class Provider extends pulumi.ProviderResource {
  constructor(name: string, args: ProviderArgs = {}, opts: pulumi.ResourceOptions = {}) {
    const { privateKey, hostPrivateKeys, hosts, deleteUnreachable, stateDirectory } = args;
    const inputs = {
      privateKey: privateKey === undefined ? undefined : pulumi.secret(privateKey),
      hostPrivateKeys: hostPrivateKeys === undefined ? undefined : pulumi.secret(asJson(hostPrivateKeys)),
      hosts: asJson(hosts),
      deleteUnreachable: asJson(deleteUnreachable),
      stateDirectory,
    };
    const secrets = { additionalSecretOutputs: ["privateKey", "hostPrivateKeys"] };
    super("netloom", name, inputs, pulumi.mergeOptions(opts, secrets));
  }
}

/** A provider's configuration is made of strings: anything else travels as JSON. */
function asJson(value: pulumi.Input<unknown>): pulumi.Output<string> | undefined {
  return value === undefined ? undefined : pulumi.output(value).apply((known) => JSON.stringify(known));
}
