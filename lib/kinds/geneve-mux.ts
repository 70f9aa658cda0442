import { defineKind, inPlace, replace, type Finding } from "./kind";
import { addressBytes } from "./schemas";
import { numberOfLink } from "./geneve-mux/encode";
import { imageOf } from "./geneve-mux/image";
import { isOfPop } from "./geneve-mux/keys";
import { NO_TABLES, type Tables } from "./geneve-mux/layout";
import { observeTunnels, queriesOf } from "./geneve-mux/observe";
import { writes } from "./geneve-mux/plan";
import { statistics } from "./geneve-mux/statistics";
import { tunnelsSchema, type End, type Tunnels } from "./geneve-mux/schema";

/** Tunnels in the maps of bpf/geneve-mux, by names in place of interface numbers and places in tables. */
export const tunnels = defineKind({
  token: "netloom:bpf:Tunnels",
  description:
    "The tunnels of a GeneveMux: ends that push and pop headers, in the maps of its program. What changes is written, and " +
    "no more; all of what is in these maps is the program's.",
  schema: tunnelsSchema,
  policy: {
    program: replace("the maps of another program are other maps"),
    version: inPlace(),
    capacity: inPlace(),
    links: inPlace(),
    ends: inPlace(),
    numbers: inPlace(),
    others: inPlace(),
    tables: inPlace(),
  },
  // The maps are there with their program, empty: what they held before is put back, which is nothing.
  ownership: "setting",
  identity: ({ program }) => [program],
  locate: () => undefined,
  check(spec) {
    const reported = (["numbers", "others", "tables"] as const).filter(
      (property) => spec[property] !== undefined,
    );
    return [
      ...Object.entries(spec.ends).flatMap(([name, { link }]): Finding[] =>
        link in spec.links
          ? []
          : [{ path: ["ends", name, "link"], message: `is ${link}, which links does not have` }],
      ),
      ...reported.map((property): Finding => ({
        path: [property],
        message: "is reported: it cannot be set",
      })),
      ...Object.entries(spec.ends).flatMap(([name, end]) =>
        endProblems(end).map((message): Finding => ({ path: ["ends", name], message })),
      ),
      ...clashes(spec),
      ...roomProblems(spec),
    ];
  },
  statistics,
  queries: queriesOf,
  observe: observeTunnels,
  plan(current, desired) {
    if (desired === undefined) return [];
    if (current === undefined)
      throw new Error(
        `there are no maps of ${desired.program}: the program they are of must be loaded first`,
      );
    const now = tablesIn(current);
    const { numbers = {}, others } = current;
    for (const link of Object.keys(desired.links)) numberOfLink(numbers, { link }, others);
    return writes(desired.program, now, imageOf({ ...desired, others }, now, numbers));
  },
  explain(error, { program }) {
    if (/bpf obj get .*No such file/.test(error))
      return `${error}. There are no maps of ${program}: the program they are of must be loaded first.`;
    if (/Argument list too long|E2BIG|No space left/.test(error))
      return `${error}. A map of ${program} is full: choose a larger capacity.`;
    return undefined;
  },
});

const tablesIn = ({ tables }: Tunnels): Tables => ({ ...NO_TABLES, ...(tables as unknown as Tables) });

function endProblems({ keys, direction, local, remote, protocol, hop, sources, flags }: End): string[] {
  const wide = (address: string | undefined) => address !== undefined && addressBytes(address)?.length === 16;
  const tags = protocol === "vlan" || protocol === "qinq";
  const isPush = direction === "push";
  return [
    ...(keys.length === 0 ? ["has no key: nothing would find it"] : []),
    ...(keys.some((key) => isOfPop(key) === isPush) ? [`has keys that are not for ${direction}`] : []),
    ...(isPush && !tags && (local === undefined || remote === undefined) ? ["needs local and remote"] : []),
    ...(local !== undefined && remote !== undefined && wide(local) !== wide(remote)
      ? ["has local and remote of different families"]
      : []),
    ...(hop?.hold !== undefined && (hop.link ?? hop.dmac ?? hop.smac) !== undefined
      ? ["asks the routing table by hold, and names what it would find"]
      : []),
    ...(isPush && sources.length > 0 ? ["pushes, and sources are for what pops"] : []),
    ...(flags.includes("dont-fragment") && flags.includes("inherit-dont-fragment")
      ? ["both sets Don't Fragment and inherits it"]
      : []),
  ];
}

/** Ends that are found by the same thing on the same interface. */
function clashes({ ends }: Tunnels): Finding[] {
  const first = new Map<string, string>();
  return Object.entries(ends).flatMap(([name, { link, keys }]) =>
    keys.flatMap((key, nth): Finding[] => {
      const other = first.get(`${link} ${key}`);
      first.set(`${link} ${key}`, other ?? name);
      return other === undefined
        ? []
        : [{ path: ["ends", name, "keys", nth], message: `${key} on ${link} is a key of ${other} already` }];
    }),
  );
}

function roomProblems({ ends, capacity }: Tunnels): Finding[] {
  const all = Object.values(ends);
  const keys = all.reduce((sum, end) => sum + end.keys.length, 0);
  const most = Math.max(all.length, keys);
  return most <= capacity
    ? []
    : [{ path: ["capacity"], message: `is ${capacity}, and there are ${all.length} ends with ${keys} keys` }];
}
