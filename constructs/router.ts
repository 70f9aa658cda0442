import type { Construct } from "constructs";
import { firewall } from "../lib/kinds/firewall";
import type { IPlace, PropertyPath } from "../lib/synth";
import { addFindings, Composite, enclosing, KernelObject } from "../lib/synth";
import type { FilterChain, PortForward } from "./firewall";

/** What makes a namespace a router. */
export interface RouterProps {
  /**
   * The namespace that becomes a router; a `Host` stands for its initial one.
   * @default - the nearest Namespace or Host around the construct
   */
  readonly namespace?: IPlace;
  /**
   * Interfaces whose own address what leaves by them goes under (source NAT): the uplinks.
   * @default - none
   */
  readonly masquerade?: readonly string[];
  /**
   * Interfaces on which TCP's segment size is lowered to what fits the route's MTU, so that connections work where
   * path MTU discovery does not: tunnels, PPP. `true` for all.
   * @default - none
   */
  readonly clampMss?: readonly string[] | true;
  /**
   * Connections that are passed on to somebody behind the router.
   * @default - none
   */
  readonly portForward?: readonly PortForward[];
  /**
   * What it passes on.
   * @default - everything
   */
  readonly forward?: FilterChain;
  /**
   * Forwards IPv6, too. On a host's initial namespace the kernel then forgets the default routes that it learned from
   * router advertisements. A namespace of the program's own always forwards both.
   * @default false
   */
  readonly ipv6?: boolean;
  /**
   * Name of its nftables table.
   * @default - the construct's id
   */
  readonly table?: string;
}

/**
 * Makes a namespace a router: it forwards, hides what is behind it where asked, and keeps TCP segments
 * small enough. Its policy is one nftables table; without any policy there is none.
 *
 * @example
 * new Router(site, "router", { masquerade: ["eth0"], clampMss: ["gre1"] });
 */
export class Router extends Composite {
  constructor(scope: Construct, id: string, props: RouterProps = {}) {
    super(scope, id);
    const { masquerade = [], clampMss = [], portForward = [], forward, ipv6 = false, table = id } = props;
    const place = props.namespace ?? enclosing(this);
    if (place === undefined) {
      addFindings(this, () => [
        { path: ["namespace"], message: "is on no host: create it inside a Host or Namespace" },
      ]);
      return;
    }
    const clamps =
      clampMss === true
        ? [{ mss: "pmtu" as const }]
        : clampMss.length === 0
          ? []
          : [{ mss: "pmtu" as const, outInterface: clampMss }];
    const nat = masquerade.map((outInterface) => ({ outInterface }));
    if (nat.length + clamps.length + portForward.length === 0 && forward === undefined) {
      place.enableForwarding();
      if (ipv6) place.enableIpv6Forwarding();
      return;
    }
    const policy = new KernelObject(this, "policy", {
      kind: firewall,
      place: place.place,
      intent: { table, masquerade: nat, clampMss: clamps, portForward, forward },
      onBehalfOf: this,
      origin,
    });
    // Nothing is forwarded before the policy is there.
    place.enableForwarding(policy);
    if (ipv6) place.enableIpv6Forwarding(policy);
  }
}

/** A property of the table as the prop that it came from: `clampMss[0].outInterface[1]` was `clampMss[1]`. */
function origin(path: PropertyPath): PropertyPath {
  if (path[0] === "masquerade") return path.slice(0, 2);
  return path[0] === "clampMss" ? ["clampMss", ...path.slice(3)] : path;
}
