import type { SubscriberFinding } from "../findings";
import { SubscribersError } from "../findings";
import type { LibreQoSConfig } from "./config";
import { withDefaults } from "./config";
import type { PySkipped, PyValue } from "./python-literals";
import { parsePythonAssignments, renderPythonValue } from "./python-literals";

/** An ispConfig.py that was read, without running it. */
export interface IspConfigPy {
  readonly config: LibreQoSConfig;
  /**
   * What the file assigns besides: CRM integrations, graphs. Written back as it is. It may hold passwords and API
   * keys: treat it as a secret.
   */
  readonly rest: Readonly<Record<string, PyValue>>;
  /** Statements that are no plain assignments; what they do is lost when the file is written anew. */
  readonly skipped: readonly PySkipped[];
}

/** The names whose meaning is ours. */
const OURS: readonly string[] = [
  "sqm",
  "monitorOnlyMode",
  "upstreamBandwidthCapacityDownloadMbps",
  "upstreamBandwidthCapacityUploadMbps",
  "generatedPNDownloadMbps",
  "generatedPNUploadMbps",
  "interfaceA",
  "interfaceB",
  "queueRefreshIntervalMins",
  "OnAStick",
  "StickVlanA",
  "StickVlanB",
  "enableActualShellCommands",
  "runShellCommandsAsSudo",
  "queuesAvailableOverride",
  "useBinPackingToBalanceCPU",
  "ignoreSubnets",
  "allowedSubnets",
];

/** What LibreQoS 1.4 imports by name besides and fails without, as its own example has it: nothing is integrated. */
const DEMANDED: Readonly<Record<string, PyValue>> = {
  influxDBEnabled: false,
  influxDBurl: "http://localhost:8086",
  influxDBBucket: "libreqos",
  influxDBOrg: "",
  influxDBtoken: "",
  circuitNameUseAddress: true,
  overwriteNetworkJSONalways: false,
  automaticImportPowercode: false,
  powercode_api_key: "",
  powercode_api_url: "",
  automaticImportSonar: false,
  sonar_api_key: "",
  sonar_api_url: "",
  sonar_airmax_ap_model_ids: [],
  sonar_ltu_ap_model_ids: [],
  snmp_community: "",
  sonar_active_status_ids: [],
  automaticImportSplynx: false,
  splynx_api_key: "",
  splynx_api_secret: "",
  splynx_api_url: "",
  automaticImportUISP: false,
  uispAuthToken: "",
  UISPbaseURL: "",
  uispSite: "",
  uispStrategy: "full",
  uispSuspendedStrategy: "none",
  airMax_capacity: { float: 0.65 },
  ltu_capacity: { float: 0.9 },
  excludeSites: [],
  findIPv6usingMikrotik: false,
  bandwidthOverheadFactor: { float: 1 },
  committedBandwidthMultiplier: { float: 0.98 },
  exceptionCPEs: { dict: [] },
  apiUsername: "",
  apiPassword: "",
  apiHostIP: "127.0.0.1",
  apiHostPost: 5000,
  httpRestIntegrationConfig: { dict: [["enabled", false]] },
};

/**
 * Writes ispConfig.py of LibreQoS before 1.5: assignments of plain values, nothing else. Which bridge forwards is
 * not said there but in that version's lqos.conf.
 * @param rest - what else the file is to assign (`parseIspConfigPy`)
 */
export function renderIspConfigPy(config: LibreQoSConfig, rest: IspConfigPy["rest"] = {}): string {
  const full = withDefaults(config);
  const { path, uplink, generatedParent } = full;
  const stick = path.mode === "onAStick";
  const ours: Record<string, PyValue> = {
    sqm: full.sqm,
    monitorOnlyMode: full.queueMode === "observe",
    upstreamBandwidthCapacityDownloadMbps: uplink.download,
    upstreamBandwidthCapacityUploadMbps: uplink.upload,
    generatedPNDownloadMbps: generatedParent.download,
    generatedPNUploadMbps: generatedParent.upload,
    interfaceA: stick ? path.interface : path.toNetwork,
    interfaceB: stick ? path.interface : path.toInternet,
    queueRefreshIntervalMins: full.refreshMinutes,
    OnAStick: stick,
    StickVlanA: stick ? path.networkVlan : 0,
    StickVlanB: stick ? path.internetVlan : 0,
    enableActualShellCommands: !full.dryRun,
    runShellCommandsAsSudo: full.sudo,
    queuesAvailableOverride: full.queues ?? 0,
    useBinPackingToBalanceCPU: full.binPacking,
    ignoreSubnets: full.ignoreSubnets,
    allowedSubnets: full.allowSubnets,
  };
  const values: Record<string, PyValue> = { ...ours, ...DEMANDED, ...rest, ...ours };
  return Object.entries(values)
    .map(([name, value]) => `${name} = ${renderPythonValue(value)}\n`)
    .join("");
}

/** Typed reading of the assignments, collecting what is missing or of the wrong type. */
class Assigned {
  readonly findings: SubscriberFinding[] = [];

  constructor(
    private readonly values: ReadonlyMap<string, { readonly value: PyValue; readonly row: number }>,
    private readonly source: string,
  ) {}

  text(name: string): string {
    return this.#get(name, "a string", (value) => (typeof value === "string" ? value : undefined)) ?? "";
  }

  flag(name: string): boolean {
    return (
      this.#get(name, "True or False", (value) => (typeof value === "boolean" ? value : undefined)) ?? false
    );
  }

  number(name: string): number {
    return (
      this.#get(name, "a whole number", (value) =>
        Number.isSafeInteger(value) ? (value as number) : undefined,
      ) ?? 0
    );
  }

  list(name: string): string[] {
    const strings = (value: PyValue) =>
      Array.isArray(value) && value.every((item) => typeof item === "string") ? value : undefined;
    return this.#get(name, "a list of strings", strings) ?? [];
  }

  /** The value of a name that older files lack. */
  optional<K extends "text" | "flag" | "number">(kind: K, name: string): ReturnType<Assigned[K]> | undefined {
    return this.values.has(name) ? (this[kind](name) as ReturnType<Assigned[K]>) : undefined;
  }

  #get<T>(name: string, what: string, read: (value: PyValue) => T | undefined): T | undefined {
    const found = this.values.get(name);
    const value = found === undefined ? undefined : read(found.value);
    if (found === undefined) this.findings.push({ source: this.source, path: name, message: "is missing" });
    // Only the type is said: a value may be a password of somebody's.
    else if (value === undefined)
      this.findings.push({ source: this.source, row: found.row, path: name, message: `is not ${what}` });
    return value;
  }
}

/**
 * Reads ispConfig.py of LibreQoS before 1.5. It is not run: assignments of plain values are read, whatever else
 * the file does is passed over and listed.
 * @param bridge - which bridge forwards, which the file does not say (that version's lqos.conf does)
 * @throws SubscribersError when a setting is missing, is computed, or is of the wrong type
 */
export function parseIspConfigPy(
  text: string,
  bridge: "linux" | "xdp" = "linux",
  source = "ispConfig.py",
): IspConfigPy {
  const { assignments, skipped } = parsePythonAssignments(text);
  // As in Python, the last assignment counts.
  const values = new Map(assignments.map(({ name, value, row }) => [name, { value, row }]));
  const assigned = new Assigned(values, source);
  for (const { name, row, reason } of skipped) {
    if (name === undefined || !OURS.includes(name)) continue;
    assigned.findings.push({ source, row, path: name, message: `is ${reason}; the file is read, not run` });
  }
  const computed = new Set(skipped.map(({ name }) => name));
  const stick = assigned.optional("flag", "OnAStick") ?? false;
  const download = assigned.number("upstreamBandwidthCapacityDownloadMbps");
  const upload = assigned.number("upstreamBandwidthCapacityUploadMbps");
  const queues = assigned.optional("number", "queuesAvailableOverride") ?? 0;
  const config: LibreQoSConfig = {
    path: stick
      ? {
          mode: "onAStick",
          interface: assigned.text("interfaceA"),
          internetVlan: assigned.number("StickVlanB"),
          networkVlan: assigned.number("StickVlanA"),
        }
      : {
          mode: "bridge",
          bridge,
          toInternet: assigned.text("interfaceB"),
          toNetwork: assigned.text("interfaceA"),
        },
    uplink: { download, upload },
    generatedParent: {
      download: assigned.optional("number", "generatedPNDownloadMbps") ?? download,
      upload: assigned.optional("number", "generatedPNUploadMbps") ?? upload,
    },
    sqm: assigned.optional("text", "sqm") ?? "cake diffserv4",
    queueMode: assigned.optional("flag", "monitorOnlyMode") === true ? "observe" : "shape",
    ...(queues > 0 && { queues }),
    binPacking: assigned.optional("flag", "useBinPackingToBalanceCPU") ?? false,
    dryRun: !(assigned.optional("flag", "enableActualShellCommands") ?? true),
    sudo: assigned.optional("flag", "runShellCommandsAsSudo") ?? false,
    allowSubnets: assigned.list("allowedSubnets"),
    ignoreSubnets: assigned.list("ignoreSubnets"),
    refreshMinutes: assigned.optional("number", "queueRefreshIntervalMins") ?? 30,
  };
  const findings = assigned.findings.filter(
    ({ path, message }) => message !== "is missing" || !computed.has(path),
  );
  if (findings.length > 0) throw new SubscribersError(findings, source);
  const rest = Object.fromEntries(
    [...values].filter(([name]) => !OURS.includes(name)).map(([name, { value }]) => [name, value]),
  );
  return { config, rest, skipped };
}
