import type { Construct, IConstruct } from "constructs";
import type { Finding } from "../../lib/kinds/kind";
import { netaggRules } from "../../lib/kinds/netagg-rules";
import { addFindings, Composite, KernelObject, lifecycleOf, type PropertyPath } from "../../lib/synth";
import type { Host } from "../host";
import { chooseBackend, type ChosenBackend } from "./backend";
import { clashes } from "./clashes";
import { endsOf, type PairEnd, type Role } from "./ends";
import { findingsOfProps } from "./findings";
import { setName } from "./names";
import { bare, routing } from "./paths";
import { DEAD_AFTER_INTERVALS, DEAD_AFTER_MS, type NetAggPairProps } from "./props";
import { Shared } from "./shared";
import { freeTables } from "./tables";

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
    const findings = [...findingsOfProps(props)];
    addFindings(this, () => findings);
    // What is built on wrong props would only repeat what is wrong with them.
    if (findings.length > 0) {
      this.backend = { backend: "module", reason: "nothing is made while the pair's props are wrong" };
      return;
    }
    this.backend = chooseBackend(props);
    const first = props.firstTable ?? freeTables(tablesOn(props.receiver.host));
    const ends = endsOf(this.node.path, props, this.backend.backend, first ?? 0);
    if (first === undefined)
      findings.push({ path: ["firstTable"], message: "there are no eight tables left: name the first one" });
    else findings.push(...clashesOf(ends));
    if (first !== undefined && findings.length === 0) this.#build(props, ends, first);
  }

  protected override outputs() {
    const { backend, reason } = this.backend;
    return { backend: `${backend}: ${reason}` };
  }

  #build(props: NetAggPairProps, ends: readonly PairEnd[], firstTable: number): void {
    const { sender, receiver } = props;
    for (const end of ends) Shared.on(end.host).join(end);
    sender.host.enableForwarding();
    receiver.host.enableForwarding();
    const { routes, rules } = routing(this, props, firstTable);
    // The settings name links, which are there before routes lead out of them.
    const settings = Shared.on(receiver.host).settings(routes);
    const before = [settings, routes, rules];
    if (this.backend.backend === "module") this.#module(props, before);
    // In any order: a host may be the sender of one pair and the receiver of another.
    else for (const { host } of ends) Shared.on(host).mptcp(...before);
  }

  #module(props: NetAggPairProps, routing: readonly IConstruct[]): void {
    const { sender, receiver, port } = props;
    const pathsOf = (role: Role) =>
      receiver.paths.map((path) => ({
        address: bare(path.address),
        port: path.port ?? port,
        weight: path.weight,
        // Who is to answer on it has the address there.
        ...(role === "receiver" && { dev: path.interface }),
      }));
    const rulesOf = (host: Host, role: Role) => {
      const installed = Shared.on(host).installation(...routing);
      const rules = new KernelObject(this, role, {
        ...lifecycleOf(props),
        kind: netaggRules,
        place: host.place,
        onBehalfOf: this,
        origin: origin(props),
        intent: () => ({
          name: setName(this, role),
          rules: [{ role, paths: pathsOf(role), ...options(props) }],
          module: installed.version,
        }),
      });
      rules.node.addDependency(installed);
      return rules;
    };
    // What the sender puts on another path is for a receiver that knows of it.
    const receiving = rulesOf(receiver.host, "receiver");
    rulesOf(sender.host, "sender").node.addDependency(receiving);
  }
}

/** The tables of a host that pairs have so far. */
const tablesOn = (host: Host) =>
  Shared.on(host).ends.flatMap(({ tables }) => (tables === undefined ? [] : [tables]));

/** What an earlier pair has on either host: told once, of the receiver where it is both. */
function clashesOf(ends: readonly PairEnd[]): readonly Finding[] {
  const told = new Set<string>();
  return ends
    .flatMap((end) => clashes(end, Shared.on(end.host).ends))
    .filter(({ path }) => {
      const key = path.join(".");
      return told.has(key) ? false : told.add(key);
    });
}

/** The options of a rule, in the words of the module. */
function options(props: NetAggPairProps) {
  const { schedule, flowletMs, maxHoldMs, probes, adaptive, encapsulated } = props;
  return {
    ...(schedule !== undefined && { mode: schedule }),
    ...micro("flowletUs", flowletMs),
    ...micro("maxHoldUs", maxHoldMs),
    ...probing(probes),
    ...(adaptive !== undefined && { adapt: adaptive }),
    ...(encapsulated !== undefined && { encap: encapsulated }),
  };
}

const micro = (name: string, ms: number | undefined) =>
  ms === undefined ? {} : { [name]: Math.round(ms * 1000) };

function probing(probes: NetAggPairProps["probes"]) {
  if (probes === undefined) return {};
  if (probes === false) return { probePort: 0 };
  const { port, intervalMs, deadAfterMs } = probes;
  const follows =
    intervalMs === undefined ? undefined : Math.max(DEAD_AFTER_MS, DEAD_AFTER_INTERVALS * intervalMs);
  return {
    ...(port !== undefined && { probePort: port }),
    ...micro("probeUs", intervalMs),
    ...micro("deadUs", deadAfterMs ?? follows),
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
    const place = [index, member === "dev" ? "interface" : member, ...rest].filter(
      (part) => part !== undefined,
    );
    return ["receiver", "paths", ...place];
  };
