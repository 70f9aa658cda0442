import { z } from "zod";
import { familyOf, port, prefix, text, u32, whole } from "../schemas";
import { classid, handle, majorOf } from "./units";

/** Hooks of a link that filters can be on besides its qdiscs: those of clsact. */
const HOOKS = ["egress", "ingress"] as const;

const addressOrPrefix = text(
  (value) => prefix.safeParse(bare(value)).error?.issues[0]?.message,
  (value) => withoutWhole(prefix.parse(bare(value))),
);

function bare(value: string): string {
  const family = value.includes("/") ? undefined : familyOf(value);
  return family === undefined ? value : `${value}/${family === 4 ? 32 : 128}`;
}

const withoutWhole = (value: string) => value.replace(value.includes(":") ? /\/128$/ : /\/32$/, "");

/** A filter of tc-flower(8) that picks a class. */
export const flowerFilter = z.strictObject({
  parent: z
    .union([z.enum(HOOKS), handle], { error: "must be egress, ingress or the root's handle such as 1:" })
    .describe(
      "Where it is: on the root qdisc it picks the class itself; on egress or ingress (which need `clsact`) it sets the " +
        "packet's priority, which HTB takes for a class id.",
    ),
  protocol: z.enum(["ip", "ipv6"], { error: "must be ip or ipv6" }).describe("The packets that it looks at."),
  pref: whole(1, 65_535).describe(
    "Filters of the lowest number are asked first; all of one number are of one protocol.",
  ),
  handle: u32.min(1, "must be 1 or more").describe("Its number among those of the same `pref`."),
  source: addressOrPrefix.optional().describe("Address or network that the packet comes from. Default: any."),
  destination: addressOrPrefix
    .optional()
    .describe("Address or network that the packet goes to. Default: any."),
  ipProtocol: z.enum(["tcp", "udp", "icmp", "icmpv6", "sctp"]).optional().describe("Default: any."),
  sourcePort: port.optional().describe("With `ipProtocol` tcp, udp or sctp. Default: any."),
  destinationPort: port.optional().describe("With `ipProtocol` tcp, udp or sctp. Default: any."),
  classid: classid.describe("The class that the packets go to."),
});

/** One filter, canonical. */
export type FlowerFilter = z.output<typeof flowerFilter>;

/** What makes it the same filter. */
export const filterKey = ({ parent, protocol, pref, handle: id }: FlowerFilter): string =>
  `${parent} ${protocol} ${pref} ${id}`;

const optional = (name: string, value: string | number | undefined) =>
  value === undefined ? [] : [name, String(value)];

/** The words behind `tc filter VERB dev LINK`. */
export function filterWords(filter: FlowerFilter): string[] {
  const { source, destination, ipProtocol, sourcePort, destinationPort, classid: to } = filter;
  return [
    ...nameWords(filter),
    ...optional("ip_proto", ipProtocol),
    ...optional("src_ip", source),
    ...optional("dst_ip", destination),
    ...optional("src_port", sourcePort),
    ...optional("dst_port", destinationPort),
    ...(isHook(filter.parent) ? ["action", "skbedit", "priority", to] : ["classid", to]),
  ];
}

/** Enough of it to delete it. */
export function nameWords({ parent, protocol, pref, handle: id }: FlowerFilter): string[] {
  const place = isHook(parent) ? [parent] : ["parent", parent];
  return [...place, "protocol", protocol, "pref", String(pref), "handle", `0x${id.toString(16)}`, "flower"];
}

/** Whether filters are on a hook of clsact, rather than on a qdisc. */
export const isHook = (parent: string): boolean => (HOOKS as readonly string[]).includes(parent);

/** One row of `tc -j filter show`. */
interface FilterRow {
  readonly protocol?: string;
  readonly pref?: number;
  readonly kind?: string;
  readonly options?: {
    readonly handle?: number;
    readonly classid?: string;
    readonly keys?: Readonly<Record<string, unknown>>;
    readonly actions?: readonly Readonly<Record<string, unknown>>[];
  };
}

/** Keys of flower that are ours, and one that says no more than `protocol`. */
const KEYS = new Set(["eth_type", "ip_proto", "src_ip", "dst_ip", "src_port", "dst_port"]);

/** The filters of one place that are of flower, as far as they have words of ours. */
export function readFilters(printed: unknown, parent: string): FlowerFilter[] {
  const rows = Array.isArray(printed) ? (printed as FilterRow[]) : [];
  return rows.flatMap((row) => {
    const { handle: id, keys = {}, classid: direct, actions = [] } = row.options ?? {};
    if (row.kind !== "flower" || id === undefined || row.pref === undefined) return [];
    const to = direct ?? actions.find(({ kind }) => kind === "skbedit")?.priority;
    const known = Object.keys(keys).every((key) => KEYS.has(key));
    if (typeof to !== "string" || majorOf(to) === 0 || !known) return [];
    const address = (key: string) => (typeof keys[key] === "string" ? withoutWhole(keys[key]) : undefined);
    const source = address("src_ip");
    const destination = address("dst_ip");
    return [
      {
        parent,
        protocol: row.protocol as FlowerFilter["protocol"],
        pref: row.pref,
        handle: id,
        ...(source !== undefined && { source }),
        ...(destination !== undefined && { destination }),
        ...(keys.ip_proto !== undefined && { ipProtocol: keys.ip_proto as FlowerFilter["ipProtocol"] }),
        ...(typeof keys.src_port === "number" && { sourcePort: keys.src_port }),
        ...(typeof keys.dst_port === "number" && { destinationPort: keys.dst_port }),
        classid: to,
      },
    ];
  });
}
