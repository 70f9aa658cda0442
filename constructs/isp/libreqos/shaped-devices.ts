import type { SubscriberCandidate } from "../check";
import type { CsvRow, CsvTable } from "../csv";
import { fieldCountFinding, renderCsv } from "../csv";
import type { SubscriberFinding } from "../findings";
import { quoted, SubscribersError } from "../findings";
import type { Device, Plan, Subscriber, SubscriberDevice } from "../model";
import type { Where } from "../network-tree";
import { readLeaf, renderLeaf } from "../values";

/** The columns of LibreQoS 1.5 and 2.0 (docs: configuration, "ShapedDevices.csv"). */
export const SHAPED_DEVICE_COLUMNS = [
  "Circuit ID",
  "Circuit Name",
  "Device ID",
  "Device Name",
  "Parent Node",
  "Parent Node ID",
  "Anchor Node ID",
  "MAC",
  "IPv4",
  "IPv6",
  "Download Min Mbps",
  "Upload Min Mbps",
  "Download Max Mbps",
  "Upload Max Mbps",
  "Comment",
] as const;

type Column = (typeof SHAPED_DEVICE_COLUMNS)[number] | "sqm";

/** The columns of LibreQoS 1.4, without the two node ids. */
export const LEGACY_SHAPED_DEVICE_COLUMNS: readonly Column[] = SHAPED_DEVICE_COLUMNS.filter(
  (column) => column !== "Parent Node ID" && column !== "Anchor Node ID",
);

/** LibreQoS compares headers by their letters and digits, in any case. */
const plain = (name: string) => name.toLowerCase().replace(/[^a-z0-9]/g, "");

/** Other spellings that LibreQoS and its older versions use. */
const ALIASES: Readonly<Record<string, Column>> = {
  id: "Anchor Node ID",
  downloadmin: "Download Min Mbps",
  uploadmin: "Upload Min Mbps",
  downloadmax: "Download Max Mbps",
  uploadmax: "Upload Max Mbps",
};

const BY_PLAIN_NAME: ReadonlyMap<string, Column> = new Map([
  ...[...SHAPED_DEVICE_COLUMNS, "sqm" as const].map((column): [string, Column] => [plain(column), column]),
  ...Object.entries(ALIASES),
]);

const FIELD_COLUMNS: Readonly<Record<string, Column>> = {
  id: "Circuit ID",
  name: "Circuit Name",
  parent: "Parent Node",
  parentId: "Parent Node ID",
  anchorId: "Anchor Node ID",
  "plan.downloadMax": "Download Max Mbps",
  "plan.uploadMax": "Upload Max Mbps",
  "plan.downloadMin": "Download Min Mbps",
  "plan.uploadMin": "Upload Min Mbps",
  "plan.leaf": "sqm",
  "device.id": "Device ID",
  "device.name": "Device Name",
  "device.mac": "MAC",
  "device.ipv4": "IPv4",
  "device.ipv6": "IPv6",
  "device.comment": "Comment",
};

/** Whether a header is that of a ShapedDevices.csv, even one with mistakes in it. */
export function isShapedDevicesHeader(header: readonly string[]): boolean {
  return header.some((name) => plain(name) === "circuitid");
}

/**
 * The columns of a file by its header. A file is read by name as LibreQoS 1.5 does, but its order has to be the
 * documented one, because LibreQoS 1.4 reads by position.
 */
function columnsOf(
  table: CsvTable,
  source: string,
): { columns: readonly Column[]; findings: SubscriberFinding[] } {
  const at = { source, row: table.headerRow };
  const findings: SubscriberFinding[] = [];
  const columns: Column[] = [];
  for (const name of table.header) {
    const column = BY_PLAIN_NAME.get(plain(name));
    if (column === undefined)
      findings.push({ ...at, column: name, message: "ShapedDevices.csv has no such column" });
    else if (columns.includes(column))
      findings.push({ ...at, column: name, message: "the column is there twice" });
    else columns.push(column);
  }
  for (const column of LEGACY_SHAPED_DEVICE_COLUMNS) {
    if (!columns.includes(column)) findings.push({ ...at, column, message: "the column is missing" });
  }
  if (findings.length > 0) return { columns, findings };
  const documented: Column[] = [...SHAPED_DEVICE_COLUMNS, "sqm"];
  const wanted = documented.filter((column) => columns.includes(column));
  const wrong = columns.findIndex((column, index) => column !== wanted[index]);
  if (wrong >= 0) {
    findings.push({
      ...at,
      column: columns[wrong],
      message: `stands where ${wanted[wrong]} belongs; LibreQoS 1.4 reads the columns by their place`,
    });
  }
  return { columns, findings };
}

/** The columns of one row: a row may lack the two node ids that the header names, as LibreQoS' own example does. */
function columnsOfRow(columns: readonly Column[], row: CsvRow): readonly Column[] | undefined {
  if (row.fields.length === columns.length) return columns;
  const legacy = columns.filter((column) => column !== "Parent Node ID" && column !== "Anchor Node ID");
  return row.fields.length === legacy.length ? legacy : undefined;
}

const RATE = /^\d+(\.\d*)?$|^\.\d+$/;

interface DeviceRow {
  readonly row: number;
  readonly where: Where;
  readonly text: (column: Column) => string;
  readonly plan: Plan;
  readonly device: Device;
}

function readRow(
  row: CsvRow,
  columns: readonly Column[],
  source: string,
  findings: SubscriberFinding[],
): DeviceRow {
  const where: Where = (field) => ({ source, row: row.row, column: FIELD_COLUMNS[field] ?? field });
  const text = (column: Column) => {
    const index = columns.indexOf(column);
    return index < 0 ? "" : (row.fields[index] ?? "");
  };
  const rate = (column: Column) => {
    const value = text(column);
    if (RATE.test(value)) return Number(value);
    const message = value === "" ? "a rate is needed" : `${quoted(value)} is not a rate in Mbit/s`;
    findings.push({ source, row: row.row, column, message });
    return NaN;
  };
  const leaf = readLeaf(text("sqm"));
  if ("problem" in leaf) findings.push({ ...where("plan.leaf"), message: leaf.problem });
  const list = (column: Column) =>
    text(column)
      .split(",")
      .map((part) => part.trim())
      .filter((part) => part !== "");
  const plan: Plan = {
    downloadMin: rate("Download Min Mbps"),
    uploadMin: rate("Upload Min Mbps"),
    downloadMax: rate("Download Max Mbps"),
    uploadMax: rate("Upload Max Mbps"),
    ...("leaf" in leaf && leaf.leaf !== undefined && { leaf: leaf.leaf }),
  };
  const device: Device = {
    id: text("Device ID") || text("Circuit ID"),
    name: text("Device Name") || text("Device ID") || text("Circuit ID"),
    mac: text("MAC"),
    ipv4: list("IPv4"),
    ipv6: list("IPv6"),
    comment: text("Comment"),
  };
  if (device.ipv4?.length === 0 && device.ipv6?.length === 0) {
    findings.push({ ...where("device.ipv4"), message: "a device has at least one IPv4 or IPv6 address" });
  }
  return { row: row.row, where, text, plan, device };
}

/** What all rows of a circuit say alike; LibreQoS takes the first row's and ignores the others'. */
const ALIKE: readonly Column[] = [
  "Circuit Name",
  "Parent Node",
  "Parent Node ID",
  "Anchor Node ID",
  "Download Min Mbps",
  "Upload Min Mbps",
  "Download Max Mbps",
  "Upload Max Mbps",
  "sqm",
];

/** Reads ShapedDevices.csv: the rows of one circuit become the devices of one subscriber. */
export function readShapedDevices(
  table: CsvTable,
  source: string,
): { readonly candidates: readonly SubscriberCandidate[]; readonly findings: readonly SubscriberFinding[] } {
  const { columns, findings } = columnsOf(table, source);
  if (findings.length > 0) return { candidates: [], findings };
  const circuits = new Map<string, DeviceRow[]>();
  for (const row of table.rows) {
    const present = columnsOfRow(columns, row);
    if (present === undefined) {
      findings.push(fieldCountFinding(table, row, source));
      continue;
    }
    const before = findings.length;
    const device = readRow(row, present, source, findings);
    const id = device.text("Circuit ID");
    if (id === "") findings.push({ ...device.where("id"), message: "a circuit id is needed" });
    if (findings.length > before) continue;
    const circuit = circuits.get(id);
    if (circuit === undefined) circuits.set(id, [device]);
    else circuit.push(device);
  }
  const candidates = [...circuits].map(([id, rows]): SubscriberCandidate => {
    const first = rows[0] as DeviceRow;
    for (const other of rows.slice(1)) {
      for (const column of ALIKE) {
        const [a, b] = [first.text(column), other.text(column)];
        if (a === b || (RATE.test(a) && RATE.test(b) && Number(a) === Number(b))) continue;
        findings.push({
          source,
          row: other.row,
          column,
          message: `${quoted(b)} here and ${quoted(a)} in row ${first.row} of circuit ${quoted(id)}; LibreQoS takes the first`,
        });
      }
    }
    const [parent, parentId, anchorId] = [
      first.text("Parent Node"),
      first.text("Parent Node ID"),
      first.text("Anchor Node ID"),
    ];
    return {
      props: {
        id,
        name: first.text("Circuit Name") || id,
        ...(parent !== "" && { parent }),
        ...(parentId !== "" && { parentId }),
        ...(anchorId !== "" && { anchorId }),
        plan: first.plan,
        devices: rows.map(({ device }) => device),
      },
      where: first.where,
      deviceWhere: rows.map(({ where }) => where),
    };
  });
  return { candidates, findings };
}

/** How a ShapedDevices.csv is written. */
export interface ShapedDevicesOptions {
  /** 15 for LibreQoS 1.5 and later, 13 for 1.4. @default 15 */
  readonly columns?: 13 | 15;
  /** The `sqm` column at the end; `auto` adds it when a plan names a leaf queue. @default "auto" */
  readonly sqm?: boolean | "auto";
  /** Decimal rates; LibreQoS 1.4 reads whole Mbit/s only. @default - with 15 columns */
  readonly decimals?: boolean;
  /** Minimum written for a plan that has none, in Mbit/s, at most the plan's maximum. @default 1 */
  readonly defaultMin?: number;
  /** Addresses of a subscriber whose devices name none: those of its tunnel. @default - none: an error */
  readonly addressesOf?: (subscriber: Subscriber) => readonly string[];
}

function unfit(
  subscriber: Subscriber,
  options: ShapedDevicesOptions,
  sqm: boolean,
  decimals: boolean,
): SubscriberFinding[] {
  const { id, plan, parentId, anchorId } = subscriber;
  const found: string[] = [];
  if ((plan.latencyMs ?? 0) > 0 || (plan.jitterMs ?? 0) > 0 || (plan.lossPercent ?? 0) > 0) {
    found.push(
      "LibreQoS adds no latency, jitter or loss; take them out of the plan or use the native shaper",
    );
  }
  if (!sqm && renderLeaf(plan.leaf) !== "")
    found.push("the plan names a leaf queue and the file has no sqm column");
  const rates = [plan.downloadMax, plan.uploadMax, plan.downloadMin ?? 1, plan.uploadMin ?? 1];
  if (!decimals && !rates.every(Number.isInteger)) found.push("LibreQoS 1.4 reads whole Mbit/s only");
  if (options.columns === 13 && (parentId ?? anchorId) !== undefined)
    found.push("13 columns have no room for node ids");
  return found.map((message) => ({ path: `subscriber ${quoted(id)}`, message }));
}

/**
 * Writes ShapedDevices.csv, one row for each device.
 * @throws SubscribersError for subscribers that LibreQoS cannot shape as they are
 */
export function renderShapedDevices(
  subscribers: readonly Subscriber[],
  options: ShapedDevicesOptions = {},
): string {
  const {
    columns = 15,
    sqm: wanted = "auto",
    decimals = columns === 15,
    defaultMin = 1,
    addressesOf,
  } = options;
  const sqm = wanted === "auto" ? subscribers.some(({ plan }) => renderLeaf(plan.leaf) !== "") : wanted;
  const header: Column[] = [...(columns === 15 ? SHAPED_DEVICE_COLUMNS : LEGACY_SHAPED_DEVICE_COLUMNS)];
  if (sqm) header.push("sqm");
  const findings: SubscriberFinding[] = [];
  const rows = subscribers.flatMap((subscriber) => {
    findings.push(...unfit(subscriber, options, sqm, decimals));
    const bare = subscriber.devices.every(({ ipv4, ipv6 }) => ipv4.length + ipv6.length === 0);
    const own = bare ? (addressesOf?.(subscriber) ?? []) : [];
    return subscriber.devices.map((device, index): (string | number)[] => {
      const shaped: SubscriberDevice =
        bare && index === 0
          ? { ...device, ipv4: own.filter((a) => !a.includes(":")), ipv6: own.filter((a) => a.includes(":")) }
          : device;
      if (shaped.ipv4.length + shaped.ipv6.length === 0) {
        const path = `subscriber ${quoted(subscriber.id)}`;
        findings.push({ path, message: `device ${quoted(device.id)} has no address to be shaped by` });
      }
      const cells = cellsOf(subscriber, shaped, defaultMin);
      return header.map((column) => cells[column]);
    });
  });
  if (findings.length > 0) throw new SubscribersError(findings, "what LibreQoS is to shape");
  return renderCsv(header, rows);
}

function cellsOf(
  subscriber: Subscriber,
  device: SubscriberDevice,
  defaultMin: number,
): Record<Column, string | number> {
  const { plan } = subscriber;
  return {
    "Circuit ID": subscriber.id,
    "Circuit Name": subscriber.name,
    "Device ID": device.id,
    "Device Name": device.name,
    "Parent Node": subscriber.parent ?? "",
    "Parent Node ID": subscriber.parentId ?? "",
    "Anchor Node ID": subscriber.anchorId ?? "",
    MAC: device.mac,
    IPv4: device.ipv4.join(", "),
    IPv6: device.ipv6.join(", "),
    "Download Min Mbps": plan.downloadMin ?? Math.min(defaultMin, plan.downloadMax),
    "Upload Min Mbps": plan.uploadMin ?? Math.min(defaultMin, plan.uploadMax),
    "Download Max Mbps": plan.downloadMax,
    "Upload Max Mbps": plan.uploadMax,
    Comment: device.comment,
    sqm: renderLeaf(plan.leaf),
  };
}
