import * as pulumi from "@pulumi/pulumi";
import type { IConstruct } from "constructs";
import { KernelResource, Provider, type ProviderArgs } from "../sdk";
import type { AppProps } from "./app";
import { outputsOf } from "./composite";
import { compact } from "./intent";
import type { HostRef } from "./place";
import type { DefinedPlace } from "./program";
import type { Resolution, Resolved } from "./resolve";

/** What `App.deploy()` returns: by construct path, the id of an object or the outputs of a composite. */
export type Deployed = Readonly<Record<string, pulumi.Output<string> | Readonly<Record<string, unknown>>>>;

/** Registers a program that passed every check: components for scopes, one resource for each leaf. */
export function register({ resolved, places }: Resolution, props: AppProps): Deployed {
  const provider = new Provider("netloom", providerArgs(props, places));
  const resources = new Map<IConstruct, pulumi.Resource>();
  const outputs: Record<string, pulumi.Output<string> | Readonly<Record<string, unknown>>> = {};

  const resourceOf = (construct: IConstruct | undefined): pulumi.Resource | undefined => {
    // The root is the stack itself.
    if (construct?.node.scope === undefined) return undefined;
    const known = resources.get(construct);
    if (known !== undefined) return known;
    const parent = resourceOf(construct.node.scope);
    const type = `netloom:construct:${construct.constructor.name || "Construct"}`;
    const component = new pulumi.ComponentResource(type, construct.node.path, {}, { parent });
    resources.set(construct, component);
    return component;
  };

  for (const entry of resolved) {
    const { leaf } = entry;
    const resource = new KernelResource(
      leaf.kind.token,
      leaf.path,
      { ...leaf.intent, host: hostInput(leaf.place.host), ...ownership(entry) },
      options(entry, provider, resourceOf),
    );
    resources.set(leaf.construct, resource);
    outputs[leaf.path] = resource.id;
  }

  for (const [construct, resource] of resources) {
    if (!pulumi.ComponentResource.isInstance(resource)) continue;
    const own = outputsOf(construct);
    if (own !== undefined) outputs[construct.node.path] = own;
    (resource as unknown as { registerOutputs(o: pulumi.Inputs): void }).registerOutputs(own ?? {});
  }
  return outputs;
}

function options(
  { leaf, dependsOn, deletedWith }: Resolved,
  provider: Provider,
  resourceOf: (construct: IConstruct | undefined) => pulumi.Resource | undefined,
): pulumi.CustomResourceOptions {
  const { protect, retainOnDelete, timeouts } = leaf.construct.kernelObject;
  const present = (construct: IConstruct) => {
    const resource = resourceOf(construct);
    return resource === undefined ? [] : [resource];
  };
  return compact({
    provider,
    parent: resourceOf(leaf.construct.node.scope),
    dependsOn: dependsOn.flatMap((before) => present(before.construct)),
    deletedWith: deletedWith && resourceOf(deletedWith.construct),
    protect,
    retainOnDelete,
    customTimeouts: timeouts,
  });
}

/** Only what reaches the host: credentials are the provider's. */
function hostInput(host: HostRef) {
  const { name, address, port, user, hostKey, jumpHost } = host;
  return compact({ name, address, port, user, hostKey, jumpHost });
}

function ownership({ leaf }: Resolved) {
  const { adopt, deleteAdopted } = leaf.construct.kernelObject;
  return compact({ adopt, deleteAdopted });
}

/** The app's word goes before the stack's configuration; keys are secrets wherever they come from. */
function providerArgs(props: AppProps, places: readonly DefinedPlace[]): ProviderArgs {
  const config = new pulumi.Config("netloom");
  const privateKey = props.privateKey ?? config.getSecret("privateKey");
  const own = places.flatMap(({ place }) =>
    place.privateKey === undefined ? [] : [[place.host.name, place.privateKey] as const],
  );
  return compact({
    privateKey,
    hostPrivateKeys:
      own.length === 0
        ? config.getSecretObject<Record<string, string>>("hostPrivateKeys")
        : Object.fromEntries(own),
    hosts: config.getObject<Record<string, string>>("hosts"),
    deleteUnreachable: props.deleteUnreachable ?? config.getBoolean("deleteUnreachable"),
    stateDirectory: props.stateDirectory ?? config.get("stateDirectory"),
  });
}
