import type { Check } from "../program";
import { addresses } from "./addresses";
import { hosts } from "./hosts";
import { identities } from "./identities";
import { interfaceNames } from "./interface-names";
import { mtuBudget } from "./mtu";
import { namespaces } from "./namespaces";
import { nextHops } from "./next-hops";
import { routeDevices } from "./route-devices";
import { tunnels } from "./tunnels";

/** Every check of a whole program. Adding one is its file and its line here. */
export const checks: readonly Check[] = [
  hosts,
  namespaces,
  identities,
  interfaceNames,
  addresses,
  tunnels,
  mtuBudget,
  nextHops,
  routeDevices,
];
