import type { Construct } from "constructs";
import { l4lbServices } from "../../lib/kinds/l4lb-services";
import {
  addFindings,
  checkProps,
  Composite,
  enclosing,
  KernelObject,
  lifecycleOf,
  placeOf,
} from "../../lib/synth";
import { BpfObject, XdpProgram } from "../bpf";
import { leafProps, type InNamespaceProps } from "../common";
import type { LinkHandle } from "../link-handle";
import { readConfigYaml } from "./config-yaml";
import { LbForward, type LbForwardProps } from "./forward";
import { healthConfig, healthService } from "./health";
import { ownAddresses } from "./own-addresses";
import type { LbPolicyProps } from "./policy";
import type { L4LbHealthCheck, L4LbService } from "./props";
import { propsSchema } from "./schema";
import { servicesFindings, serviceOrigin, servicesIntent } from "./services";
import { REASON_STATISTICS } from "./statistics";

/** How much a balancer is built for. Other figures build another program, whose tables begin empty. */
export interface L4LbCapacity {
  /**
   * Most services, 1 to 65535.
   * @default 64
   */
  readonly services?: number;
  /**
   * Most backends of all services together, 1 to 8191.
   * @default 256
   */
  readonly backends?: number;
  /**
   * Flows that are remembered, 1024 to 268435456, taken up to a power of two; 16 bytes each.
   * @default 1048576
   */
  readonly flows?: number;
}

/** Seconds of idleness after which a flow ends, 1 to 604800 each. */
export interface L4LbTimeouts {
  /** A connection that is being opened. @default 10 */
  readonly tcpNew?: number;
  /** An open connection. @default 3600 */
  readonly tcp?: number;
  /** A connection that is being closed. @default 60 */
  readonly tcpClosing?: number;
  /** UDP of which one packet was seen. @default 10 */
  readonly udpNew?: number;
  /** UDP. @default 60 */
  readonly udp?: number;
  /** Fragments of one packet. @default 10 */
  readonly fragment?: number;
}

/** What a balancer takes besides its services. */
export interface XdpL4LbBaseProps extends InNamespaceProps {
  /** The link that packets to the VIPs come in at, and leave by: a construct's own, or the name of one that is there. */
  readonly interface: LinkHandle | string;
  /**
   * The other end, where the link is one of a veth pair: it gets a program that passes everything, without which a
   * veth takes nothing that is sent back out of it.
   * @default - none
   */
  readonly peerStub?: LinkHandle | string;
  /**
   * `"native"` in the driver, `"generic"` in the kernel's core, on any link and slower.
   * @default - native where the driver can, else generic
   */
  readonly mode?: "native" | "generic";
  /**
   * Names the program on the host, `/sys/fs/bpf/netloom/NAME`: 1 to 48 letters, digits, `_` and `-`.
   * @default - the construct's id
   */
  readonly name?: string;
  /**
   * Answers echo requests to the VIPs; otherwise they pass to the host.
   * @default true
   */
  readonly answerPings?: boolean;
  /**
   * When flows end by themselves.
   * @default - see each
   */
  readonly flowTimeouts?: L4LbTimeouts;
  /**
   * `LbPolicy.leastBytes()`: seconds until a byte counts a third (1/e), 1 to 3600.
   * @default 5
   */
  readonly decaySeconds?: number;
  /**
   * How much it is built for.
   * @default - see each
   */
  readonly capacity?: L4LbCapacity;
}

/** A load balancer. */
export interface XdpL4LbProps extends XdpL4LbBaseProps {
  /** Who serves what. What changes here is a few map entries: no flow of a backend that stays notices. */
  readonly services: readonly L4LbService[];
}

/** A load balancer from a `config.yaml`. */
export interface XdpL4LbFromYamlProps extends XdpL4LbBaseProps {
  /** Text of the file, or what a YAML parser made of it: `vip`, and `backends` with an `ip` each. */
  readonly config: string | Readonly<Record<string, unknown>>;
  /**
   * How a new flow finds its backend.
   * @default LbPolicy.leastLoad()
   */
  readonly policy?: LbPolicyProps;
  /**
   * How packets get to the backends.
   * @default - LbForward.ipip({ next: "back" }): under the client's address, to the router that they came from
   */
  readonly forward?: LbForwardProps;
  /**
   * Ports that are balanced, each 0 to 65535; 0 is all of them.
   * @default [0]
   */
  readonly ports?: readonly number[];
  /**
   * Protocols that are balanced.
   * @default ["udp"]
   */
  readonly protocols?: readonly ("tcp" | "udp")[];
  /**
   * How backends are asked whether they answer.
   * @default - not at all
   */
  readonly healthCheck?: L4LbHealthCheck;
}

/**
 * A layer-4 load balancer in XDP: packets to a VIP go to one of its backends, those of a flow to the same one, wrapped in
 * IP or as they came, out of the interface that they came in at; answers go from the backends to the clients directly.
 * Everything that is not to a service passes. See bpf/l4lb.
 *
 * @example
 * new XdpL4Lb(edge, "lb", {
 *   interface: "eno1",
 *   services: [
 *     {
 *       vip: "192.0.2.80",
 *       port: 80,
 *       protocol: "tcp",
 *       policy: LbPolicy.leastLoad(),
 *       backends: [{ address: "10.0.1.1", weight: 2 }, { address: "10.0.2.2" }],
 *       healthCheck: { type: "http", path: "/healthz" },
 *     },
 *   ],
 * });
 */
export class XdpL4Lb extends Composite {
  /** A balancer of what a `config.yaml` says. */
  static fromYaml(scope: Construct, id: string, props: XdpL4LbFromYamlProps): XdpL4Lb {
    const { config, policy, forward, ports = [0], protocols = ["udp"], healthCheck, ...rest } = props;
    const read = readConfigYaml(config);
    const services = protocols.flatMap((protocol) =>
      ports.map((port): L4LbService => ({
        vip: read.config?.vip ?? "",
        port,
        protocol,
        ...(policy && { policy }),
        forward: forward ?? LbForward.ipip({ next: "back" }),
        backends: (read.config?.backends ?? []).map(({ ip }) => ({ address: ip })),
        ...(healthCheck && { healthCheck }),
      })),
    );
    if (read.config !== undefined) return new XdpL4Lb(scope, id, { ...rest, services });
    const broken = new XdpL4Lb(scope, id, { ...rest, services: undefined });
    addFindings(broken, () =>
      read.findings.map(({ path, message }) => ({ path: ["config", ...path], message })),
    );
    return broken;
  }

  /** Names the program on the host. */
  readonly name: string;
  /** The program and its maps. */
  readonly object: BpfObject;

  constructor(scope: Construct, id: string, props: XdpL4LbProps | UnreadProps) {
    super(scope, id);
    const { name = id, services, capacity = {}, mode, peerStub } = props;
    this.name = name;
    const room = roomFor(capacity);
    this.object = new BpfObject(this, "object", {
      ...lifecycleOf(props),
      source: "l4lb/l4lb.bpf.c",
      name,
      programs: ["xdp_l4lb"],
      flags: [
        `-DLB_SERVICES=${room.services}`,
        `-DLB_BACKENDS=${room.backends}`,
        `-DLB_RING_LINES=${room.ringLines}`,
        `-DLB_REGIONS=${room.regions}`,
      ],
      statistics: REASON_STATISTICS,
    });
    if (services !== undefined) this.#serve(services, room, props);
    new XdpProgram(this, "program", {
      ...lifecycleOf(props),
      ...(props.namespace && { namespace: props.namespace }),
      object: this.object,
      program: "xdp_l4lb",
      link: props.interface,
      ...(mode && { mode }),
      ...(peerStub !== undefined && { peerStub }),
    });
    if (services?.some(({ forward }) => (forward?.next ?? "route") === "route") === true) {
      const place = props.namespace ?? enclosing(this);
      place?.enableForwarding();
      if (services.some(({ backends }) => backends.some(({ address }) => address.includes(":"))))
        place?.enableIpv6Forwarding();
    }
  }

  #serve(services: readonly L4LbService[], room: Room, props: XdpL4LbBaseProps): void {
    const shape = checkProps(propsSchema, { services, capacity: props.capacity });
    addFindings(this, () => {
      if (shape.length > 0) return shape;
      const place = props.namespace?.place ?? placeOf(this);
      return servicesFindings(services, place ? ownAddresses(this.node.root, place) : new Map());
    });
    // What is not a service cannot be told by its endpoint.
    if (shape.length > 0) return;
    const { flowTimeouts: timeouts, answerPings, decaySeconds } = props;
    const leaf = new KernelObject(this, "services", {
      ...leafProps(props),
      kind: l4lbServices,
      onBehalfOf: this,
      origin: (path) =>
        path[0] === "services"
          ? serviceOrigin(services)(path)
          : [PROPS[String(path[0])] ?? "", ...path.slice(1)],
      intent: {
        program: this.name,
        version: this.object.version,
        services: servicesIntent(services),
        echo: answerPings,
        timeouts,
        decay: decaySeconds,
        capacity: { services: room.services, backends: room.backends, ringLines: room.ringLines },
      },
    });
    leaf.node.addDependency(this.object);
    this.object.filledBy(leaf);
    const config = healthConfig(this.name, services);
    const netns = (props.namespace?.place ?? placeOf(this))?.netns;
    if (config !== undefined) healthService(this, { name: this.name, config, netns, after: leaf });
  }
}

/** A balancer whose services could not be read: what is wrong with them is a finding. */
interface UnreadProps extends XdpL4LbBaseProps {
  readonly services: undefined;
}

/** The props that properties of the kind's spec come from, where they have other names. */
const PROPS: Readonly<Record<string, string>> = {
  program: "name",
  echo: "answerPings",
  decay: "decaySeconds",
  timeouts: "flowTimeouts",
  capacity: "capacity",
};

interface Room {
  readonly services: number;
  readonly backends: number;
  readonly ringLines: number;
  readonly regions: number;
}

/** Flows of a region (bpf/l4lb/lb.h). */
const FLOWS_OF_A_REGION = 16;

/** Lines for tables: each backend has 100 places at least in a table of 32 places a line, and room to be moved. */
const LINES_FOR_A_BACKEND = 8;

function roomFor({ services = 64, backends = 256, flows = 1 << 20 }: L4LbCapacity): Room {
  const regions = Math.max(1, flows / FLOWS_OF_A_REGION);
  return {
    services,
    backends,
    ringLines: Math.max(512, LINES_FOR_A_BACKEND * backends),
    regions: 2 ** Math.ceil(Math.log2(regions)),
  };
}
