import type { Step } from "../step";
import { deletion, lastFilterWords, partsOf, type Part } from "./parts";
import type { FoundTunnel, Tunnel, TunnelPoolSpec } from "./schema";

/** A part that is there; without words when it is not known what it says. */
interface There {
  readonly id: string;
  readonly words?: string;
}

const text = ({ words }: Part) => words.join(" ");

/** What filters let in, without whose they are: the kernel refuses two that let in the same. */
const letsIn = (words: string | undefined) =>
  words?.startsWith("filter ") === true ? words.replace(/ handle \S+/, "") : undefined;

function partsThere(pool: TunnelPoolSpec, number: number, tunnel: FoundTunnel): readonly There[] {
  if (tunnel.found === undefined) {
    return partsOf(pool, number, tunnel).map((part) => ({ id: part.id, words: text(part) }));
  }
  return Object.entries(tunnel.found).map(([id, words]) => (words === "" ? { id } : { id, words }));
}

/** The order in which what is of no more use goes: what lets in first, what others lean on last. */
const GOING = ["filter", "route", "local", "nexthop"];
/** The order in which what is new comes. */
const COMING = ["nexthop", "route", "local", "filter"];

const rank = (order: readonly string[], id: string) => order.indexOf(id.slice(0, id.indexOf(" ")));

/** The tunnels that are not the same object or not of the same pool's settings, by number. */
function touched(current: TunnelPoolSpec | undefined, desired: TunnelPoolSpec | undefined): number[] {
  const numbers = new Set([...Object.keys(current?.tunnels ?? {}), ...Object.keys(desired?.tunnels ?? {})]);
  return [...numbers].map(Number).sort((a, b) => a - b);
}

/**
 * The steps from one state of a pool to another: those of the tunnels that differ, and no others. Every step can be
 * repeated, and deletions name what is known to be there.
 */
export function planPool(
  current: TunnelPoolSpec | undefined,
  desired: TunnelPoolSpec | undefined,
): readonly Step[] {
  const netns = desired?.netns ?? current?.netns;
  const step = ({ tool, family, words }: Pick<Part, "tool" | "family" | "words">): Step => ({
    tool,
    ...(netns !== undefined && { netns }),
    ...(family !== undefined && { family }),
    args: words,
  });
  const going: string[] = [];
  const coming: Part[] = [];
  const staying = new Map<string, There>();
  for (const number of touched(current, desired)) {
    const was: FoundTunnel | undefined = current?.tunnels[number];
    const will: Tunnel | undefined = desired?.tunnels[number];
    const there = current === undefined || was === undefined ? [] : partsThere(current, number, was);
    const parts = desired === undefined || will === undefined ? [] : partsOf(desired, number, will);
    const wanted = new Map(parts.map((part) => [part.id, part]));
    const known = new Map(there.map((part) => [part.id, part]));
    going.push(...there.filter(({ id }) => !wanted.has(id)).map(({ id }) => id));
    const differing = parts.filter((part) => known.get(part.id)?.words !== text(part));
    coming.push(...differing);
    for (const { id } of differing) {
      const part = known.get(id);
      if (part !== undefined) staying.set(id, part);
    }
  }
  const blocked = conflicting(coming, staying);
  const deletions = [...going, ...blocked].sort((a, b) => rank(GOING, a) - rank(GOING, b));
  const additions = [...coming].sort(
    (a, b) => rank(COMING, a.id) - rank(COMING, b.id) || (a.family ?? 4) - (b.family ?? 4),
  );
  return [
    ...closing(current, desired, going).map((words) => step({ tool: "tc", words })),
    ...deletions.map((id) => step(deletion(id))),
    ...additions.map((part) => step(current === undefined ? asNew(part) : part)),
  ];
}

/** A new pool takes nobody's nexthop or route away: the kernel refuses one that is there. */
function asNew({ words, ...part }: Part): Part {
  const [object = "", , ...rest] = words;
  return { ...part, words: object === "filter" ? words : [object, "add", ...rest] };
}

/** Which bits a filter looks at: the family of the outer address, and how much of the inner one. */
const masksOf = (words: string): string => {
  const [, outer = "", length = ""] = /enc_src_ip (\S+) src_ip \S+\/(\d+)/.exec(words) ?? [];
  return `${outer.includes(":") ? 6 : 4} ${length}`;
};

/**
 * Filters that must go before others come: those that let in what another is to let in, those of which nobody knows
 * what they let in, and those that are to look at other bits, which flower does not change in place
 * (fl_check_assign_mask in net/sched/cls_flower.c).
 */
function conflicting(coming: readonly Part[], staying: ReadonlyMap<string, There>): string[] {
  const next = new Map<string, string>();
  const takers = new Map<string, string>();
  for (const part of coming) {
    const what = letsIn(text(part));
    if (what === undefined) continue;
    next.set(part.id, text(part));
    takers.set(what, part.id);
  }
  return [...staying.values()]
    .filter(({ id, words }) => {
      if (!id.startsWith("filter ")) return false;
      if (words === undefined || masksOf(words) !== masksOf(next.get(id) ?? "")) return true;
      const taker = takers.get(letsIn(words) ?? "");
      return taker !== undefined && taker !== id;
    })
    .map(({ id }) => id);
}

/**
 * What closes the devices to all that no filter lets in; or opens again those whose filters go because nothing is
 * checked any more. Shards that do it at once do the same.
 */
function closing(
  current: TunnelPoolSpec | undefined,
  desired: TunnelPoolSpec | undefined,
  going: readonly string[],
): (readonly string[])[] {
  if (desired === undefined) return [];
  if (!desired.checkSource) {
    const filters = going.map((id) => id.split(" ")).filter(([what]) => what === "filter");
    return [...new Set(filters.map(([, device = ""]) => device))].map((device) =>
      lastFilterWords(device, "ok"),
    );
  }
  if (current?.checkSource === true) return [];
  const { device, device6 } = desired;
  return [device, ...(device6 === undefined ? [] : [device6])].flatMap((one) => [
    ["qdisc", "replace", "dev", one, "clsact"],
    lastFilterWords(one, "drop"),
  ]);
}
