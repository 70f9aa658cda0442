import type { TunnelPoolSpec } from "./schema";

type Explanation = readonly [said: RegExp, means: (spec: TunnelPoolSpec) => string];

const explanations: readonly Explanation[] = [
  [
    /TC classifier not found|Unknown filter "flower"/,
    () =>
      "The kernel has no flower classifier, which checks where packets come from: load the module cls_flower, or " +
      "set checkSource: false and check by other means",
  ],
  [
    /Specified qdisc kind is unknown|Unknown qdisc "clsact"/,
    () => "The kernel has no clsact: load the module sch_ingress, or set checkSource: false",
  ],
  [
    /Cannot find device|Invalid device|Unknown device|No such device/,
    ({ device, device6 }) =>
      `The device ${device}${device6 === undefined ? "" : ` or ${device6}`} is not there: make it first, a link with external: true`,
  ],
  [
    /Nexthop device is not up|Network is down|Device for nexthop is not up/,
    () => "The device is down: set it up",
  ],
  [
    /Object "nexthop" is unknown|Unknown object|Operation not supported/,
    () => "Nexthop objects need Linux 5.3 and iproute2 5.3, encapsulation (CONFIG_LWTUNNEL) included",
  ],
  [
    /File exists/,
    ({ firstNexthop }) =>
      "A nexthop or a route that is wanted is there already and is not ours: look for it with `ip nexthop` and " +
      `\`ip route\`, and take it away or choose other prefixes or another firstNexthop than ${firstNexthop}`,
  ],
  [
    /IPv6 routes can not use an IPv4 nexthop|Nexthop id does not exist|Invalid nexthop id/,
    ({ firstNexthop }) =>
      `Another nexthop has an id of ours: choose another firstNexthop than ${firstNexthop}`,
  ],
];

/** Turns what the kernel said of a tunnel of a pool into what the user can do. */
export function explainPool(error: string, spec: TunnelPoolSpec): string | undefined {
  const meaning = explanations.find(([said]) => said.test(error))?.[1];
  return meaning && `${error}. ${meaning(spec)} (tunnel pool ${spec.name}).`;
}
