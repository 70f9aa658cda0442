import { interfaceName } from "../../../lib/synth";
import type { StaticRoute } from "../../static-routes";
import { addressOf } from "./docker";
import type { NamespaceModeProps } from "./props";
import { ANYWHERE, versionsOf } from "./way";

/** Whether the tunnel is in a namespace, and that namespace is the one that is meant. */
export const isInside = ({ tunnel, subnet }: NamespaceModeProps): boolean =>
  tunnel.link.place?.netns !== undefined && subnet === undefined;

/** The default routes of a namespace that the tunnel itself is in: it has no other way. */
export const insideRoutes = (props: NamespaceModeProps): StaticRoute[] =>
  versionsOf(props).map((version) => ({ destination: ANYWHERE[version], dev: props.tunnel.link.name }));

/** The cable between the host and a namespace that is made for a tunnel outside. */
export function cable(id: string, subnet: string) {
  const [outside, inside] = [addressOf(subnet, 1n), addressOf(subnet, 2n)];
  return {
    outside: { name: interfaceName("to", id), addresses: outside === undefined ? [] : [outside] },
    inside: { name: "uplink", addresses: inside === undefined ? [] : [inside] },
    gateway: outside?.replace(/\/.*/, ""),
  };
}
