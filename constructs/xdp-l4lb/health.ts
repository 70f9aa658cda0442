import type { Construct, IConstruct } from "constructs";
import { folderOf } from "../../lib/kinds/bpf/names";
import { canonicalAddress } from "../../lib/kinds/schemas";
import { sha256 } from "../digest";
import { Executable } from "../executable";
import { Files } from "../files";
import { packagedSources } from "../sources";
import { SystemdUnit } from "../systemd-unit";
import type { L4LbHealthCheck, L4LbService } from "./props";

/** Where the checks of balancers are. */
const DIRECTORY = "/etc/netloom-l4lb";

/**
 * The checks of services as bpf/l4lb-health reads them; undefined where nobody is asked and nobody has a time to drain.
 *
 * @param name the balancer's program
 */
export function healthConfig(name: string, services: readonly L4LbService[]): string | undefined {
  const lines = services.flatMap((service) =>
    service.backends.flatMap((backend) => {
      const { address, state = "up", drainSeconds, healthCheck = service.healthCheck } = backend;
      const who = [service.protocol, canonicalAddress(service.vip), service.port, canonicalAddress(address)];
      if (drainSeconds !== undefined) return [["drain", ...who, drainSeconds]];
      // One that drains is asked no more: what is left of its flows is its own.
      if (healthCheck === undefined || healthCheck === false || state !== "up") return [];
      return [["check", ...who, ...checkWords(healthCheck, service.port)]];
    }),
  );
  if (lines.length === 0) return undefined;
  return [["pins", `${folderOf(name)}/current/maps`], ...lines]
    .map((words) => `${words.join(" ")}\n`)
    .join("");
}

function checkWords(check: L4LbHealthCheck, servicePort: number): readonly (string | number)[] {
  const { type, port = servicePort, path = "/", intervalMs = 2000, fall = 3, rise = 2 } = check;
  const { timeoutMs = Math.min(1000, Math.floor(intervalMs / 2)) } = check;
  return [type, port, intervalMs, timeoutMs, fall, rise, path];
}

/** What the service needs to know of its balancer. */
export interface HealthServiceProps {
  /** The balancer's program. */
  readonly name: string;
  /** The checks. */
  readonly config: string;
  /** The namespace that backends are asked from. */
  readonly netns: string | undefined;
  /** What has to be there before: the services in the program's maps. */
  readonly after: IConstruct;
}

/** The host's service that asks backends, built there and run by systemd. */
export function healthService(scope: Construct, { name, config, netns, after }: HealthServiceProps): void {
  const program = new Executable(scope, "health", {
    name: `l4lb-health-${name}`,
    folder: packagedSources(),
    sources: ["l4lb-health/health.c"],
  });
  const file = `${name}.conf`;
  const checks = new Files(scope, "checks", {
    directory: DIRECTORY,
    name: `l4lb-${name}`,
    files: { [file]: { content: config } },
  });
  const unit = new SystemdUnit(scope, "health-service", {
    name: `netloom-l4lb-${name}.service`,
    content: [
      "[Unit]",
      `Description=Asks the backends of the load balancer ${name} whether they answer`,
      "After=network.target netloom-restore.service",
      "[Service]",
      ...(netns === undefined ? [] : [`NetworkNamespacePath=/run/netns/${netns}`]),
      `ExecStart=${program.path} ${DIRECTORY}/${file}`,
      "Restart=on-failure",
      "RestartSec=1",
      "[Install]",
      "WantedBy=multi-user.target",
      "",
    ].join("\n"),
    enabled: true,
    state: "running",
    restartTriggers: { checks: sha256(config) },
  });
  unit.node.addDependency(program, checks, after);
}
