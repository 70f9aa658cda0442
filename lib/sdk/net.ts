import { firewall } from "../kinds/firewall";
import { fou } from "../kinds/fou";
import { link } from "../kinds/link";
import { mptcp } from "../kinds/mptcp";
import { namespace } from "../kinds/namespace";
import { portBlocks } from "../kinds/port-blocks";
import { routes } from "../kinds/routes";
import { rules } from "../kinds/rules";
import { shaping } from "../kinds/shaping";
import { subscriberShaping } from "../kinds/subscriber-shaping";
import { tunnelPool } from "../kinds/tunnel-pool";
import { resourceOf } from "./resource";

/** One nftables table. */
export class Firewall extends resourceOf(firewall) {}

/** A network interface of any kind, with its addresses. */
export class Link extends resourceOf(link) {}

/** Endpoints and limits of Multipath TCP. */
export class Mptcp extends resourceOf(mptcp) {}

/** A network namespace. */
export class Namespace extends resourceOf(namespace) {}

/** A named set of routes in one namespace. */
export class Routes extends resourceOf(routes) {}

/** A named set of policy routing rules in one namespace. */
export class Rules extends resourceOf(rules) {}

/** The qdiscs, classes and filters of one link. */
export class Shaping extends resourceOf(shaping) {}

/** Many subscribers' classes on a pair of links. */
export class SubscriberShaping extends resourceOf(subscriberShaping) {}

/** Tunnels of one device in metadata mode: a nexthop, routes and source checks for each. */
export class TunnelPool extends resourceOf(tunnelPool) {}

/** A UDP port that receives packets of another protocol. */
export class Fou extends resourceOf(fou) {}

/** Source NAT by blocks of ports: subscribers share public addresses. */
export class PortBlocks extends resourceOf(portBlocks) {}
