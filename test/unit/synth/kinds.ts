import { z } from "zod";
import type { Claim } from "../../../lib/kinds/kind";
import { defineKind, inPlace, replace } from "../../../lib/kinds/kind";
import type { Inputs, KernelObjectProps } from "../../../lib/synth";
import { Composite, definePlace, KernelObject } from "../../../lib/synth";
import type { Construct } from "constructs";

// Kinds of no kernel object: the synthesis must work with any kind, so it is tested with ones that it cannot know.
const nothing = { queries: () => [], observe: () => undefined, plan: () => [], locate: () => undefined };
const word = z.string().regex(/^[\w.:/-]+$/, "must be plain characters");

export const space = defineKind({
  token: "netloom:test:Space",
  description: "A namespace",
  schema: z.strictObject({ name: word }),
  policy: { name: replace("it is its name") },
  ownership: "object",
  identity: ({ name }) => [name],
  claims: ({ name }) => [{ claim: "netns", netns: name }],
  ...nothing,
});

const tunnelSchema = z.strictObject({
  protocol: word,
  local: word.optional(),
  remote: word.optional(),
  key: z.number().optional(),
  link: word.optional(),
  overhead: z.number(),
});

export const wire = defineKind({
  token: "netloom:test:Wire",
  description: "An interface",
  schema: z.strictObject({
    netns: word.optional(),
    name: word,
    kind: word.default("wire"),
    mtu: z.number().optional(),
    addresses: z.array(word).default([]),
    master: word.optional(),
    tunnel: tunnelSchema.optional(),
  }),
  policy: {
    netns: replace("it lives there"),
    name: replace("it is its name"),
    kind: replace("it is another"),
    mtu: inPlace(),
    addresses: inPlace(),
    master: inPlace(),
    tunnel: inPlace(),
  },
  ownership: "object",
  identity: ({ netns, name }) => [...(netns === undefined ? [] : [netns]), name],
  check: ({ mtu }) => (mtu === 13 ? [{ path: ["mtu"], message: "thirteen is unlucky" }] : []),
  claims: ({ netns, name, kind, mtu, addresses, master, tunnel }): Claim[] => [
    { claim: "interface", netns, name, kind, mtu, path: ["name"] },
    ...addresses.map((address, index): Claim => ({
      claim: "address",
      netns,
      interface: name,
      address,
      path: ["addresses", index],
    })),
    ...(master === undefined
      ? []
      : [{ claim: "port", netns, name, master, path: ["master"] } satisfies Claim]),
    ...(tunnel === undefined
      ? []
      : [{ claim: "tunnel", netns, name, mtu, ...tunnel, path: ["tunnel"] } satisfies Claim]),
  ],
  ...nothing,
});

export const ways = defineKind({
  token: "netloom:test:Ways",
  description: "Routes",
  schema: z.strictObject({
    netns: word.optional(),
    name: word,
    routes: z.array(
      z.strictObject({
        destination: word,
        via: word.optional(),
        dev: word.optional(),
        table: z.number().optional(),
      }),
    ),
  }),
  policy: { netns: replace("it lives there"), name: replace("it is its name"), routes: inPlace() },
  ownership: "object",
  identity: ({ netns, name }) => [...(netns === undefined ? [] : [netns]), name],
  claims: ({ netns, routes }) =>
    routes.map(({ destination, via, dev, table }, index) => ({
      claim: "route" as const,
      netns,
      destination,
      via,
      dev,
      ...(table !== undefined && { table }),
      path: ["routes", index, via === undefined ? "dev" : "via"],
    })),
  ...nothing,
});

export class Machine extends Composite {
  readonly place = { host: { name: this.node.id } };
  constructor(scope: Construct, id: string, name = id) {
    super(scope, id);
    this.place = { host: { name } };
    definePlace(this, this.place);
  }
}

type Extra = Omit<KernelObjectProps, "kind" | "intent">;

export class Space extends KernelObject {
  constructor(scope: Construct, id: string, host: string, extra: Extra = {}) {
    super(scope, id, { ...extra, kind: space, intent: { name: id } });
    definePlace(this, { host: { name: host }, netns: id });
  }
}

export function wireIn(
  scope: Construct,
  id: string,
  spec: Inputs<Partial<z.input<typeof wire.schema>>> = {},
  extra: Extra = {},
): KernelObject {
  return new KernelObject(scope, id, { ...extra, kind: wire, intent: { name: id, ...spec } });
}

export function waysIn(
  scope: Construct,
  id: string,
  routes: z.input<typeof ways.schema>["routes"],
  extra: Extra = {},
): KernelObject {
  return new KernelObject(scope, id, { ...extra, kind: ways, intent: { name: id, routes } });
}
