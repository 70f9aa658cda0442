import { z } from "zod";
import type { HostAddress } from "../host/operation";
import type { AnySpec } from "../kinds/kind";

/** The version of what the state of a resource looks like. */
export const SCHEMA_VERSION = 1;

const sshName = z
  .string()
  .regex(
    /^[A-Za-z0-9[:_][A-Za-z0-9._:%[\]-]*$/,
    "must be a host name, an alias of the ssh configuration or an IP address",
  )
  .max(255);

/** How to reach a host. Only `name` says which host it is. */
export const hostSchema = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, "must begin with a letter or digit and hold only those and . _ -")
    .max(64)
    .describe("Names the host in ids and in the ledger. Another name is another host."),
  address: sshName
    .optional()
    .describe("Host name or address for ssh. This machine, without ssh, when absent."),
  port: z.int().min(1).max(65535).optional().describe("TCP port of ssh."),
  user: z
    .string()
    .regex(/^[A-Za-z0-9_][A-Za-z0-9._@\\-]*$/, "must be a login name")
    .max(256)
    .optional()
    .describe("Login name."),
  hostKey: z
    .string()
    .regex(
      /^[a-z][a-z0-9@.-]* [A-Za-z0-9+/]+={0,3}$/,
      "must be a public key on one line: ssh-ed25519 AAAA...",
    )
    .optional()
    .describe("The host's public key: `ssh-ed25519 AAAA...`. The user's known_hosts when absent."),
  jumpHost: z
    .string()
    .regex(/^[A-Za-z0-9[:_][A-Za-z0-9._:%@,[\]-]*$/, "must be [user@]address[:port]")
    .max(1024)
    .optional()
    .describe("The host to go through, `user@address:port`, as ssh's -J."),
});

/** The inputs that every resource has besides its kind's. */
export const commonSchema = z.strictObject({
  host: hostSchema.describe(
    "The host that the object is on. Only its name is identity: another address or key is no change.",
  ),
  adopt: z
    .boolean()
    .optional()
    .describe(
      "Takes over an object that is there already. What it was before is put back when the resource is deleted.",
    ),
  deleteAdopted: z
    .boolean()
    .optional()
    .describe("Deletes an adopted object with the resource, rather than putting back what it was."),
});

/** What every resource's state holds besides its inputs. */
export const OUTPUTS = ["machineId", "schemaVersion"] as const;

/** The inputs that every resource has. */
export type CommonInputs = z.output<typeof commonSchema>;

const COMMON: ReadonlySet<string> = new Set(Object.keys(commonSchema.shape));
const STATE_ONLY: ReadonlySet<string> = new Set(OUTPUTS);

/** Parts properties into those that every resource has and the kind's own. */
export function split(values: Readonly<Record<string, unknown>>): {
  common: Readonly<Record<string, unknown>>;
  spec: AnySpec;
} {
  const entries = Object.entries(values).filter(
    ([key, value]) => !STATE_ONLY.has(key) && value !== undefined,
  );
  return {
    common: Object.fromEntries(entries.filter(([key]) => COMMON.has(key))),
    spec: Object.fromEntries(entries.filter(([key]) => !COMMON.has(key))),
  };
}

/** The host of a resource's properties; undefined when it has none (an import) or it is not known. */
export function hostOf(values: Readonly<Record<string, unknown>>): HostAddress | undefined {
  const parsed = hostSchema.safeParse(values.host);
  return parsed.success ? parsed.data : undefined;
}
