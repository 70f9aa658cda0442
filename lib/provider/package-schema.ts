import { z } from "zod";
import type { AnyKind } from "../kinds/kind";
import { commonSchema } from "./common";
import { configurationSchema } from "./configuration";
import { version } from "./version";

/** What zod makes of a schema, as far as it matters here. */
interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly secret?: boolean;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: JsonSchema | boolean;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly maximum?: number;
}

type TypeSpec = Record<string, unknown>;

/** The package's schema as Pulumi reads it: for `pulumi package get-schema`, `pulumi import` and other languages. */
export function packageSchema(kinds: readonly AnyKind[]): Record<string, unknown> {
  const types = new Types();
  const resources = Object.fromEntries(kinds.map((kind) => [kind.token, resourceSchema(kind, types)]));
  const configuration = toJson(configurationSchema);
  const options = properties(configuration, types, "netloom:index:Provider");
  return {
    name: "netloom",
    displayName: "Netloom",
    version: version(),
    description: "Linux network data planes: links, tunnels, routes, filters and what they need, over ssh.",
    license: "Apache-2.0",
    keywords: ["linux", "network"],
    meta: { moduleFormat: "(.*)" },
    config: { variables: options },
    provider: {
      description: "How to reach the hosts. Credentials live here and never in a resource.",
      inputProperties: options,
      properties: {},
    },
    resources,
    types: types.all,
  };
}

function resourceSchema(kind: AnyKind, types: Types): Record<string, unknown> {
  const own = toJson(kind.schema as z.ZodObject);
  const common = toJson(commonSchema);
  const inputs = {
    ...properties(common, types, "netloom:index:Resource"),
    ...properties(own, types, kind.token),
  };
  const required = [...(common.required ?? []), ...(own.required ?? [])];
  return {
    description: kind.description,
    inputProperties: inputs,
    requiredInputs: required,
    properties: {
      ...inputs,
      machineId: { type: "string", description: "The machine-id of the host that the object is on." },
      schemaVersion: { type: "integer", description: "The version of what this state looks like." },
    },
    required: [...required, "machineId", "schemaVersion"],
  };
}

function toJson(schema: z.ZodObject): JsonSchema {
  return z.toJSONSchema(schema, { io: "input", unrepresentable: "any", reused: "inline" }) as JsonSchema;
}

function properties(schema: JsonSchema, types: Types, owner: string): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(schema.properties ?? {}).map(([name, property]) => [
      name,
      {
        ...types.of(property, `${owner}${capital(name)}`),
        ...(describe(property) !== "" && { description: describe(property) }),
        ...(isPrimitive(property.default) && { default: property.default }),
        ...(property.secret === true && { secret: true }),
      },
    ]),
  );
}

/** The package's object types, named after where they are first seen. */
class Types {
  readonly all: Record<string, unknown> = {};

  of(schema: JsonSchema, name: string): TypeSpec {
    const alternatives = schema.oneOf ?? schema.anyOf;
    if (alternatives !== undefined) return this.#union(alternatives, name);
    if (schema.enum !== undefined || schema.const !== undefined) return { type: primitive(schema) };
    if (schema.type === "array") return { type: "array", items: this.of(schema.items ?? {}, `${name}Item`) };
    if (schema.type === "object" && schema.properties !== undefined) return this.#object(schema, name);
    if (schema.type === "object") {
      const member = typeof schema.additionalProperties === "object" ? schema.additionalProperties : {};
      return { type: "object", additionalProperties: this.of(member, `${name}Value`) };
    }
    const type = primitive(schema);
    return type === undefined ? { $ref: "pulumi.json#/Any" } : { type };
  }

  #object(schema: JsonSchema, name: string): TypeSpec {
    this.all[name] = {
      type: "object",
      ...(schema.description !== undefined && { description: schema.description }),
      properties: properties(schema, this, name),
      ...(schema.required !== undefined && { required: schema.required }),
    };
    return { $ref: `#/types/${name}` };
  }

  #union(alternatives: readonly JsonSchema[], name: string): TypeSpec {
    const specs = alternatives.map((one, index) => this.of(one, `${name}${suffix(one, index)}`));
    const different = [...new Map(specs.map((spec) => [JSON.stringify(spec), spec])).values()];
    return different.length === 1 ? different[0]! : { oneOf: different };
  }
}

/** Names an alternative by its discriminator: `{ kind: "gre" }` is `Gre`. */
function suffix(schema: JsonSchema, index: number): string {
  const fixed = Object.values(schema.properties ?? {}).find((property) => typeof property.const === "string");
  return fixed === undefined
    ? String(index + 1)
    : capital(String(fixed.const).replaceAll(/[^A-Za-z0-9]/g, ""));
}

function describe({ description = "", enum: values }: JsonSchema): string {
  if (values === undefined) return description;
  const options = `One of ${values.map((value) => `\`${String(value)}\``).join(", ")}.`;
  return description === "" ? options : `${description} ${options}`;
}

function primitive({ type, enum: values, const: fixed, maximum }: JsonSchema): string | undefined {
  const named = Array.isArray(type) ? undefined : (type as string | undefined);
  // Pulumi's integers have 32 bits with a sign: a GRE key is more.
  if (named === "integer" && (maximum ?? Infinity) > 0x7fff_ffff) return "number";
  if (named !== undefined && ["string", "number", "integer", "boolean"].includes(named)) return named;
  const sample = fixed ?? values?.[0];
  return isPrimitive(sample) ? typeof sample : undefined;
}

function isPrimitive(value: unknown): value is string | number | boolean {
  return ["string", "number", "boolean"].includes(typeof value);
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
