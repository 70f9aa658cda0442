import { contains, formatCidr, overlaps, parseCidr } from "../../../lib/synth/cidr";
import type { Cidr } from "../../../lib/synth/cidr";
import { quoted } from "../findings";
import type { LibreQoSConfig } from "./config";
import { withDefaults } from "./config";

/** What is known about the host and the program around LibreQoS. */
export interface LibreQoSSurroundings {
  /** Every prefix whose traffic is to be shaped: the tunnel pools and the subscribers' own addresses. */
  readonly shaped?: readonly string[];
  /** Transmit queues of the interfaces, by name, where they are known. */
  readonly queues?: Readonly<Record<string, number>>;
  /** Linux bridges of the program with their ports, where they are known. */
  readonly bridges?: readonly { readonly name: string; readonly ports: readonly string[] }[];
}

/** One thing about LibreQoS' settings: an `error` would not work, a `warning` works otherwise than it reads. */
export interface LibreQoSFinding {
  readonly severity: "error" | "warning";
  /** Path of the property in LibreQoSConfig. */
  readonly property: string;
  readonly message: string;
}

type Say = (property: string, message: string, severity?: LibreQoSFinding["severity"]) => void;

/** IFNAMSIZ less the final zero; no slash, white space or colon, as `ip link` has it. */
const INTERFACE = /^[^\s/:]{1,15}$/;

function checkInterface(property: string, name: string, say: Say): void {
  if (!INTERFACE.test(name) || name === "." || name === "..") {
    say(property, `${quoted(name)} is no interface name: 1 to 15 characters without space, slash or colon`);
  }
}

function checkPath({ path }: LibreQoSConfig, { queues = {}, bridges }: LibreQoSSurroundings, say: Say): void {
  const interfaces =
    path.mode === "onAStick"
      ? [["path.interface", path.interface] as const]
      : [["path.toInternet", path.toInternet] as const, ["path.toNetwork", path.toNetwork] as const];
  for (const [property, name] of interfaces) {
    checkInterface(property, name, say);
    const count = queues[name];
    if (count !== undefined && count < 2) {
      say(
        property,
        `${name} has ${count} transmit queue and LibreQoS refuses to start with fewer than 2; make it with numtxqueues and numrxqueues of 2 or more`,
      );
    }
  }
  if (path.mode === "onAStick") {
    for (const side of ["internetVlan", "networkVlan"] as const) {
      const vlan = path[side];
      if (!(Number.isInteger(vlan) && vlan >= 1 && vlan <= 4094))
        say(`path.${side}`, `${vlan} is no VLAN id: 1 to 4094`);
    }
    if (path.internetVlan === path.networkVlan)
      say("path.networkVlan", `both sides are VLAN ${path.networkVlan}`);
    return;
  }
  if (path.toInternet === path.toNetwork)
    say("path.toNetwork", `both sides are ${path.toNetwork}; one interface needs mode onAStick`);
  if (bridges === undefined) return;
  const both = bridges.find(({ ports }) => ports.includes(path.toInternet) && ports.includes(path.toNetwork));
  if (path.bridge === "xdp" && both !== undefined) {
    say(
      "path.bridge",
      `the Linux bridge ${both.name} joins ${path.toInternet} and ${path.toNetwork}, and so would LibreQoS' XDP bridge: every packet twice, and loops; use one of the two`,
    );
  }
  if (path.bridge === "linux" && both === undefined) {
    say(
      "path.bridge",
      `no Linux bridge joins ${path.toInternet} and ${path.toNetwork}; without one nothing is forwarded`,
    );
  }
}

function readPrefixes(property: string, texts: readonly string[], say: Say): Cidr[] {
  return texts.flatMap((text, index) => {
    const cidr = parseCidr(text);
    // LibreQoS splits at the slash and fails without one.
    if (cidr !== undefined && text.includes("/")) return [cidr];
    say(`${property}[${index}]`, `${quoted(text)} is no prefix such as 192.168.0.0/16`);
    return [];
  });
}

function checkRanges(config: LibreQoSConfig, shaped: readonly string[], say: Say): void {
  const { allowSubnets, ignoreSubnets } = withDefaults(config);
  const allow = readPrefixes("allowSubnets", allowSubnets, say);
  const ignore = readPrefixes("ignoreSubnets", ignoreSubnets, say);
  for (const text of shaped) {
    const cidr = parseCidr(text);
    if (cidr === undefined) continue;
    const hidden = ignore.find((range) => overlaps(range, cidr));
    if (hidden !== undefined) {
      say("ignoreSubnets", `${formatCidr(hidden)} hides ${text}, whose traffic is to be shaped; take it out`);
    } else if (!allow.some((range) => contains(range, cidr))) {
      say("allowSubnets", `${text} is to be shaped and not allowed; add it`);
    }
  }
}

function checkCapacity(config: LibreQoSConfig, say: Say): void {
  for (const [property, capacity] of [
    ["uplink", config.uplink],
    ["generatedParent", config.generatedParent ?? config.uplink],
  ] as const) {
    for (const side of ["download", "upload"] as const) {
      const rate = capacity[side];
      if (!Number.isInteger(rate) || rate < 1)
        say(`${property}.${side}`, `${rate} is not a whole number of Mbit/s, 1 or more`);
    }
  }
  const { download, upload } = config.uplink;
  if (download !== upload) {
    say(
      "uplink",
      `LibreQoS 1.5 caps both directions at uplink_bandwidth_mbps (its scheduler reads that key for the download too), so ${download} Mbit/s download become ${upload}`,
      "warning",
    );
  }
}

/** Everything about LibreQoS' settings that would not work, or not as it reads. */
export function checkLibreQoS(
  config: LibreQoSConfig,
  surroundings: LibreQoSSurroundings = {},
): readonly LibreQoSFinding[] {
  const findings: LibreQoSFinding[] = [];
  const say: Say = (property, message, severity = "error") => findings.push({ severity, property, message });
  checkPath(config, surroundings, say);
  checkCapacity(config, say);
  checkRanges(config, surroundings.shaped ?? [], say);
  if (config.queues !== undefined && !(Number.isInteger(config.queues) && config.queues >= 2)) {
    say(
      "queues",
      `${config.queues} is not a whole number of 2 or more; LibreQoS refuses to start with fewer queues`,
    );
  }
  if (config.sqm !== undefined && !/^(cake|fq_codel)( [a-z0-9_-]+)*$/.test(config.sqm)) {
    say("sqm", `${quoted(config.sqm)} is not cake or fq_codel with plain options, such as "cake diffserv4"`);
  }
  for (const text of ["nodeId", "nodeName", "directory"] as const) {
    const value = config[text];
    if (value !== undefined && (value.trim() === "" || /\p{Cc}/u.test(value)))
      say(text, `${quoted(value)} is empty or holds a control character`);
  }
  return findings;
}

/**
 * The settings with the prefixes allowed that are to be shaped. What is ignored stays as the user wrote it:
 * `checkLibreQoS` says when it hides them.
 */
export function allowShaped(config: LibreQoSConfig, shaped: readonly string[]): LibreQoSConfig {
  const allowed = withDefaults(config).allowSubnets;
  const ranges = allowed.flatMap((text) => parseCidr(text) ?? []);
  const missing = shaped.flatMap((text) => {
    const cidr = parseCidr(text);
    return cidr === undefined || ranges.some((range) => contains(range, cidr)) ? [] : [formatCidr(cidr)];
  });
  return { ...config, allowSubnets: [...allowed, ...new Set(missing)] };
}
