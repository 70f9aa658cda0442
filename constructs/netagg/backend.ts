import type { Finding } from "../../lib/kinds/kind";
import type { NetAggPairProps } from "./props";

/** What carries the connections, and why. */
export interface ChosenBackend {
  readonly backend: "module" | "mptcp";
  readonly reason: string;
}

/** What only the module does, of what is asked for. */
function moduleOnly(props: NetAggPairProps): string[] {
  const { encapsulated, adaptive, schedule, receiver } = props;
  const { flowletMs, maxHoldMs, probes } = props;
  const [first, ...others] = receiver.paths;
  return [
    ...(others.some(({ weight }) => weight !== first?.weight) ? ["unequal weights"] : []),
    ...(receiver.paths.some(({ port }) => port !== undefined && port !== props.port)
      ? ["a port for each path"]
      : []),
    ...(encapsulated === true ? ["encapsulated"] : []),
    ...(adaptive === true ? ["adaptive"] : []),
    ...(schedule !== undefined || flowletMs !== undefined ? ["schedule"] : []),
    ...(maxHoldMs !== undefined ? ["maxHoldMs"] : []),
    ...(probes !== undefined ? ["probes"] : []),
  ];
}

/** Chooses what carries the connections. Nothing is asked of the hosts: a preview needs none. */
export function chooseBackend(props: NetAggPairProps): ChosenBackend {
  const { backend = "auto", mptcpSockets = false } = props;
  if (backend !== "auto") return { backend, reason: "it is asked for" };
  if (!mptcpSockets)
    return {
      backend: "module",
      reason: "the applications open plain TCP sockets, which MPTCP does not carry",
    };
  const only = moduleOnly(props);
  if (only.length > 0) return { backend: "module", reason: `only the module does this: ${only.join(", ")}` };
  return {
    backend: "mptcp",
    reason: "the applications open MPTCP sockets, and nothing is asked for that it lacks",
  };
}

/** What is wrong with what is asked for: what MPTCP cannot do where it is asked for by name. */
export function backendFindings(props: NetAggPairProps): Finding[] {
  if (props.backend !== "mptcp") return [];
  const only = moduleOnly(props).filter((what) => what !== "unequal weights");
  return only.length === 0
    ? []
    : [
        {
          path: ["backend"],
          message: `MPTCP has none of this: ${only.join(", ")}. Leave it out, or write "module"`,
        },
      ];
}
