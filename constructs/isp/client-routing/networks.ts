import { endpointsOf, hostPrefix } from "./ends";
import type { Numbers } from "./numbers";
import type { NetworksProps } from "./props";
import { ANYWHERE, FAMILY, into, versionOf, versionsOf, type IpVersion, type Way } from "./way";

/**
 * Chosen networks through the tunnel. The table holds those destinations and nothing else, so what it has no answer
 * for goes on to the next rule: one rule for each version of IP (or for each source) however many destinations.
 */
export function networks(props: NetworksProps, numbers: Numbers): Way {
  const { destinations, sources } = props;
  const versions = versionsOf(props);
  const ours = (network: string) => versions.includes(versionOf(network));
  const reached = (destinations ?? versions.map((version) => ANYWHERE[version])).filter(ours);
  const hasRoute = (version: IpVersion) => reached.some((network) => versionOf(network) === version);
  const { table } = numbers;
  return {
    underlay: endpointsOf(props)
      .filter(ours)
      .map((endpoint) => ({ to: hostPrefix(endpoint), table: "main" })),
    routes: into(props, numbers, reached),
    rules:
      sources === undefined
        ? versions.filter(hasRoute).map((version) => ({ family: FAMILY[version], table }))
        : sources.filter(ours).map((from) => ({ from, table })),
  };
}
