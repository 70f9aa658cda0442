import { z } from "zod";
import type { Credentials, HostAddress } from "../host/operation";
import { hasUnknown, type Properties } from "./properties";
import { isSecret } from "./zod-shape";
import { hostSchema } from "./common";
import { failuresOf, type CheckFailure } from "./check";

const pem = z
  .string()
  .regex(/^\s*-----BEGIN [A-Z ]+-----\n[\s\S]+-----END [A-Z ]+-----\s*$/, "must be a private key in PEM form")
  .meta({ secret: true });

/** The provider's configuration. Credentials live here and nowhere else. */
export const configurationSchema = z.strictObject({
  privateKey: pem
    .optional()
    .describe(
      "The private key to log in with, in PEM form. The user's ssh configuration and agent when absent.",
    ),
  hostPrivateKeys: z
    .record(z.string(), pem)
    .meta({ secret: true })
    .optional()
    .describe("Private keys of hosts that have their own, by host name."),
  hosts: z
    .record(
      z.string(),
      z.union([
        z.string().regex(/^[A-Za-z0-9[:_][A-Za-z0-9._:%@[\]-]*$/, "must be [user@]address[:port]"),
        hostSchema.omit({ name: true }),
      ]),
    )
    .optional()
    .describe(
      "How to reach the hosts of imported resources, by host name: `[user@]address[:port]`, `local` for this " +
        "machine, or an object with address, port, user, hostKey and jumpHost.",
    ),
  deleteUnreachable: z
    .boolean()
    .optional()
    .describe(
      "Forgets resources on hosts that cannot be reached when they are deleted, rather than failing.",
    ),
  stateDirectory: z
    .string()
    .regex(/^\/[A-Za-z0-9._/-]*$/, "must be an absolute path")
    .optional()
    .describe(
      "The folder on the hosts for the ledger and the lock. /var/lib/netloom and /run/netloom when absent.",
    ),
});

/** The provider's configuration, once read. */
export type Configuration = z.output<typeof configurationSchema>;

/** The configuration as far as it is known, and what is wrong with it. */
export interface ReadConfiguration {
  readonly configuration: Configuration;
  readonly failures: readonly CheckFailure[];
  /** The configuration with its secrets marked. */
  readonly properties: Properties;
}

/** Fields that the engine adds to a provider's configuration. */
const ENGINES = new Set([
  "version",
  "pluginDownloadURL",
  "pluginChecksums",
  "__internal",
  "__pulumi-go-provider-infer",
]);

/**
 * Reads the provider's configuration. Values that are not strings arrive as JSON text. `strict` refuses options
 * that there are not; the default provider is given the whole configuration of a project that is called netloom.
 */
export function readConfiguration({ values, secrets }: Properties, strict = false): ReadConfiguration {
  const shape: Record<string, z.ZodType> = configurationSchema.shape;
  const known: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(values)) {
    if (ENGINES.has(key) || hasUnknown(value) || (!strict && !Object.hasOwn(shape, key))) continue;
    known[key] = typeof value === "string" && !shape[key]?.safeParse(value).success ? fromJson(value) : value;
  }
  const declared = Object.keys(shape).filter((key) => isSecret(shape[key]));
  const properties = { values: known, secrets: [...secrets, ...declared.map((key) => [key])] };
  const parsed = configurationSchema.safeParse(known);
  if (parsed.success) return { configuration: parsed.data, failures: [], properties };
  const options = Object.keys(shape).join(", ");
  const findings = parsed.error.issues.flatMap((issue) => {
    const path = issue.path.map((segment) => (typeof segment === "number" ? segment : String(segment)));
    if (issue.code !== "unrecognized_keys") return [{ path, message: issue.message }];
    const message = `the netloom provider has no such option; it has ${options}`;
    return issue.keys.map((key) => ({ path: [...path, key], message }));
  });
  return { configuration: {}, failures: failuresOf(findings, properties), properties };
}

/** The credentials for a host. */
export function credentialsFor(configuration: Configuration, host: string): Credentials {
  const privateKey = configuration.hostPrivateKeys?.[host] ?? configuration.privateKey;
  return privateKey === undefined ? {} : { privateKey };
}

/** Where a host is of which only the name is known: what `hosts` says, else ssh's own idea of the name. */
export function addressOf(configuration: Configuration, name: string): HostAddress {
  const where = configuration.hosts?.[name] ?? name;
  if (typeof where === "object") return { name, ...where };
  if (where === "local") return { name };
  const match =
    /^(?:([^@]+)@)?(\[[^\]]+\]|[^:[\]]+|[0-9A-Fa-f:.%\w]*:[0-9A-Fa-f:.%\w]*:[^\]]*)(?::(\d+))?$/.exec(where);
  const [, user, address = where, port] = match ?? [];
  return {
    name,
    address: address.replace(/^\[|\]$/g, ""),
    ...(user !== undefined && { user }),
    ...(port !== undefined && { port: Number(port) }),
  };
}

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
