import type { Construct } from "constructs";
import { routes } from "../lib/kinds/routes";
import { KernelObject } from "../lib/synth";
import type { InNamespaceProps } from "./common";
import { leafProps } from "./common";

/** One of several ways of a route. */
export interface NextHop {
  /**
   * Address of the next router.
   * @default - none: straight onto `dev`
   */
  readonly via?: string;
  /**
   * The link to leave by.
   * @default - the one whose subnet `via` is in
   */
  readonly dev?: string;
  /**
   * Its share of the flows among the next hops, 1 to 256.
   * @default 1
   */
  readonly weight?: number;
  /**
   * Takes `via` for a neighbour on `dev` though no subnet of it holds the address.
   * @default false
   */
  readonly onLink?: boolean;
}

/** One route, in the words of ip-route(8). */
export interface StaticRoute {
  /** Where to: `172.16.200.0/24`, `2001:db8::/32`, or `default`, whose family is that of `via`. */
  readonly destination: string;
  /**
   * Address of the next router; an IPv6 one may carry an IPv4 route (RFC 5549).
   * @default - none: straight onto `dev`
   */
  readonly via?: string;
  /**
   * The link to leave by.
   * @default - the one whose subnet `via` is in
   */
  readonly dev?: string;
  /**
   * Several ways, used side by side by flow (multipath), instead of `via` and `dev`.
   * @default - one way
   */
  readonly nexthops?: readonly NextHop[];
  /**
   * What becomes of a packet: `unicast` sends it on, `local` takes it in, `blackhole` drops it without a word,
   * `unreachable` and `prohibit` answer with ICMP, `throw` goes on with the next rule.
   * @default "unicast"
   */
  readonly type?: "unicast" | "local" | "blackhole" | "unreachable" | "prohibit" | "throw";
  /**
   * Source address that the namespace's own packets prefer.
   * @default - the kernel chooses
   */
  readonly source?: string;
  /**
   * Priority: the lowest of several routes to one destination wins.
   * @default - 0 for IPv4, 1024 for IPv6
   */
  readonly metric?: number;
  /**
   * Routing table: 1 to 4294967295, or a name of the kernel's.
   * @default "main"
   */
  readonly table?: number | "main" | "local" | "default";
  /**
   * How far the destination is; IPv4 only.
   * @default - `link` without a next router, `host` for a local route, else `global`
   */
  readonly scope?: "global" | "site" | "link" | "host";
  /**
   * Largest packet in bytes that is sent on it, 68 to 65535.
   * @default - the link's MTU
   */
  readonly mtu?: number;
  /**
   * TCP segment size in bytes that is offered to the other end.
   * @default - from the MTU
   */
  readonly advmss?: number;
  /**
   * Takes `via` for a neighbour on `dev` though no subnet of it holds the address.
   * @default false
   */
  readonly onLink?: boolean;
}

/** A named set of routes in one namespace. */
export interface StaticRoutesProps extends InNamespaceProps {
  /**
   * Names the set in its id; it does not show up on the host.
   * @default - the construct's id
   */
  readonly name?: string;
  /** The routes, in any order. */
  readonly routes: readonly StaticRoute[];
  /**
   * Whether the `source` of each route must be an address of its `dev`; where it is not, the update ends with an error
   * before any route is changed.
   * @default false
   */
  readonly sourcesOnDev?: boolean;
}

/**
 * A set of routes that belong together. Routes of others in the same tables stay as they are.
 *
 * @example
 * new StaticRoutes(lan1, "routes", { routes: [{ destination: "default", via: "172.16.100.254" }] });
 */
export class StaticRoutes extends KernelObject {
  constructor(scope: Construct, id: string, props: StaticRoutesProps) {
    const { name = id, routes: members, sourcesOnDev } = props;
    super(scope, id, {
      ...leafProps(props),
      kind: routes,
      intent: { name, routes: members, sourcesOnDev },
    });
  }
}
