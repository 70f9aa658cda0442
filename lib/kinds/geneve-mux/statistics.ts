import { mapPin } from "../bpf/names";
import { found } from "../found";
import type { CounterRow, Counters } from "../kind";
import type { Facts, Query } from "../step";
import { lineAt } from "./image";
import { parseKey } from "./keys";
import { numberOf } from "./layout";
import { dumpOf, observeTunnels, queriesOf } from "./observe";
import { REASONS } from "./reasons";
import type { Tunnels } from "./schema";

/** What the tunnels have carried and what they have dropped, by the names of their ends. */

const dropsQuery = (program: string): Query => ({
  tool: "bpftool",
  args: ["map", "dump", "pinned", mapPin(program, "mux_drops")],
});

/** A number of 64 bits in little-endian digits. */
function counter(digits: string): number | string {
  const bytes = digits.match(/../g) ?? [];
  const value = BigInt(`0x${[...bytes].reverse().join("")}`);
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value.toString();
}

/** The line of each end that is there. */
function linesOf(facts: Facts, spec: Tunnels): ReadonlyMap<string, number> {
  const there = observeTunnels(facts, [spec]);
  const lines = new Map<string, number>();
  for (const [name, { link, keys }] of Object.entries(spec.ends)) {
    const index = there?.numbers?.[link]?.index;
    if (there === undefined || index === undefined) continue;
    const tables = there.tables as Parameters<typeof lineAt>[0];
    const line = keys
      .map((key) => lineAt(tables, spec.capacity, index, parseKey(key)))
      .find((at) => at !== undefined);
    if (line !== undefined) lines.set(name, line);
  }
  return lines;
}

function carried(facts: Facts, spec: Tunnels): CounterRow[] {
  const values = new Map(
    dumpOf(facts, spec.program, "mux_ends").map(({ key, value }) => [numberOf(key), value]),
  );
  return [...linesOf(facts, spec)].map(([end, line]) => {
    const value = (values.get(line) ?? "").padEnd(128, "0");
    return {
      of: { end },
      counters: { packets: counter(value.slice(96, 112)), bytes: counter(value.slice(112, 128)) },
    };
  });
}

function dropped(facts: Facts, spec: Tunnels): CounterRow[] {
  const ends = new Map([...linesOf(facts, spec)].map(([name, line]) => [line, name]));
  const dump = found(facts, dropsQuery(spec.program)) as readonly { key: string[]; value?: string[] }[];
  return dump.flatMap(({ key, value }) => {
    if (!Array.isArray(value)) return [];
    const [line, reason] = [key.slice(0, 4), key.slice(4)].map((words) => numberOf(digits(words)));
    return [
      {
        of: { end: ends.get(line ?? 0) ?? `line ${line}`, reason: REASONS[reason ?? 0] ?? String(reason) },
        counters: { packets: counter(digits(value)) },
      },
    ];
  });
}

const digits = (words: readonly string[]) =>
  words.map((word) => word.replace(/^0x/, "").padStart(2, "0")).join("");

/** Tables of counters of the tunnels of a program. */
export const statistics = (spec: Tunnels): Counters[] => [
  { name: "tunnels", queries: queriesOf(spec), read: (facts) => carried(facts, spec) },
  {
    name: "drops",
    queries: [...queriesOf(spec), dropsQuery(spec.program)],
    read: (facts) => dropped(facts, spec),
  },
];
