import type { z } from "zod";

interface Wrapped extends z.ZodType {
  readonly def: {
    readonly type: z.ZodType["def"]["type"];
    readonly innerType?: Wrapped;
    readonly in?: Wrapped;
  };
}

/** A schema and the ones it wraps: `optional`, `default`, the input of a transformation. */
function layers(schema: z.ZodType | undefined): Wrapped[] {
  const found: Wrapped[] = [];
  for (let layer = schema; layer !== undefined;) {
    found.push(layer);
    layer = layer.def.innerType ?? layer.def.in;
  }
  return found;
}

/** Whether a schema says that its value is secret by nature: `.meta({ secret: true })`. */
export function isSecret(schema: z.ZodType | undefined): boolean {
  return layers(schema).some((layer) => layer.meta()?.secret === true);
}

/** Whether the keys of a schema's value are members that come and go one by one. */
export function isMap(schema: z.ZodType | undefined): boolean {
  return layers(schema).some((layer) => layer.def.type === "record");
}
