import type { Construct, IConstruct } from "constructs";
import { files } from "../../../lib/kinds/files";
import type { PropertyPath } from "../../../lib/synth";
import { addFindings, Composite, contains, KernelObject, parseCidr } from "../../../lib/synth";
import { sha256 } from "../../digest";
import { HostCommand } from "../../host-command";
import type { LinkHandle } from "../../link-handle";
import { Packages } from "../../packages";
import { SystemdUnit } from "../../systemd-unit";
import { formatSubscriberFinding, SubscribersError } from "../findings";
import type { ShapedSubscribers, ShapingPoint } from "../shaper";
import { allowShaped, checkLibreQoS, type LibreQoSFinding } from "./check";
import type { LibreQoSConfig } from "./config";
import { withDefaults } from "./config";
import { renderIspConfigPy, type IspConfigPy } from "./isp-config-py";
import { renderLqosConf, type LqosConf } from "./lqos-conf";
import { renderNetworkJson } from "./network-json";
import { renderShapedDevices } from "./shaped-devices";
import type { LibreQoSShaperProps } from "./shaper";

/** A file of LibreQoS as it is to be. */
export interface LibreQoSFile {
  readonly directory: string;
  readonly name: string;
  readonly content: string;
}

/** Everything that LibreQoS reads. */
export interface LibreQoSFiles {
  /** ShapedDevices.csv and network.json. */
  readonly plans: readonly LibreQoSFile[];
  /** lqos.conf, or ispConfig.py of 1.4. */
  readonly settings: LibreQoSFile;
}

const DIRECTORY = "/opt/libreqos/src";

/** LibreQoS at a shaping point: its files, its services, its reload. */
export class LibreQoS extends Composite {
  readonly #warnings: readonly string[];
  #triggers: Readonly<Record<string, string>> = {};

  constructor(
    scope: Construct,
    id: string,
    props: LibreQoSShaperProps,
    point: ShapingPoint,
    shaped: ShapedSubscribers,
  ) {
    super(scope, id);
    const config = configOf(props, point, shaped);
    // What joins the two sides is known when the tree is complete.
    const findings = () => checkLibreQoS(config, surroundings(props, point, shaped));
    addFindings(this, () =>
      findings().flatMap((finding) => (finding.severity === "error" ? [placed(finding)] : [])),
    );
    this.#warnings = checkLibreQoS(config)
      .filter(({ severity }) => severity === "warning")
      .map(({ property, message }) => `${property}: ${message}`);
    const rendered = this.#rendered(props, config, shaped);
    if (rendered === undefined) return;
    const { plans, settings } = this.#files(props, rendered);
    const digests = (given: readonly LibreQoSFile[]) =>
      Object.fromEntries(given.map(({ name, content }) => [name, sha256(content)]));
    this.#triggers = digests([...rendered.plans, rendered.settings]);
    const before: IConstruct[] = [plans, settings, point.subscriberSide.owner, point.internetSide.owner];
    const { packages = [], reload = "unit" } = props;
    if (packages.length > 0) {
      const installed = new Packages(this, "packages", { packages });
      for (const written of [plans, settings]) written.node.addDependency(installed);
    }
    // In front of its own command, a service is only told of what it reads when it starts.
    const started = reload === "unit" ? this.#triggers : digests([rendered.settings]);
    const services = this.#services(props, point, started, before);
    if (reload === "unit") return;
    const { reloadCommand: command = ["python3", "LibreQoS.py"], directory = DIRECTORY } = props;
    const reloads = new HostCommand(this, "reload", { command, directory, triggers: this.#triggers });
    reloads.node.addDependency(...before, ...services);
  }

  protected override outputs() {
    return { files: this.#triggers, warnings: this.#warnings };
  }

  /** The files, or findings in their place. */
  #rendered(
    props: LibreQoSShaperProps,
    config: LibreQoSConfig,
    shaped: ShapedSubscribers,
  ): LibreQoSFiles | undefined {
    try {
      return libreQoSFiles(props, config, shaped);
    } catch (error) {
      if (!(error instanceof SubscribersError)) throw error;
      const findings = error.findings.map((finding) => ({
        path: ["subscribers"],
        message: formatSubscriberFinding(finding),
      }));
      addFindings(this, () => findings);
      return undefined;
    }
  }

  #files({ adopt, rest }: LibreQoSShaperProps, { plans, settings }: LibreQoSFiles) {
    const set = (id: string, written: readonly LibreQoSFile[], isSecret: boolean) =>
      new KernelObject(this, id, {
        adopt,
        kind: files,
        intent: {
          directory: written[0]?.directory,
          name: `libreqos-${id}`,
          files: Object.fromEntries(
            written.map(({ name, content }) => [name, { content, mode: isSecret ? "0600" : "0644" }]),
          ),
        },
        secrets: isSecret ? ["files"] : [],
      });
    return { plans: set("plans", plans, false), settings: set("settings", [settings], rest !== undefined) };
  }

  /** One after the other, in the namespace of the two links. */
  #services(
    { units = ["lqosd.service", "lqos_scheduler.service"] }: LibreQoSShaperProps,
    { subscriberSide }: ShapingPoint,
    restartTriggers: Readonly<Record<string, string>>,
    before: readonly IConstruct[],
  ): readonly SystemdUnit[] {
    const netns = subscriberSide.place?.netns;
    const inside = netns !== undefined && {
      dropIns: { "netloom.conf": `[Service]\nNetworkNamespacePath=/run/netns/${netns}\n` },
    };
    const services: SystemdUnit[] = [];
    for (const name of units) {
      const unit = new SystemdUnit(this, name, {
        ...inside,
        enabled: true,
        state: "running",
        restartTriggers,
      });
      unit.node.addDependency(...before, ...services);
      services.push(unit);
    }
    return services;
  }
}

/** The settings that follow from where the shaper stands, and those of the program. */
export function configOf(
  { settings = {}, directory = DIRECTORY, path }: LibreQoSShaperProps,
  { subscriberSide, internetSide, bridge, uplink }: ShapingPoint,
  shaped: ShapedSubscribers,
): LibreQoSConfig {
  const config: LibreQoSConfig = {
    uplink,
    ...settings,
    directory,
    path: path ?? { mode: "bridge", bridge, toInternet: internetSide.name, toNetwork: subscriberSide.name },
  };
  return allowShaped(config, shapedPrefixes(shaped));
}

/**
 * Renders everything that LibreQoS reads.
 * @throws SubscribersError for subscribers that LibreQoS cannot shape as they are
 */
export function libreQoSFiles(
  { version = "1.5", rest }: LibreQoSShaperProps,
  config: LibreQoSConfig,
  { subscribers, allocation }: ShapedSubscribers,
): LibreQoSFiles {
  const { directory } = withDefaults(config);
  const old = version === "1.4";
  const csv = renderShapedDevices(subscribers.all, {
    columns: old ? 13 : 15,
    addressesOf: (subscriber) => allocation.addressesOf(subscriber),
  });
  return {
    plans: [
      { directory, name: "ShapedDevices.csv", content: csv },
      { directory, name: "network.json", content: renderNetworkJson(subscribers.network) },
    ],
    settings: old
      ? { directory, name: "ispConfig.py", content: renderIspConfigPy(config, rest as IspConfigPy["rest"]) }
      : { directory: "/etc", name: "lqos.conf", content: renderLqosConf(config, rest as LqosConf["rest"]) },
  };
}

/** The pools and the addresses that are in none of them, as prefixes. */
function shapedPrefixes({ subscribers, allocation }: ShapedSubscribers): readonly string[] {
  const pools = allocation.pools.flatMap((pool) => parseCidr(pool) ?? []);
  const isInPool = (prefix: string) => {
    const cidr = parseCidr(prefix);
    return cidr !== undefined && pools.some((pool) => contains(pool, cidr));
  };
  const own = subscribers.all.flatMap((subscriber) => allocation.addressesOf(subscriber)).map(asPrefix);
  return [...new Set([...allocation.pools, ...own.filter((prefix) => !isInPool(prefix))])];
}

function asPrefix(address: string): string {
  if (address.includes("/")) return address;
  return `${address}/${parseCidr(address)?.family === 6 ? 128 : 32}`;
}

function surroundings(props: LibreQoSShaperProps, point: ShapingPoint, shaped: ShapedSubscribers) {
  const sides = [point.subscriberSide, point.internetSide];
  const known = sides.flatMap((side) => {
    const queues = queuesOf(side);
    return queues === undefined ? [] : [[side.name, queues] as const];
  });
  const { master } = point.subscriberSide;
  const joined = master !== undefined && master === point.internetSide.master;
  return {
    shaped: shapedPrefixes(shaped),
    queues: Object.fromEntries(known),
    // Which links others have joined is not known of a path of the program's own.
    ...(props.path === undefined && {
      bridges: joined ? [{ name: master, ports: sides.map(({ name }) => name) }] : [],
    }),
  };
}

/** Transmit queues of a link, where the program makes it and says how many. */
function queuesOf({ owner }: LinkHandle): number | undefined {
  if (!KernelObject.isKernelObject(owner)) return undefined;
  const { intent } = owner.kernelObject;
  const { txQueues, kind } = typeof intent === "function" ? intent() : intent;
  // A pair is made with one queue where nothing is said.
  return typeof txQueues === "number" ? txQueues : kind === "veth" ? 1 : undefined;
}

/** A finding under the name that the property has in the shaper's props. */
function placed({ property, message }: LibreQoSFinding): { path: PropertyPath; message: string } {
  const path = property.split(/[.[\]]+/).filter((part) => part !== "");
  return { path: path[0] === "path" || path[0] === "directory" ? path : ["settings", ...path], message };
}
