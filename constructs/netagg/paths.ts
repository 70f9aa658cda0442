import { routes } from "../../lib/kinds/routes";
import { rules } from "../../lib/kinds/rules";
import { canonicalCidr, familyOf, networkOf } from "../../lib/kinds/schemas";
import { KernelObject, lifecycleOf, type PropertyPath } from "../../lib/synth";
import type { StaticRoute } from "../static-routes";
import type { Construct, IConstruct } from "constructs";
import { setName } from "./names";
import type { NetAggPairProps, NetAggPath } from "./props";

/** An address without its prefix length. */
export const bare = (address: string): string => address.split("/", 1)[0] ?? "";

/** Bits of an address. */
const bits = (address: string) => (familyOf(address) === 6 ? 128 : 32);

/** Whether the prefix length of an address makes a network of more than itself. */
export const hasNetwork = (address: string): boolean =>
  address.includes("/") && !canonicalCidr(address).endsWith(`/${bits(address)}`);

/**
 * The receiver's routing: for each path a table and the rule that leads to it, so that what is sent from the path's
 * address leaves by the path.
 */
export function routing(
  pair: Construct,
  props: NetAggPairProps,
  firstTable: number,
): { readonly routes: IConstruct; readonly rules: IConstruct } {
  const { host, paths } = props.receiver;
  const owned = paths.flatMap((path, index) =>
    routesOf(path, firstTable + index).map((route) => ({ route, index })),
  );
  const common = { ...lifecycleOf(props), place: host.place, onBehalfOf: pair };
  const routeLeaf = new KernelObject(pair, "routes", {
    ...common,
    kind: routes,
    origin: ([, nth, property]) => pathOrigin(owned[Number(nth)]?.index, property),
    intent: {
      name: setName(pair, "routes"),
      routes: owned.map(({ route }) => route),
      // Told before anything is built: the module needs each address on its path's link.
      sourcesOnDev: true,
    },
  });
  const ruleLeaf = new KernelObject(pair, "rules", {
    ...common,
    kind: rules,
    origin: ([, nth, property]) => pathOrigin(nth, property),
    intent: {
      name: setName(pair, "rules"),
      rules: paths.map(({ address }, index) => ({
        priority: firstTable + index,
        from: `${bare(address)}/${bits(address)}`,
        table: firstTable + index,
      })),
    },
  });
  ruleLeaf.node.addDependency(routeLeaf);
  return { routes: routeLeaf, rules: ruleLeaf };
}

/** Straight onto the link of the path, and else by its gateway. */
function routesOf({ interface: dev, address, gateway }: NetAggPath, table: number): StaticRoute[] {
  const common = { dev, source: bare(address), table };
  return [
    ...(hasNetwork(address) ? [{ destination: networkOf(address), ...common }] : []),
    // The gateway is on the path's own link, whatever other tables and pairs say of it.
    ...(gateway === undefined ? [] : [{ destination: "default", via: gateway, onLink: true, ...common }]),
  ];
}

const PROPS: Readonly<Record<string, string>> = { dev: "interface", via: "gateway" };

/** Which prop a property of a path's route or rule comes from. */
function pathOrigin(index: string | number | undefined, property: string | number | undefined): PropertyPath {
  if (property === "table" || property === "priority") return ["firstTable"];
  if (typeof index !== "number") return ["receiver", "paths"];
  return ["receiver", "paths", index, PROPS[String(property)] ?? "address"];
}
