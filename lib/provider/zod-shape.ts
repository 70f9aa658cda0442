import type { z } from "zod";

/** As much of a schema's definition as says what it wraps. */
interface Definition {
  readonly type: string;
  readonly innerType?: z.ZodType;
  readonly in?: z.ZodType;
}

/** A schema and the ones it wraps: `optional`, `default`, the input of a transformation. */
function layers(schema: z.ZodType | undefined): z.ZodType[] {
  if (schema === undefined) return [];
  const { innerType, in: source } = schema.def as Definition;
  return [schema, ...layers(innerType ?? source)];
}

/** Whether a schema says that its value is secret by nature: `.meta({ secret: true })`. */
export function isSecret(schema: z.ZodType | undefined): boolean {
  return layers(schema).some((layer) => layer.meta()?.secret === true);
}

/** Whether the keys of a schema's value are members that come and go one by one. */
export function isMap(schema: z.ZodType | undefined): boolean {
  return layers(schema).some((layer) => layer.def.type === "record");
}
