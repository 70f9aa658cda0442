import type { FirewallProps } from "../../firewall";
import type { Numbers } from "./numbers";
import type { TunnelUseProps } from "./props";
import { ANYWHERE, FAMILY, into, versionOf, versionsOf, type Way } from "./way";

/**
 * What comes in by a link of the host (a bridge of containers, a cable to a namespace) goes into the tunnel: the same
 * for whatever is attached, and whoever attaches it.
 */
export function behind(props: TunnelUseProps, numbers: Numbers, link: string): Way {
  const { table } = numbers;
  const versions = versionsOf(props);
  return {
    routes: into(
      props,
      numbers,
      versions.map((version) => ANYWHERE[version]),
    ),
    rules: versions.map((version) => ({ family: FAMILY[version], iif: link, table })),
  };
}

/**
 * The policy of a host that now forwards: between the link and the tunnel and nowhere else, connections being opened
 * towards the tunnel alone. Where the tunnel's other end knows no route to the subnet, packets go under the tunnel's
 * own address.
 */
export function policy(
  { tunnel, masquerade = true, whenDown }: TunnelUseProps & { readonly masquerade?: boolean },
  link: string,
  subnets: readonly string[],
): Pick<FirewallProps, "masquerade" | "clampMss" | "forward"> {
  const out = tunnel.link.name;
  const hidden = ([4, 6] as const)
    .map((version) => subnets.filter((subnet) => versionOf(subnet) === version))
    .filter((source) => source.length > 0)
    .map((source) => ({ outInterface: out, source }));
  return {
    masquerade: masquerade ? hidden : [],
    clampMss: [
      { mss: "pmtu", outInterface: out },
      { mss: "pmtu", inInterface: out, outInterface: link },
    ],
    forward: {
      rules: [
        { action: "accept", inInterface: link, outInterface: out },
        { action: "accept", outInterface: link, connectionState: ["established", "related"] },
        { action: "drop", inInterface: out, outInterface: link, comment: "not asked for from inside" },
        ...(whenDown === "main"
          ? []
          : [{ action: "drop" as const, inInterface: link, comment: "only through the tunnel" }]),
      ],
    },
  };
}
