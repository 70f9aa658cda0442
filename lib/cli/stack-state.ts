import { join } from "node:path";
import { execa, ExecaError } from "execa";
import type { Credentials, HostAddress } from "../host/operation";
import type { HostFolders } from "../host";
import type { AnySpec } from "../kinds/kind";
import { hostOf, split } from "../provider/common";
import { credentialsFor, readConfiguration } from "../provider/configuration";

/** A resource of this package's provider as a stack's state has it, and how its host is reached. */
export interface StackResource {
  /** Pulumi's type token. */
  readonly type: string;
  /** Its id: the host's name and what it is on it, such as `edge/mux`. */
  readonly id: string;
  readonly host: HostAddress;
  readonly spec: AnySpec;
  readonly credentials: Credentials;
  /** Where its host keeps the ledger, if not in the usual place. */
  readonly folders?: HostFolders;
}

/** Which stack, of which project. */
export interface StackChoice {
  /** @default - the one that is selected in the project's folder */
  readonly stack?: string;
  /** Folder of the Pulumi project. @default - this folder */
  readonly cwd?: string;
}

/**
 * Reads a stack's state by the Pulumi CLI on PATH, with the keys that its hosts are reached with: they stay in this
 * process.
 *
 * @throws Error in the CLI's words
 */
export async function readStack({ stack, cwd = "." }: StackChoice): Promise<readonly StackResource[]> {
  const which = stack === undefined ? [] : ["--stack", stack];
  try {
    const { stdout } = await execa(
      "pulumi",
      ["stack", "export", "--show-secrets", "--non-interactive", ...which],
      { cwd, env: { PULUMI_SKIP_UPDATE_CHECK: "true" }, maxBuffer: 1 << 30 },
    );
    return resourcesOf(JSON.parse(stdout));
  } catch (error) {
    if (!(error instanceof ExecaError)) throw error;
    if (error.code === "ENOENT" && error.stderr === undefined)
      throw new Error(`there is no "pulumi" on PATH, or no folder ${cwd}`, { cause: error });
    throw new Error(`the stack's state cannot be read: ${tidy(String(error.stderr))}`, { cause: error });
  }
}

const tidy = (text: string) => text.trim().replace(/^error: /, "");

interface StateResource {
  readonly type: string;
  readonly urn: string;
  readonly id?: string;
  readonly provider?: string;
  readonly inputs?: Readonly<Record<string, unknown>>;
  readonly delete?: boolean;
}

/** The resources in what `pulumi stack export --show-secrets` prints. */
export function resourcesOf(state: unknown): StackResource[] {
  const { deployment } = state as { deployment?: { resources?: readonly StateResource[] } };
  const all = deployment?.resources ?? [];
  const configurations = new Map(
    all
      .filter(({ type }) => type === "pulumi:providers:netloom")
      .map(({ urn, id = "", inputs = {} }) => {
        const values = reveal(inputs) as Readonly<Record<string, unknown>>;
        return [[urn, id].join("::"), readConfiguration({ values, secrets: [] }).configuration] as const;
      }),
  );
  return all.flatMap(({ type, id, provider = "", inputs = {}, delete: condemned }) => {
    const configuration = configurations.get(provider);
    if (configuration === undefined || id === undefined || condemned === true) return [];
    const { spec, common } = split(reveal(inputs) as Readonly<Record<string, unknown>>);
    const host = hostOf(common);
    if (host === undefined) return [];
    const { stateDirectory } = configuration;
    return [
      {
        type,
        id,
        host,
        spec,
        credentials: credentialsFor(configuration, host.name),
        ...(stateDirectory !== undefined && {
          folders: { state: join(stateDirectory, "state"), run: join(stateDirectory, "run") },
        }),
      },
    ];
  });
}

/** How the engine marks a secret in a state (sdk/go/common/resource/sig). */
const SIGNATURE = "4dabf18193072939515e22adb298388d";

/** A value of a state with its secrets as they are. */
function reveal(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reveal);
  if (typeof value !== "object" || value === null) return value;
  const fields = value as Readonly<Record<string, unknown>>;
  if (SIGNATURE in fields)
    return typeof fields.plaintext === "string" ? reveal(JSON.parse(fields.plaintext)) : undefined;
  return Object.fromEntries(Object.entries(fields).map(([key, member]) => [key, reveal(member)]));
}
