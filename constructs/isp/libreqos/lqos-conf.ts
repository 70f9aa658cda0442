import { parse, stringify, TomlError } from "smol-toml";
import type { TomlTable as Toml, TomlValue } from "smol-toml";
import type { SubscriberFinding } from "../findings";
import { quoted, SubscribersError } from "../findings";
import type { Capacity, LibreQoSConfig, LibreQoSPath, LibreQoSTuning } from "./config";
import { withDefaults } from "./config";

/** An /etc/lqos.conf that was read. */
export interface LqosConf {
  readonly config: LibreQoSConfig;
  /**
   * What the file says besides: sections of CRM integrations, statistics, later versions. Written back as it is.
   * It may hold API keys: treat it as a secret.
   */
  readonly rest: Readonly<Record<string, TomlValue>>;
}

/** A float in TOML, which tells 1.0 from 1; the library tells them apart by whether integers are bigint. */
const float = (value: number): TomlValue => value;
const whole = (value: number): TomlValue => BigInt(value);

/** The sections that lqosd 1.5 refuses to start without, as its own example has them: nothing is integrated. */
const DEMANDED: Readonly<Record<string, Readonly<Record<string, TomlValue>>>> = {
  long_term_stats: {
    gather_stats: false,
    collation_period_seconds: whole(60),
    uisp_reporting_interval_seconds: whole(300),
  },
  splynx_integration: { enable_splynx: false, api_key: "", api_secret: "", url: "" },
  // How the first versions spelt it; later ones pass over it when both are there.
  spylnx_integration: { enable_spylnx: false, api_key: "", api_secret: "", url: "" },
  uisp_integration: {
    enable_uisp: false,
    token: "",
    url: "",
    site: "",
    strategy: "",
    suspended_strategy: "",
    airmax_capacity: float(1),
    ltu_capacity: float(1),
    exclude_sites: [],
    ipv6_with_mikrotik: false,
    bandwidth_overhead_factor: float(1),
    commit_bandwidth_multiplier: float(0.98),
    exception_cpes: [],
    use_ptmp_as_parent: false,
  },
  powercode_integration: { enable_powercode: false, powercode_api_key: "", powercode_api_url: "" },
  sonar_integration: {
    enable_sonar: false,
    sonar_api_key: "",
    sonar_api_url: "",
    snmp_community: "public",
    airmax_model_ids: [],
    ltu_model_ids: [],
    active_status_ids: [],
  },
};

const TUNING: Readonly<Record<keyof LibreQoSTuning, string>> = {
  stopIrqBalance: "stop_irq_balance",
  netdevBudgetUsecs: "netdev_budget_usecs",
  netdevBudgetPackets: "netdev_budget_packets",
  rxUsecs: "rx_usecs",
  txUsecs: "tx_usecs",
  disableRxvlan: "disable_rxvlan",
  disableTxvlan: "disable_txvlan",
  disableOffload: "disable_offload",
};

const isTable = (value: TomlValue | undefined): value is Toml =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);

/** The file's own values, over which ours are laid; ours win, key by key. */
function merged(ours: Record<string, TomlValue>, rest: Readonly<Record<string, TomlValue>>): Toml {
  const result: Record<string, TomlValue> = { ...ours };
  for (const [key, value] of Object.entries(rest)) {
    const own = result[key];
    if (own === undefined) result[key] = value;
    else if (isTable(own) && isTable(value)) result[key] = { ...value, ...own };
  }
  return result;
}

/**
 * Writes /etc/lqos.conf of LibreQoS 1.5 and later, complete: lqosd refuses a file that lacks a section.
 * @param rest - what else the file is to hold (`parseLqosConf`)
 */
export function renderLqosConf(config: LibreQoSConfig, rest: LqosConf["rest"] = {}): string {
  const full = withDefaults(config);
  const { path, tuning } = full;
  const toml = (value: boolean | number | readonly string[]): TomlValue =>
    typeof value === "number" ? whole(value) : typeof value === "boolean" ? value : [...value];
  const sides: Record<string, TomlValue> =
    path.mode === "bridge"
      ? {
          bridge: {
            use_xdp_bridge: path.bridge === "xdp",
            to_internet: path.toInternet,
            to_network: path.toNetwork,
          },
        }
      : {
          single_interface: {
            interface: path.interface,
            internet_vlan: whole(path.internetVlan),
            network_vlan: whole(path.networkVlan),
          },
        };
  const ours: Record<string, TomlValue> = {
    version: "1.5",
    lqos_directory: full.directory,
    node_id: full.nodeId,
    node_name: full.nodeName,
    tuning: Object.fromEntries(
      Object.entries(TUNING).map(([key, name]) => [name, toml(tuning[key as keyof LibreQoSTuning])]),
    ),
    ...sides,
    queues: {
      default_sqm: full.sqm,
      queue_mode: full.queueMode,
      // What versions before queue_mode read.
      monitor_only: full.queueMode === "observe",
      uplink_bandwidth_mbps: whole(full.uplink.upload),
      downlink_bandwidth_mbps: whole(full.uplink.download),
      generated_pn_download_mbps: whole(full.generatedParent.download),
      generated_pn_upload_mbps: whole(full.generatedParent.upload),
      dry_run: full.dryRun,
      sudo: full.sudo,
      ...(full.queues !== undefined && { override_available_queues: whole(full.queues) }),
      use_binpacking: full.binPacking,
      ...(full.lazyQueues !== undefined && { lazy_queues: full.lazyQueues }),
      ...(full.lazyExpireSeconds !== undefined && { lazy_expire_seconds: whole(full.lazyExpireSeconds) }),
    },
    ip_ranges: { ignore_subnets: [...full.ignoreSubnets], allow_subnets: [...full.allowSubnets] },
    integration_common: { queue_refresh_interval_mins: whole(full.refreshMinutes) },
  };
  const demanded: Record<string, TomlValue> = {
    packet_capture_time: whole(10),
    queue_check_period_ms: whole(1000),
    ...DEMANDED,
    integration_common: { circuit_name_as_address: false, always_overwrite_network_json: false },
  };
  return stringify(merged(merged(ours, rest), demanded), { numbersAsFloat: true });
}

const OURS: Readonly<Record<string, readonly string[]>> = {
  tuning: Object.values(TUNING),
  bridge: ["use_xdp_bridge", "to_internet", "to_network"],
  single_interface: ["interface", "internet_vlan", "network_vlan"],
  queues: [
    "default_sqm",
    "queue_mode",
    "monitor_only",
    "uplink_bandwidth_mbps",
    "downlink_bandwidth_mbps",
    "generated_pn_download_mbps",
    "generated_pn_upload_mbps",
    "dry_run",
    "sudo",
    "override_available_queues",
    "use_binpacking",
    "lazy_queues",
    "lazy_expire_seconds",
  ],
  ip_ranges: ["ignore_subnets", "allow_subnets"],
  integration_common: ["queue_refresh_interval_mins"],
};
const OUR_KEYS = ["version", "lqos_directory", "node_id", "node_name"];

/** What the file says that is not ours to say. */
function restOf(file: Toml): LqosConf["rest"] {
  const rest: Record<string, TomlValue> = {};
  for (const [key, value] of Object.entries(file)) {
    const ours = OURS[key];
    if (ours === undefined || !isTable(value)) {
      if (!OUR_KEYS.includes(key)) rest[key] = value;
      continue;
    }
    const others = Object.entries(value).filter(([name]) => !ours.includes(name));
    if (others.length > 0) rest[key] = Object.fromEntries(others);
  }
  return rest;
}

/** Typed reading of one section, collecting what is missing or of the wrong type. */
class Section {
  constructor(
    private readonly name: string,
    private readonly table: Toml,
    private readonly findings: SubscriberFinding[],
    private readonly source: string,
  ) {}

  text(key: string): string | undefined {
    return this.#get(key, "a string", (value) => (typeof value === "string" ? value : undefined));
  }

  flag(key: string): boolean | undefined {
    return this.#get(key, "true or false", (value) => (typeof value === "boolean" ? value : undefined));
  }

  number(key: string): number | undefined {
    return this.#get(key, "a whole number", (value) =>
      typeof value === "bigint" || (typeof value === "number" && Number.isInteger(value))
        ? Number(value)
        : undefined,
    );
  }

  list(key: string): string[] | undefined {
    return this.#get(key, "a list of strings", (value) =>
      Array.isArray(value) && value.every((item) => typeof item === "string") ? value : undefined,
    );
  }

  needed<T>(key: string, value: T | undefined, instead: T): T {
    if (value === undefined && this.table[key] === undefined) this.say(key, "is missing");
    return value ?? instead;
  }

  say(key: string, message: string): void {
    const path = [this.name, key].filter((part) => part !== "").join(".");
    this.findings.push({ source: this.source, path, message });
  }

  #get<T>(key: string, what: string, read: (value: TomlValue) => T | undefined): T | undefined {
    const value = this.table[key];
    if (value === undefined) return undefined;
    const result = read(value);
    // Only the type is said: a value may be a key of somebody's.
    if (result === undefined) this.say(key, `is not ${what}`);
    return result;
  }
}

/** The object without the properties that are undefined. */
const present = <T extends object>(value: { [K in keyof T]: T[K] | undefined }): T =>
  Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as T;

function readPath(section: (name: string) => Section, file: Toml): LibreQoSPath {
  const [bridge, single] = [isTable(file["bridge"]), isTable(file["single_interface"])];
  const root = section("");
  if (bridge && single) root.say("bridge", "and single_interface are both there; LibreQoS takes one of them");
  if (!bridge && !single) root.say("bridge", "or single_interface is missing");
  if (single) {
    const one = section("single_interface");
    return {
      mode: "onAStick",
      interface: one.needed("interface", one.text("interface"), ""),
      internetVlan: one.needed("internet_vlan", one.number("internet_vlan"), 0),
      networkVlan: one.needed("network_vlan", one.number("network_vlan"), 0),
    };
  }
  const two = section("bridge");
  if (isTable(file["bridge"]) && file["bridge"]["interface_mapping"] !== undefined) {
    two.say(
      "interface_mapping",
      "is of LibreQoS 1.4; this reads version 1.5, with to_internet and to_network",
    );
  }
  return {
    mode: "bridge",
    bridge: two.needed("use_xdp_bridge", two.flag("use_xdp_bridge"), false) ? "xdp" : "linux",
    toInternet: two.needed("to_internet", two.text("to_internet"), ""),
    toNetwork: two.needed("to_network", two.text("to_network"), ""),
  };
}

/**
 * Reads /etc/lqos.conf of LibreQoS 1.5 and later.
 * @throws SubscribersError for text that is no TOML, of another version, or with values of the wrong type
 */
export function parseLqosConf(text: string, source = "/etc/lqos.conf"): LqosConf {
  let file: Toml;
  try {
    file = parse(text, { integersAsBigInt: true });
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    // The library's message quotes the file, which may hold keys of other systems.
    const [message = "not TOML"] = error.message.split("\n");
    throw new SubscribersError([{ source, row: error.line, message }], source);
  }
  const findings: SubscriberFinding[] = [];
  const section = (name: string) => {
    const table = name === "" ? file : file[name];
    if (table !== undefined && !isTable(table))
      findings.push({ source, path: name, message: "is not a section" });
    return new Section(name, isTable(table) ? table : {}, findings, source);
  };
  const root = section("");
  const version = root.text("version");
  if (version?.trim() !== "1.5") {
    root.say(
      "version",
      version === undefined
        ? 'is missing; this reads version "1.5"'
        : `is ${quoted(version)}; this reads "1.5"`,
    );
    throw new SubscribersError(findings, source);
  }
  const queues = section("queues");
  const ranges = section("ip_ranges");
  const mode = queues.text("queue_mode");
  if (mode !== undefined && mode !== "shape" && mode !== "observe")
    queues.say("queue_mode", `is ${quoted(mode)}; shape or observe`);
  const lazy = queues.text("lazy_queues");
  if (lazy !== undefined && !["No", "Htb", "Full"].includes(lazy))
    queues.say("lazy_queues", `is ${quoted(lazy)}; No, Htb or Full`);
  const capacity = (download: string, upload: string): Capacity => ({
    download: queues.needed(download, queues.number(download), 0),
    upload: queues.needed(upload, queues.number(upload), 0),
  });
  const tuning = section("tuning");
  const config = present<LibreQoSConfig>({
    path: readPath(section, file),
    uplink: capacity("downlink_bandwidth_mbps", "uplink_bandwidth_mbps"),
    generatedParent: capacity("generated_pn_download_mbps", "generated_pn_upload_mbps"),
    sqm: queues.text("default_sqm"),
    queueMode:
      mode === "observe" || (mode === undefined && queues.flag("monitor_only") === true)
        ? "observe"
        : "shape",
    queues: queues.number("override_available_queues"),
    binPacking: queues.flag("use_binpacking"),
    lazyQueues: lazy as LibreQoSConfig["lazyQueues"],
    lazyExpireSeconds: queues.number("lazy_expire_seconds"),
    dryRun: queues.flag("dry_run"),
    sudo: queues.flag("sudo"),
    allowSubnets: ranges.list("allow_subnets"),
    ignoreSubnets: ranges.list("ignore_subnets"),
    refreshMinutes: section("integration_common").number("queue_refresh_interval_mins"),
    directory: root.text("lqos_directory"),
    nodeId: root.text("node_id"),
    nodeName: root.text("node_name"),
    tuning: isTable(file["tuning"])
      ? present<LibreQoSTuning>({
          stopIrqBalance: tuning.flag("stop_irq_balance"),
          netdevBudgetUsecs: tuning.number("netdev_budget_usecs"),
          netdevBudgetPackets: tuning.number("netdev_budget_packets"),
          rxUsecs: tuning.number("rx_usecs"),
          txUsecs: tuning.number("tx_usecs"),
          disableRxvlan: tuning.flag("disable_rxvlan"),
          disableTxvlan: tuning.flag("disable_txvlan"),
          disableOffload: tuning.list("disable_offload"),
        })
      : undefined,
  });
  if (findings.length > 0) throw new SubscribersError(findings, source);
  return { config, rest: restOf(file) };
}
