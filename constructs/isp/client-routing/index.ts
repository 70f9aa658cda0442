import type { Construct } from "constructs";
import { sysctls } from "../../../lib/kinds/sysctls";
import { unit } from "../../../lib/kinds/unit";
import type { IPlace, Place } from "../../../lib/synth";
import { addFindings, Composite, definePlace, enclosing, KernelObject } from "../../../lib/synth";
import { Bridge } from "../../bridge";
import { Files } from "../../files";
import { Firewall } from "../../firewall";
import type { ILink } from "../../link-handle";
import { Namespace } from "../../namespace";
import { PolicyRules } from "../../policy-rules";
import { StaticRoutes } from "../../static-routes";
import { VethPair } from "../../veth-pair";
import { application } from "./application";
import { behind, policy } from "./behind";
import { clashes } from "./clashes";
import { defaultRoute } from "./default-route";
import { addressOf, bridgeName, containerSubnets, dockerNetwork } from "./docker";
import { findingsOfProps } from "./findings";
import { cable, insideRoutes, isInside } from "./namespace";
import { networks } from "./networks";
import { numbersOf, type Numbers } from "./numbers";
import type { ClientRoutingProps, DockerProps, NamespaceModeProps } from "./props";
import { MARKING, sliceUnits } from "./slice";
import { numbered, type Way } from "./way";

export type {
  ApplicationProps,
  ClientRoutingProps,
  DefaultRouteProps,
  DockerProps,
  NamespaceModeProps,
  NetworksProps,
  TunnelUseProps,
  UserIds,
} from "./props";

/**
 * How a client uses its tunnel: as default route, for chosen networks, for one application, for containers, or for
 * a network namespace. A routing table of its own and policy rules (ip-rule(8)) lead there; no route of the host's
 * own is changed, so that it is as it was when the construct is gone.
 *
 * @example
 * const tunnel = new GreTunnel(pi, "gre1", {
 *   local: "198.51.100.7",
 *   remote: "192.0.2.1",
 *   addresses: ["192.168.11.2/30"],
 * });
 * new ClientRouting(pi, "lab", { tunnel, mode: "networks", destinations: ["203.0.113.0/24"] });
 */
export class ClientRouting extends Composite {
  /** Number of the routing table that leads into the tunnel; undefined where the namespace's main table does. */
  readonly table: number | undefined;
  /** Priority of the first policy rule. */
  readonly priority: number | undefined;
  /** Mode `docker`: the arguments of `docker` that make a network of the bridge. */
  readonly dockerNetwork: readonly string[] | undefined;
  /** Mode `application` with a slice: what goes before a command, for its packets to use the tunnel. */
  command: readonly string[] | undefined;
  /** Mode `namespace`: the namespace. */
  readonly namespace: IPlace | undefined;

  constructor(scope: Construct, id: string, props: ClientRoutingProps) {
    super(scope, id);
    const around = enclosing(this);
    const findings = findingsOfProps(props, around?.place);
    addFindings(this, () => findings);
    if (findings.length > 0 || around === undefined) return;
    if (props.mode === "namespace" && isInside(props)) {
      this.namespace = this.#insideTunnel(props);
      return;
    }
    const numbers = numbersOf(props, around.place.host.name, this.node.path);
    this.table = numbers.table;
    this.priority = numbers.priority;
    switch (props.mode) {
      case "default":
        this.#way(props.tunnel, defaultRoute(props, numbers, around.place.host.address), numbers);
        break;
      case "networks":
        this.#way(props.tunnel, networks(props, numbers), numbers);
        break;
      case "application":
        this.#way(props.tunnel, application(props, numbers), numbers);
        if (props.slice !== undefined) this.#slice(props.slice, props.mark ?? numbers.table, props.tunnel);
        break;
      case "docker":
        this.dockerNetwork = dockerNetwork(props, id);
        this.#containers(props, numbers, around);
        break;
      case "namespace":
        this.namespace = this.#behindCable(props, numbers, around);
    }
  }

  protected override outputs(): Readonly<Record<string, unknown>> | undefined {
    const { table, priority, command, dockerNetwork: words } = this;
    if (table === undefined) return undefined;
    return {
      ...{ table, priority },
      ...(command !== undefined && { command: command.join(" ") }),
      ...(words !== undefined && { dockerNetwork: ["docker", ...words].join(" ") }),
    };
  }

  /** The table and the rules to it; what must never enter the tunnel is kept out before, and until the end. */
  #way(tunnel: ILink, { underlay = [], routes, rules }: Way, numbers: Numbers): void {
    const name = this.#name();
    const into = new StaticRoutes(this, "table", { name, routes });
    const policyRules = new PolicyRules(this, "rules", {
      name,
      rules: numbered(rules, numbers.priority + underlay.length),
    });
    policyRules.node.addDependency(into, looseReversePath(tunnel));
    if (underlay.length > 0) {
      const pinned = new PolicyRules(this, "underlay", {
        name: `${name}-underlay`,
        rules: numbered(underlay, numbers.priority),
      });
      policyRules.node.addDependency(pinned);
    }
    const place = enclosing(this)?.place;
    const count = underlay.length + rules.length;
    if (place !== undefined) addFindings(this, () => clashes(this, place, numbers, count));
  }

  /** A slice, and the service that knows its packets: both start with the host. */
  #slice(slice: string, mark: number, tunnel: ILink): void {
    const name = this.#name();
    const { files, units } = sliceUnits({ name, slice, mark, dev: tunnel.link.name });
    const text = new Files(this, "marking", { name, directory: MARKING, files });
    const [first, second] = units.map(
      (intent, index) =>
        new KernelObject(this, index === 0 ? "slice" : "service", {
          kind: unit,
          intent,
        }),
    );
    if (first !== undefined && second !== undefined) second.node.addDependency(first, text);
    this.command = ["systemd-run", "--scope", `--slice=${slice}`];
  }

  #containers(props: DockerProps, numbers: Numbers, host: IPlace): void {
    const subnets = containerSubnets(props);
    const bridge = new Bridge(this, "bridge", {
      name: bridgeName(props, this.node.id),
      addresses: subnets.map((subnet) => addressOf(subnet, 1n)).filter((address) => address !== undefined),
      ...(props.mtu !== undefined && { mtu: props.mtu }),
    });
    this.#forward(props, numbers, host, bridge.link.name, subnets);
  }

  #behindCable(props: NamespaceModeProps, numbers: Numbers, host: IPlace): Namespace {
    const { name = this.node.id, nameservers, mtu, subnet = "" } = props;
    const made = new Namespace(this, "namespace", {
      name,
      ...(nameservers !== undefined && { nameservers }),
    });
    const { outside, inside, gateway } = cable(this.node.id, subnet);
    const size = mtu === undefined ? {} : { mtu };
    new VethPair(this, "cable", {
      a: { namespace: host, ...outside, ...size },
      b: { namespace: made, ...inside, ...size },
    });
    new StaticRoutes(made, "default", {
      routes: [{ destination: "default", ...(gateway !== undefined && { via: gateway }) }],
    });
    this.#forward(props, numbers, host, outside.name, [subnet]);
    return made;
  }

  /** What comes in by a link goes into the tunnel, and the host forwards that and no more. */
  #forward(
    props: DockerProps | NamespaceModeProps,
    numbers: Numbers,
    host: IPlace,
    link: string,
    subnets: readonly string[],
  ): void {
    this.#way(props.tunnel, behind(props, numbers, link), numbers);
    const firewall = new Firewall(this, "policy", { table: this.#name(), ...policy(props, link, subnets) });
    host.enableForwarding(firewall);
    if (subnets.some((subnet) => subnet.includes(":"))) host.enableIpv6Forwarding(firewall);
  }

  /** The tunnel is the only way that the namespace around it has. */
  #insideTunnel(props: NamespaceModeProps): IPlace | undefined {
    const home = new TunnelHome(this, "inside", props.tunnel.link.place as Place);
    new StaticRoutes(home, "default", { name: this.#name(), routes: insideRoutes(props) });
    return enclosing(props.tunnel);
  }

  /** Names what this construct makes in a namespace that it may share with others of its sort. */
  #name(): string {
    return this.node.path.replace(/[^A-Za-z0-9_.-]+/g, "-");
  }
}

/** The namespace that a tunnel is in, as the place of what belongs to its use. */
class TunnelHome extends Composite {
  constructor(scope: Construct, id: string, place: Place) {
    super(scope, id);
    definePlace(this, place);
  }
}

/**
 * Answers come in by the tunnel to addresses that the kernel itself would not look for there: it does not see the
 * socket, the user or the link inside when it asks for the way back. Loose reverse path filtering (RFC 3704) still
 * wants a way back, by any link. Once for each tunnel, however many use it.
 */
function looseReversePath(tunnel: ILink): KernelObject {
  const { name, owner, place } = tunnel.link;
  const there = tunnel.node.tryFindChild(LOOSE);
  if (there !== undefined && KernelObject.isKernelObject(there)) return there;
  const made = new KernelObject(tunnel, LOOSE, {
    kind: sysctls,
    ...(place !== undefined && { place }),
    intent: { name: `${name}-rp-filter`, values: { [`net/ipv4/conf/${name}/rp_filter`]: "2" } },
  });
  made.node.addDependency(owner);
  return made;
}

const LOOSE = "loose-reverse-path";
