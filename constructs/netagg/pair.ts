import type { Construct, IConstruct } from "constructs";
import { netaggRules } from "../../lib/kinds/netagg-rules";
import { networkOf } from "../../lib/kinds/schemas";
import { addFindings, Composite, KernelObject, type PropertyPath } from "../../lib/synth";
import type { Host } from "../host";
import { PolicyRules } from "../policy-rules";
import { StaticRoutes, type StaticRoute } from "../static-routes";
import { Sysctls } from "../sysctls";
import { backendFindings, chooseBackend, type ChosenBackend } from "./backend";
import { netaggOn } from "./installation";
import { mptcp } from "./mptcp";
import type { NetAggPairProps, NetAggPath } from "./props";

const FIRST_TABLE = 7481;

/** An address without its prefix length. */
export const bare = (address: string) => address.split("/", 1)[0] ?? "";

/**
 * TCP connections from a sender to a receiver that use several paths at once, by weight, without the applications
 * knowing: by the kernel module netagg, which is built and loaded on both hosts, or by the kernel's Multipath TCP. It
 * brings what goes with it: a routing table and a rule for each path, and the kernel settings that let answers leave
 * by the path that is theirs.
 *
 * @example
 * new NetAggPair(app, "agg", {
 *   sender: { host: a },
 *   receiver: {
 *     host: b,
 *     paths: [
 *       { interface: "eth1", address: "10.0.1.11/24", gateway: "10.0.1.1", weight: 7500 },
 *       { interface: "eth2", address: "10.0.2.11/24", gateway: "10.0.2.1", weight: 2500 },
 *     ],
 *   },
 *   port: 1234,
 * });
 */
export class NetAggPair extends Composite {
  /** What carries the connections, and why. */
  readonly backend: ChosenBackend;

  constructor(scope: Construct, id: string, props: NetAggPairProps) {
    super(scope, id);
    const { sender, receiver } = props;
    this.backend = chooseBackend(props);
    const routing = this.#routing(receiver.host, receiver.paths, props.firstTable ?? FIRST_TABLE);
    sender.host.enableForwarding();
    receiver.host.enableForwarding();
    if (this.backend.backend === "mptcp") mptcp(this, props, routing);
    else this.#module(props, routing);
    addFindings(this, () => [
      ...receiver.paths.flatMap(pathFindings),
      ...(sender.host === receiver.host
        ? [{ path: ["receiver", "host"], message: "is the sender's: the paths lead to another host" }]
        : []),
      ...backendFindings(props),
    ]);
  }

  protected override outputs() {
    const { backend, reason } = this.backend;
    return { backend: `${backend}: ${reason}` };
  }

  /** What lets the receiver answer by the path that is asked about; what is made of it comes before the rest. */
  #routing(host: Host, paths: readonly NetAggPath[], first: number): readonly IConstruct[] {
    const links = [...new Set(paths.map((path) => path.interface))];
    const settings = new Sysctls(this, "settings", {
      namespace: host,
      name: `${this.node.path}`.replaceAll("/", "."),
      values: Object.fromEntries(
        ["all", ...links].flatMap((link) => [
          // One answers ARP only for the addresses of the link that is asked on, and takes packets that the table of
          // another link would answer to.
          [`net/ipv4/conf/${link}/arp_filter`, "1"],
          [`net/ipv4/conf/${link}/rp_filter`, "2"],
        ]),
      ),
    });
    const routes = new StaticRoutes(this, "routes", {
      namespace: host,
      name: `${this.node.id}-paths`,
      routes: paths.flatMap((path, index) => routesOf(path, first + index)),
    });
    const rules = new PolicyRules(this, "rules", {
      namespace: host,
      name: `${this.node.id}-paths`,
      rules: paths.map(({ address }, index) => ({
        priority: first + index,
        from: `${bare(address)}/${address.includes(":") ? 128 : 32}`,
        table: first + index,
      })),
    });
    rules.node.addDependency(routes);
    return [settings, routes, rules];
  }

  #module(props: NetAggPairProps, routing: readonly IConstruct[]): void {
    const { sender, receiver, port, packages, sign } = props;
    const build = { ...(packages && { packages }), ...(sign && { sign }) };
    const shared = {
      paths: receiver.paths.map((path) => ({
        address: bare(path.address),
        port: path.port ?? port,
        weight: path.weight,
      })),
      ...options(props),
    };
    const rulesOf = (host: Host, role: "sender" | "receiver") => {
      const installed = netaggOn(host, build, routing);
      const rules = new KernelObject(this, role, {
        kind: netaggRules,
        place: host.place,
        onBehalfOf: this,
        origin: origin(props),
        intent: {
          name: `${this.node.id}-${role}`,
          rules: [{ role, ...shared }],
          module: installed.version,
        },
      });
      rules.node.addDependency(installed);
      return rules;
    };
    // What the sender puts on another path is for a receiver that knows of it.
    const receiving = rulesOf(receiver.host, "receiver");
    rulesOf(sender.host, "sender").node.addDependency(receiving);
  }
}

/** Straight onto the link of the path, and else by its gateway. */
function routesOf({ interface: dev, address, gateway }: NetAggPath, table: number): StaticRoute[] {
  const source = bare(address);
  const hasPrefix = address.includes("/");
  return [
    ...(hasPrefix ? [{ destination: networkOf(address), dev, source, table }] : []),
    ...(gateway === undefined
      ? []
      : [{ destination: "default", via: gateway, dev, source, table, ...(!hasPrefix && { onLink: true }) }]),
  ];
}

function pathFindings({ address, gateway }: NetAggPath, index: number) {
  if (gateway !== undefined || address.includes("/")) return [];
  return [
    {
      path: ["receiver", "paths", index, "address"],
      message: `has neither prefix length nor gateway: how the path leads back is not known; write ${JSON.stringify(`${address}/24`)}`,
    },
  ];
}

/** The options of a rule, in the words of the module. */
function options(props: NetAggPairProps) {
  const { schedule, flowletMs, maxHoldMs, probes, adaptive, encapsulated } = props;
  const micro = (name: string, ms: number | undefined) =>
    ms === undefined ? {} : { [name]: typeof ms === "number" ? Math.round(ms * 1000) : ms };
  return {
    ...(schedule !== undefined && { mode: schedule }),
    ...micro("flowletUs", flowletMs),
    ...micro("maxHoldUs", maxHoldMs),
    ...(probes === false && { probePort: 0 }),
    ...(probes && probes.port !== undefined && { probePort: probes.port }),
    ...(probes && micro("probeUs", probes.intervalMs)),
    ...(probes && micro("deadUs", probes.deadAfterMs)),
    ...(adaptive !== undefined && { adapt: adaptive }),
    ...(encapsulated !== undefined && { encap: encapsulated }),
  };
}

const OPTIONS: Readonly<Record<string, PropertyPath>> = {
  mode: ["schedule"],
  flowletUs: ["flowletMs"],
  maxHoldUs: ["maxHoldMs"],
  probePort: ["probes", "port"],
  probeUs: ["probes", "intervalMs"],
  deadUs: ["probes", "deadAfterMs"],
  adapt: ["adaptive"],
  encap: ["encapsulated"],
};

/** Which prop a property of a rule comes from. */
const origin =
  ({ receiver }: NetAggPairProps) =>
  ([, , property, index, member, ...rest]: PropertyPath): PropertyPath => {
    if (property !== "paths") return OPTIONS[String(property)] ?? [];
    const own = typeof index === "number" ? receiver.paths[index] : undefined;
    if (member === "port" && own?.port === undefined) return ["port"];
    const place = [index, member, ...rest].filter((part) => part !== undefined);
    return ["receiver", "paths", ...place];
  };
