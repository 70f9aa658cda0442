import type { Construct, IConstruct } from "constructs";
import { mptcp as kind } from "../../lib/kinds/mptcp";
import { KernelObject, type PropertyPath } from "../../lib/synth";
import { Sysctls } from "../sysctls";
import type { NetAggPairProps } from "./props";

/**
 * The same paths by the kernel's Multipath TCP: the receiver tells the sender of its other addresses, and the sender
 * opens a subflow to each.
 */
export function mptcp(scope: Construct, props: NetAggPairProps, routing: readonly IConstruct[]): void {
  const { sender, receiver } = props;
  const others = receiver.paths.slice(1);
  const limits = { subflows: others.length, addAddrAccepted: others.length };
  const sets = {
    receiver: Object.fromEntries(
      others.map((path, index) => [
        path.address.split("/", 1)[0] ?? "",
        { id: index + 1, flags: ["signal"], dev: path.interface },
      ]),
    ),
    sender: {},
  };
  const made = (["receiver", "sender"] as const).map((role) => {
    const { host } = role === "sender" ? sender : receiver;
    const enabled = new Sysctls(scope, `${role}-enabled`, {
      namespace: host,
      name: `${scope.node.path.replaceAll("/", ".")}.${role}`,
      values: { "net/mptcp/enabled": "1" },
    });
    const set = new KernelObject(scope, role, {
      kind,
      place: host.place,
      onBehalfOf: scope,
      origin: origin(props),
      intent: { name: `${scope.node.id}-${role}`, endpoints: sets[role], limits },
    });
    set.node.addDependency(enabled, ...routing);
    return set;
  });
  made[1]?.node.addDependency(made[0]!);
}

/** Which prop a property of a set comes from. */
const origin =
  ({ receiver }: NetAggPairProps) =>
  ([property, address, member]: PropertyPath): PropertyPath => {
    if (property !== "endpoints") return ["receiver", "paths"];
    const index = receiver.paths.findIndex((path) => path.address.split("/", 1)[0] === address);
    const name = member === "dev" ? "interface" : "address";
    return ["receiver", "paths", ...(index < 0 ? [] : [index, name])];
  };
