import type { Construct } from "constructs";
import { z } from "zod";
import type { HostAccess, Input, Intent, LeafKind, OtherResource } from "../lib/synth";
import { addFindings, KernelObject } from "../lib/synth";
import type { InNamespaceProps } from "./common";
import { leafProps } from "./common";

/** A command that is run on a host. */
export interface HostCommandProps extends Omit<InNamespaceProps, "adopt" | "deleteAdopted"> {
  /**
   * The command and its arguments, each as it is: no shell takes them apart. For a shell's pipes and variables name
   * the shell: `["sh", "-c", "..."]`.
   */
  readonly command: readonly string[];
  /**
   * What it depends on, by name: digests, versions. The command runs when the resource is made, and again when one of
   * these or the command itself changes; at no other time.
   * @default - none: it runs once
   */
  readonly triggers?: Readonly<Record<string, Input<string>>>;
  /**
   * The folder that it runs in: an absolute path.
   * @default - the login's home
   */
  readonly directory?: string;
  /**
   * What it reads on its standard input. May be a secret. Another input is a trigger, too.
   * @default - nothing
   */
  readonly stdin?: Input<string>;
}

/** The version of @pulumi/command whose plugin serves the resource; it is the one that the package is tested with. */
export const COMMAND_VERSION = "1.2.1";

const word = z.string().refine((text) => !/\0/.test(text), "holds a NUL byte, which no argument can");

const schema = z.strictObject({
  id: z.string(),
  netns: z.string().optional(),
  command: z
    .array(word)
    .min(1, "is empty: name at least a program")
    .refine(([program]) => program !== "" && !program?.startsWith("-"), {
      error: "begins with no program: its first word is empty or an option",
      path: [0],
    }),
  triggers: z.record(z.string(), word).optional(),
  directory: z
    .string()
    .regex(/^\/[^\0\n]*$/, "must be an absolute path")
    .optional(),
  stdin: word.optional(),
});

const kind: LeafKind = {
  token: "command:remote:Command",
  schema,
  identity: ({ id }: z.output<typeof schema>) => [id],
};

/** One word of a POSIX shell that stands for exactly this text. */
const quote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

/** The command as a login shell of any sort takes it, run by root as everything else that is done on a host. */
function commandLine({ command, directory, netns }: z.output<typeof schema>): string {
  const there =
    directory === undefined ? [] : ["sh", "-c", 'cd -- "$1" && shift && exec "$@"', "sh", directory];
  const inside = netns === undefined ? [] : ["ip", "netns", "exec", netns];
  const words = [...inside, ...there, ...command].map(quote).join(" ");
  return `sh -c ${quote(`if [ "$(id -u)" = 0 ]; then exec ${words}; else exec sudo -n -- ${words}; fi`)}`;
}

/** `user@address:port` as the plugin takes it. */
function proxyOf(jumpHost: string): Intent {
  const [, user, bracketed, plain, port] =
    /^(?:([^@]+)@)?(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(jumpHost) ?? [];
  return {
    host: bracketed ?? plain ?? jumpHost,
    ...(user !== undefined && { user }),
    ...(port !== undefined && { port: Number(port) }),
  };
}

function served(intent: Intent, host: HostAccess): OtherResource {
  const spec = intent as z.output<typeof schema>;
  const { address, port, user, hostKey, jumpHost, privateKey } = host;
  const create = commandLine(spec);
  const key = privateKey !== undefined && { privateKey };
  const connection = address !== undefined && {
    connection: {
      host: address,
      user: user ?? "root",
      port: port ?? 22,
      hostKey,
      ...key,
      // What comes through the jump host is checked against the host's own key.
      ...(jumpHost !== undefined && { proxy: { ...proxyOf(jumpHost as string), ...key } }),
    },
  };
  const triggers = Object.entries(spec.triggers ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, digest]) => ({ name, digest }));
  return {
    token: address === undefined ? "command:local:Command" : kind.token,
    version: COMMAND_VERSION,
    inputs: {
      ...connection,
      create,
      // Another address or key is no reason to run it again: only triggers make the resource anew.
      update: ":",
      triggers: [create, ...triggers, ...(spec.stdin === undefined ? [] : [spec.stdin])],
      ...(spec.stdin !== undefined && { stdin: spec.stdin }),
    },
    outputs: ["stdout", "stderr"],
    secrets: address === undefined ? [] : ["connection"],
    replaceOnChanges: ["triggers[*]"],
  };
}

/**
 * A command that is run on a host, for what has no other interface: an upstream project's own reload. It is
 * @pulumi/command's `remote.Command` (`local.Command` on a host without address), with the host's own connection: the
 * plugin of that name is needed, which Pulumi fetches by itself where it may. It logs in with the key that the program
 * or its configuration names for the host, else with the agent's; it does not read the user's ssh configuration.
 *
 * @example
 * new HostCommand(edge, "reload", { command: ["nginx", "-s", "reload"], triggers: { conf: digest } });
 */
export class HostCommand extends KernelObject {
  constructor(scope: Construct, id: string, props: HostCommandProps) {
    const { command, triggers, directory, stdin } = props;
    super(scope, id, {
      ...leafProps(props),
      kind,
      intent: () => ({ id: this.node.path, command, triggers, directory, stdin }),
      servedElsewhere: served,
    });
    addFindings(this, () => {
      const host = this.livesIn?.host;
      if (host?.address === undefined || host.hostKey !== undefined) return [];
      return [
        {
          path: [],
          message: `its host ${host.name} has no hostKey, and the command plugin would trust any: give the Host its hostKey`,
        },
      ];
    });
  }
}
