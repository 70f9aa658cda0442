import { formatAddress, interfaceName, parseCidr } from "../../../lib/synth";
import type { DockerProps } from "./props";
import { versionsOf } from "./way";

/** An address of a subnet with its prefix length, counted from the network's own. */
export function addressOf(subnet: string, nth: bigint): string | undefined {
  const cidr = parseCidr(subnet);
  if (cidr === undefined) return undefined;
  return `${formatAddress(cidr.family, cidr.address + nth)}/${cidr.prefix}`;
}

/** The subnets of the containers. */
export const containerSubnets = (props: DockerProps): string[] => [
  props.subnet,
  ...(props.subnet6 !== undefined && versionsOf(props).includes(6) ? [props.subnet6] : []),
];

/** The bridge's name. */
export const bridgeName = ({ bridge }: DockerProps, id: string) => bridge ?? interfaceName("br", id);

const bare = (address: string | undefined) => address?.replace(/\/.*/, "") ?? "";

/**
 * The arguments of `docker` that give containers the bridge: Docker takes one that is there by its name
 * (`com.docker.network.bridge.name`), and leaves source addresses to our table.
 */
export function dockerNetwork(props: DockerProps, id: string): readonly string[] {
  const option = (name: string, value: string) => ["--opt", `${name}=${value}`];
  const subnets = containerSubnets(props);
  return [
    "network",
    "create",
    "--driver",
    "bridge",
    ...(subnets.length > 1 ? ["--ipv6"] : []),
    ...subnets.flatMap((subnet) => ["--subnet", subnet, "--gateway", bare(addressOf(subnet, 1n))]),
    ...option("com.docker.network.bridge.name", bridgeName(props, id)),
    ...option("com.docker.network.bridge.enable_ip_masquerade", "false"),
    ...(props.mtu === undefined ? [] : option("com.docker.network.driver.mtu", String(props.mtu))),
    id,
  ];
}
