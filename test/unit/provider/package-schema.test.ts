import { z } from "zod";
import { kinds } from "../../../lib/kinds/registry";
import { defineKind, inPlace, type AnyKind } from "../../../lib/kinds/kind";
import { packageSchema } from "../../../lib/provider/package-schema";
import { noteKind } from "../../support/note-kind";

type Json = Record<string, never>;
const schemaOf = (...of: AnyKind[]) =>
  packageSchema(of) as { resources: Json; types: Json; provider: Json; config: Json };

describe("the package's schema", () => {
  test("of a kind says its inputs, what is required, what is secret, and what the state adds", () => {
    const { resources, types } = schemaOf(noteKind("/notes"));
    expect({ resources, types }).toMatchSnapshot();
  });

  test("of the provider marks credentials as secrets", () => {
    const { provider, config } = schemaOf();
    const { inputProperties } = provider as unknown as {
      inputProperties: Record<string, { secret?: boolean; description: string }>;
    };
    const secrets = Object.entries(inputProperties).flatMap(([name, { secret }]) => (secret ? [name] : []));
    expect(secrets).toEqual(["privateKey", "hostPrivateKeys"]);
    expect(Object.values(inputProperties).every(({ description }) => description.length > 20)).toBe(true);
    expect((config as unknown as { variables: object }).variables).toEqual(inputProperties);
  });

  test("names the alternatives of a union by what tells them apart", () => {
    const schema = z.strictObject({
      name: z.string(),
      of: z.discriminatedUnion("kind", [
        z.strictObject({ kind: z.literal("gre"), key: z.int().optional() }),
        z.strictObject({ kind: z.literal("ip6-gre"), ends: z.array(z.strictObject({ at: z.string() })) }),
      ]),
      table: z.union([z.int().max(0x7fff_ffff), z.string()]),
      mark: z.int().min(0).max(0xffff_ffff).default(0xffff_ffff),
    });
    const kind = defineKind({
      token: "netloom:net:Thing",
      description: "A thing.",
      schema,
      policy: { name: inPlace(), of: inPlace(), table: inPlace(), mark: inPlace() },
      ownership: "object",
      identity: ({ name }) => [name],
      locate: () => undefined,
      queries: () => [],
      observe: () => undefined,
      plan: () => [],
    }) as AnyKind;
    const { resources, types } = schemaOf(kind);
    expect(Object.keys(types)).toEqual(
      expect.arrayContaining([
        "netloom:net:ThingOfGre",
        "netloom:net:ThingOfIp6gre",
        "netloom:net:ThingOfIp6greEndsItem",
      ]),
    );
    expect(resources["netloom:net:Thing"]).toMatchObject({
      inputProperties: {
        of: {
          oneOf: [{ $ref: "#/types/netloom:net:ThingOfGre" }, { $ref: "#/types/netloom:net:ThingOfIp6gre" }],
        },
        table: { oneOf: [{ type: "integer" }, { type: "string" }] },
        mark: { type: "number", default: 0xffff_ffff },
      },
    });
  });

  test("has every kind of the registry, each property with a description", () => {
    const { resources } = schemaOf(...kinds);
    expect(Object.keys(resources).sort()).toEqual(kinds.map((kind) => kind.token as string).sort());
    const bare = Object.entries(resources).flatMap(([token, resource]) => {
      const { inputProperties } = resource as unknown as {
        inputProperties: Record<string, { description?: string }>;
      };
      return Object.entries(inputProperties).flatMap(([name, { description }]) =>
        description ? [] : [`${token} ${name}`],
      );
    });
    expect(bare).toEqual([]);
  });
});
