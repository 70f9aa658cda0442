import { endpointsOf, hostPrefix } from "./ends";
import type { Numbers } from "./numbers";
import type { ApplicationProps } from "./props";
import { ANYWHERE, FAMILY, into, listOf, versionOf, versionsOf, type UnnumberedRule, type Way } from "./way";

/**
 * Applications through the tunnel. By user: the kernel looks at the socket's owner when it chooses the route, so the
 * source address is the tunnel's from the first packet on. By binding: a socket that is bound to the tunnel's device
 * finds its way there (`oif`), which is what `ping -I` and `curl --interface` do. By slice: `slice.ts`.
 */
export function application(props: ApplicationProps, numbers: Numbers): Way {
  const { table } = numbers;
  const versions = versionsOf(props);
  const users = listOf(props.users).map((given) =>
    typeof given === "number" ? { from: given, to: given } : given,
  );
  // Outer packets may carry the mark of the inner ones (vxlan looks for their way by it): they never turn back.
  const outer = props.slice === undefined ? [] : endpointsOf(props);
  return {
    underlay: outer
      .filter((endpoint) => versions.includes(versionOf(endpoint)))
      .map((endpoint) => ({ to: hostPrefix(endpoint), table: "main" })),
    routes: into(
      props,
      numbers,
      versions.map((version) => ANYWHERE[version]),
    ),
    rules: versions.flatMap((version): UnnumberedRule[] => [
      { family: FAMILY[version], oif: props.tunnel.link.name, table },
      ...users.map((uidRange) => ({ family: FAMILY[version], uidRange, table })),
      ...(props.slice === undefined
        ? []
        : [{ family: FAMILY[version], fwmark: { mark: props.mark ?? table }, table }]),
    ]),
  };
}
