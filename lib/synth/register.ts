import * as pulumi from "@pulumi/pulumi";
import type { IConstruct } from "constructs";
import { KernelResource, Provider, type ProviderArgs } from "../sdk";
import type { AppProps } from "./app";
import { outputsOf } from "./composite";
import { compact, type Input, type Intent } from "./intent";
import { OtherPluginResource } from "./other-plugin";
import type { HostRef, Place } from "./place";
import type { DefinedPlace, Leaf } from "./program";
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
    const { servedElsewhere } = leaf.construct.kernelObject;
    if (servedElsewhere !== undefined) {
      const privateKey = privateKeyFor(leaf.place, props);
      const other = servedElsewhere(leaf.intent, compact({ ...leaf.place.host, privateKey }));
      const resource = new OtherPluginResource(leaf.path, other, options(entry, undefined, resourceOf));
      resources.set(leaf.construct, resource);
      outputs[leaf.path] = resource.outputs();
      continue;
    }
    const resource = new KernelResource(
      leaf.kind.token,
      leaf.path,
      { ...withSecrets(leaf), host: hostInput(leaf.place.host), ...ownership(entry) },
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
  provider: Provider | undefined,
  resourceOf: (construct: IConstruct | undefined) => pulumi.Resource | undefined,
): pulumi.CustomResourceOptions {
  const { protect, retainOnDelete, timeouts } = leaf.construct.kernelObject;
  const present = (construct: IConstruct) => {
    const resource = resourceOf(construct);
    return resource === undefined ? [] : [resource];
  };
  const lost = dependsOn
    .filter((before) => goesWith(leaf, before))
    .flatMap(({ construct }) => present(construct));
  return compact({
    provider,
    parent: resourceOf(leaf.construct.node.scope),
    dependsOn: dependsOn.flatMap((before) => present(before.construct)),
    deletedWith: deletedWith && resourceOf(deletedWith.construct),
    ...(lost.length > 0 && { replaceWith: lost, deleteBeforeReplace: true }),
    protect,
    retainOnDelete,
    customTimeouts: timeouts,
  });
}

/**
 * Whether the kernel takes one object away with a link that is made again: its routes, qdiscs and programs, what is its
 * port or on top of it. A tunnel only uses the address of the link that it was made after.
 */
function goesWith(leaf: Leaf, before: Leaf): boolean {
  const links = before.claims.flatMap((claim) => (claim.claim === "interface" ? [claim.name] : []));
  if (links.length === 0) return false;
  const tunnels = leaf.claims.filter((claim) => claim.claim === "tunnel");
  return tunnels.length === 0 || tunnels.some(({ link }) => link !== undefined && links.includes(link));
}

/** What is registered of a leaf, with what its construct says is secret marked so. */
function withSecrets({ intent, construct }: Leaf): Intent {
  const { secrets = [] } = construct.kernelObject;
  const marked = secrets.filter((property) => intent[property] !== undefined);
  return { ...intent, ...Object.fromEntries(marked.map((name) => [name, pulumi.secret(intent[name])])) };
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

/** The key that our own provider would log in with, as far as the program and its configuration name one. */
function privateKeyFor({ host, privateKey }: Place, props: AppProps): Input<string> | undefined {
  const config = new pulumi.Config("netloom");
  const shared = props.privateKey ?? config.getSecret("privateKey");
  const own = config.getSecretObject<Record<string, string>>("hostPrivateKeys");
  if (privateKey !== undefined || own === undefined) return privateKey ?? shared;
  // Without a key for the host it is the agent's business, as for ssh itself.
  return pulumi.all([own, shared]).apply(([keys, key]) => keys[host.name] ?? key) as Input<string>;
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
