import type { SubscriberCandidate } from "./check";
import type { CsvRow, CsvTable } from "./csv";
import { fieldCountFinding, renderCsv } from "./csv";
import type { SubscriberFinding } from "./findings";
import { quoted } from "./findings";
import type { ClientEndpoint, Plan, Subscriber, SubscriberProps } from "./model";
import type { Where } from "./network-tree";
import { readLeaf, renderLeaf } from "./values";

/**
 * The columns of our own `subscribers.csv`, in the order in which they are written. They may be in any order and
 * only those marked are needed. Rates are Mbit/s; `ipv4` and `ipv6` hold addresses separated by spaces or commas.
 */
export const SUBSCRIBER_COLUMNS = [
  "id",
  "name",
  "number",
  "parent",
  "download_max_mbps",
  "upload_max_mbps",
  "download_min_mbps",
  "upload_min_mbps",
  "latency_ms",
  "jitter_ms",
  "loss_percent",
  "leaf",
  "client_address",
  "client_key",
  "client_fou",
  "ipv4",
  "ipv6",
  "mac",
  "comment",
] as const;

type Column = (typeof SUBSCRIBER_COLUMNS)[number];

/** The columns without which a subscriber has no plan. */
export const NEEDED_COLUMNS: readonly Column[] = ["id", "download_max_mbps", "upload_max_mbps"];

const FIELD_COLUMNS: Readonly<Record<string, Column>> = {
  "plan.downloadMax": "download_max_mbps",
  "plan.uploadMax": "upload_max_mbps",
  "plan.downloadMin": "download_min_mbps",
  "plan.uploadMin": "upload_min_mbps",
  "plan.latencyMs": "latency_ms",
  "plan.jitterMs": "jitter_ms",
  "plan.lossPercent": "loss_percent",
  "plan.leaf": "leaf",
  "client.address": "client_address",
  "client.key": "client_key",
  "client.fou": "client_fou",
  "device.id": "id",
  "device.name": "name",
  "device.ipv4": "ipv4",
  "device.ipv6": "ipv6",
  "device.mac": "mac",
  "device.comment": "comment",
};

/** Whether a header is ours, even one with mistakes in it. */
export function isSubscribersHeader(header: readonly string[]): boolean {
  const known: ReadonlySet<string> = new Set(SUBSCRIBER_COLUMNS);
  return header.filter((name) => known.has(name)).length * 2 > header.length || header.includes("id");
}

/** What is wrong with the header: unknown, repeated and missing columns, each by name. */
function headerFindings(table: CsvTable, source: string): SubscriberFinding[] {
  const known: ReadonlySet<string> = new Set(SUBSCRIBER_COLUMNS);
  const at = { source, row: table.headerRow };
  const extra = table.header.flatMap((column, index) => {
    if (!known.has(column)) {
      return [{ ...at, column, message: `no such column; there are ${SUBSCRIBER_COLUMNS.join(", ")}` }];
    }
    return table.header.indexOf(column) < index
      ? [{ ...at, column, message: "the column is there twice" }]
      : [];
  });
  const missing = NEEDED_COLUMNS.filter((column) => !table.header.includes(column)).map((column) => ({
    ...at,
    column,
    message: "the column is missing and is needed",
  }));
  return [...extra, ...missing];
}

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** One row's cells by column, with what is wrong with those that are no numbers. */
class Cells {
  constructor(
    private readonly row: CsvRow,
    private readonly indexOf: ReadonlyMap<string, number>,
    private readonly say: (column: Column, message: string) => void,
  ) {}

  text(column: Column): string | undefined {
    const index = this.indexOf.get(column);
    const text = index === undefined ? "" : (this.row.fields[index] ?? "");
    return text === "" ? undefined : text;
  }

  number(column: Column): number | undefined {
    const text = this.text(column);
    if (text === undefined) return undefined;
    if (NUMBER.test(text)) return Number(text);
    this.say(column, `${quoted(text)} is not a number`);
    return undefined;
  }

  needed(column: Column): number | undefined {
    if (this.text(column) === undefined) this.say(column, "a value is needed");
    return this.number(column);
  }

  flag(column: Column): boolean | undefined {
    const text = this.text(column)?.toLowerCase();
    if (text === undefined) return undefined;
    if (["true", "yes", "1"].includes(text)) return true;
    if (["false", "no", "0"].includes(text)) return false;
    this.say(column, `${quoted(text)} is neither true nor false`);
    return undefined;
  }

  list(column: Column): string[] {
    return (this.text(column) ?? "").split(/[\s,]+/).filter((part) => part !== "");
  }
}

/** The object without the properties that are undefined. */
function present<T extends object>(value: { readonly [K in keyof T]: T[K] | undefined }): T {
  const result: Record<string, unknown> = {};
  for (const [name, item] of Object.entries(value)) if (item !== undefined) result[name] = item;
  return result as T;
}

function readClient(cells: Cells): ClientEndpoint | undefined {
  const client = present<ClientEndpoint>({
    address: cells.text("client_address"),
    key: cells.number("client_key"),
    fou: cells.flag("client_fou"),
  });
  const tunnelled = client.address !== undefined || client.key !== undefined || client.fou === true;
  return tunnelled ? client : undefined;
}

/** Reads our own format; what is no number or no leaf is found here, what the values mean is checked elsewhere. */
export function readSubscribersCsv(
  table: CsvTable,
  source: string,
): { readonly candidates: readonly SubscriberCandidate[]; readonly findings: readonly SubscriberFinding[] } {
  const findings = headerFindings(table, source);
  if (findings.length > 0) return { candidates: [], findings };
  const indexOf = new Map(table.header.map((column, index) => [column, index]));
  const candidates = table.rows.flatMap((row): SubscriberCandidate[] => {
    if (row.fields.length !== table.header.length) {
      findings.push(fieldCountFinding(table, row, source));
      return [];
    }
    const before = findings.length;
    const where: Where = (field) => ({ source, row: row.row, column: FIELD_COLUMNS[field] ?? field });
    const cells = new Cells(row, indexOf, (column, message) =>
      findings.push({ source, row: row.row, column, message }),
    );
    const leaf = readLeaf(cells.text("leaf") ?? "");
    if ("problem" in leaf) findings.push({ ...where("plan.leaf"), message: leaf.problem });
    const plan = present<Plan>({
      downloadMax: cells.needed("download_max_mbps"),
      uploadMax: cells.needed("upload_max_mbps"),
      downloadMin: cells.number("download_min_mbps"),
      uploadMin: cells.number("upload_min_mbps"),
      latencyMs: cells.number("latency_ms"),
      jitterMs: cells.number("jitter_ms"),
      lossPercent: cells.number("loss_percent"),
      leaf: "leaf" in leaf ? leaf.leaf : undefined,
    });
    const id = cells.text("id") ?? "";
    const name = cells.text("name");
    const device = { name, mac: cells.text("mac"), comment: cells.text("comment") };
    const props = present<SubscriberProps>({
      id,
      name,
      number: cells.number("number"),
      parent: cells.text("parent"),
      parentId: undefined,
      anchorId: undefined,
      plan,
      addresses: undefined,
      devices: [{ id, ...present<object>(device), ipv4: cells.list("ipv4"), ipv6: cells.list("ipv6") }],
      client: readClient(cells),
    });
    return findings.length === before ? [{ props, where }] : [];
  });
  return { candidates, findings };
}

/**
 * Writes our own format: one row a subscriber, the columns that some subscriber uses.
 * @param numbers - line numbers to write down, for subscribers that have none (see `assignNumbers`)
 * @throws Error for a subscriber with several devices, which the format has no room for
 */
export function renderSubscribersCsv(
  subscribers: readonly Subscriber[],
  numbers: ReadonlyMap<string, number> = new Map(),
): string {
  const rows = subscribers.map(
    ({ id, name, number, parent, plan, client, devices }): Record<Column, string | number> => {
      const [device, ...more] = devices;
      if (device === undefined || more.length > 0) {
        throw new Error(
          `Subscriber ${quoted(id)} has ${devices.length} devices; subscribers.csv has one row for each subscriber.`,
        );
      }
      return {
        id,
        name: name === id ? "" : name,
        number: number ?? numbers.get(id) ?? "",
        parent: parent ?? "",
        download_max_mbps: plan.downloadMax,
        upload_max_mbps: plan.uploadMax,
        download_min_mbps: plan.downloadMin ?? "",
        upload_min_mbps: plan.uploadMin ?? "",
        latency_ms: plan.latencyMs ?? "",
        jitter_ms: plan.jitterMs ?? "",
        loss_percent: plan.lossPercent ?? "",
        leaf: renderLeaf(plan.leaf),
        client_address: client?.address ?? "",
        client_key: client?.key ?? "",
        client_fou: client?.fou === true ? "true" : "",
        ipv4: device.ipv4.join(" "),
        ipv6: device.ipv6.join(" "),
        mac: device.mac,
        comment: device.comment,
      };
    },
  );
  const used = SUBSCRIBER_COLUMNS.filter(
    (column) => NEEDED_COLUMNS.includes(column) || rows.some((row) => row[column] !== ""),
  );
  return renderCsv(
    used,
    rows.map((row) => used.map((column) => row[column])),
  );
}
