import { Command } from "commander";
import { openSession, type OpenSession } from "../host";
import type { CounterRow, Counters } from "../kinds/kind";
import { kindOf } from "../kinds/registry";
import { readStack, type StackChoice, type StackResource } from "./stack-state";

/** One table of one program of one host, as it was read. */
export interface ReadTable {
  readonly host: string;
  /** The resource's path on its host, such as `mux`. */
  readonly program: string;
  readonly table: string;
  readonly rows: readonly CounterRow[];
}

/** A resource whose counters could not be read, and why. */
export interface Unread {
  readonly id: string;
  readonly error: string;
}

interface Counting {
  readonly resource: StackResource;
  readonly counters: readonly Counters[];
}

/** `netloom stats`: what the programs of a stack have counted. */
export function statsCommand(): Command {
  return new Command("stats")
    .description("what the programs of a stack have counted on their hosts: by action, tunnel, drop reason")
    .argument("[host/program]", "only this program, or only those of this host")
    .option("--stack <name>", "the stack; the one that is selected when absent")
    .option("--cwd <folder>", "the Pulumi project's folder; this one when absent")
    .option("--all", "also what was never counted")
    .option("--json", "one JSON document")
    .addHelpText(
      "after",
      `
Examples:
  netloom stats                       every program of the selected stack
  netloom stats edge/mux              one of them
  netloom stats edge --stack prod --json

Counts are since the program's maps were made: a new version of a program goes on counting where the last one ended.`,
    )
    .action(
      async (
        which: string | undefined,
        options: StackChoice & { readonly all?: boolean; readonly json?: boolean },
      ) => {
        const counting = countingOf(await readStack(options), which);
        const { tables, unread } = await readAll(counting);
        const shown = options.all === true ? tables : tables.map(withoutZeros);
        process.stdout.write(
          options.json === true ? `${JSON.stringify({ tables: shown, unread }, null, 2)}\n` : asText(shown),
        );
        for (const { id, error } of unread) console.error(`netloom: ${id}: ${error}`);
        if (unread.length > 0) process.exitCode = 1;
      },
    );
}

/**
 * The resources that count something, of one program or one host when `which` names it.
 *
 * @throws Error that names those that there are, when there is none of the name
 */
export function countingOf(resources: readonly StackResource[], which?: string): Counting[] {
  const all = resources.flatMap((resource): Counting[] => {
    const counters = kindOf(resource.type)?.statistics?.(resource.spec) ?? [];
    return counters.length === 0 ? [] : [{ resource, counters }];
  });
  if (which === undefined) return all;
  const some = all.filter(({ resource: { id } }) => id === which || id.startsWith(`${which}/`));
  if (some.length > 0) return some;
  const ids = [...new Set(all.map(({ resource }) => resource.id))];
  throw new Error(
    ids.length === 0
      ? `nothing of this stack counts anything; "statistics" of a BpfObject says what a program counts`
      : `nothing called ${which} counts anything in this stack; there are ${ids.join(", ")}`,
  );
}

/** Reads them all, each host once; one that cannot be read does not keep the others from being shown. */
export async function readAll(
  counting: readonly Counting[],
  open: typeof openSession = openSession,
): Promise<{ readonly tables: readonly ReadTable[]; readonly unread: readonly Unread[] }> {
  const sessions = new Map<string, OpenSession>();
  const sessionOf = ({ host, credentials, folders }: StackResource) => {
    const key = JSON.stringify([host, credentials.privateKey, folders]);
    const session = sessions.get(key) ?? open(host, credentials, folders && { folders });
    sessions.set(key, session);
    return session;
  };
  try {
    const read = await Promise.all(
      counting.map(async ({ resource, counters }): Promise<readonly ReadTable[] | Unread> => {
        const { id, host } = resource;
        try {
          const queries = counters.flatMap((one) => one.queries);
          const { facts } = await sessionOf(resource).run({ label: id, stack: "netloom/stats", queries });
          const program = id.slice(host.name.length + 1);
          return counters.map((one) => ({
            host: host.name,
            program,
            table: one.name,
            rows: one.read(facts),
          }));
        } catch (error) {
          return { id, error: (error as Error).message };
        }
      }),
    );
    return {
      tables: read.flatMap((one) => ("error" in one ? [] : one)),
      unread: read.flatMap((one) => ("error" in one ? [one] : [])),
    };
  } finally {
    await Promise.allSettled([...sessions.values()].map((session) => session.close()));
  }
}

const withoutZeros = (table: ReadTable): ReadTable => ({
  ...table,
  rows: table.rows.filter(({ counters }) => Object.values(counters).some((count) => count !== 0)),
});

/** Tables as a person reads them: a line of headings, names to the left and numbers to the right. */
export function asText(tables: readonly ReadTable[]): string {
  return tables
    .map(({ host, program, table, rows }) => {
      const title = `${host}/${program}: ${table}`;
      const [first] = rows;
      if (first === undefined) return `${title}\n  nothing yet\n`;
      const [names, counts] = [Object.keys(first.of), Object.keys(first.counters)];
      const cells = [
        [...names, ...counts],
        ...rows.map(({ of, counters }) => [
          ...names.map((name) => of[name] ?? ""),
          ...counts.map((name) => grouped(counters[name] ?? 0)),
        ]),
      ];
      const widths = [...names, ...counts].map((_, column) =>
        Math.max(...cells.map((line) => line[column]?.length ?? 0)),
      );
      const lines = cells.map((line) =>
        line.map((cell, column) =>
          column < names.length ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
        ),
      );
      return [title, ...lines.map((line) => `  ${line.join("  ").trimEnd()}`), ""].join("\n");
    })
    .join("\n");
}

const grouped = (count: number | string) => BigInt(count).toLocaleString("en");
