import { endpointsOf, hostPrefix, ownAddressesOf } from "./ends";
import type { Numbers } from "./numbers";
import type { DefaultRouteProps } from "./props";
import { ANYWHERE, FAMILY, into, versionOf, versionsOf, type UnnumberedRule, type Way } from "./way";

/**
 * The tunnel as default route, without touching the one that is there: a table of our own is asked after the main
 * table was asked for anything but a default route (`suppress_prefixlength 0`), and that table is the tunnel's.
 * Whatever happens to the main table's default route meanwhile (a DHCP lease renewed, a metric changed), it is theirs,
 * and is in force again as soon as our rules are gone.
 */
export function defaultRoute(props: DefaultRouteProps, numbers: Numbers, hostAddress: unknown): Way {
  const { gateway, uplink } = props;
  const { table } = numbers;
  const versions = versionsOf(props);
  const endpoints = endpointsOf(props);
  const own = ownAddressesOf(props, hostAddress);
  const underlay: UnnumberedRule[] = [
    // Answers to whoever reaches the host from outside leave by the way that they came in.
    ...own.map((address) => ({ from: hostPrefix(address), table: "main" as const })),
    ...(gateway === undefined
      ? endpoints.map((endpoint) => ({ to: hostPrefix(endpoint), table: "main" as const }))
      : []),
  ].filter(({ from, to }: UnnumberedRule) => versions.includes(versionOf(from ?? to ?? "")));
  const pinned =
    gateway === undefined
      ? []
      : endpoints
          .filter((endpoint) => versionOf(endpoint) === versionOf(gateway))
          .map((endpoint) => ({
            destination: hostPrefix(endpoint),
            via: gateway,
            ...(uplink !== undefined && { dev: uplink }),
            table,
          }));
  return {
    underlay,
    routes: [
      ...pinned,
      ...into(
        props,
        numbers,
        versions.map((version) => ANYWHERE[version]),
      ),
    ],
    rules: versions.flatMap((version): UnnumberedRule[] => [
      { family: FAMILY[version], table: "main", suppressPrefixLength: 0 },
      { family: FAMILY[version], table },
    ]),
  };
}
