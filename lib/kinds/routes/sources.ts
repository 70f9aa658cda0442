import { addressesIn, addressesOf } from "../link/addresses";
import type { Facts } from "../step";
import type { RoutesSpec } from "./schema";

/**
 * Refuses routes whose source is not an address of the link that they leave by. The kernel takes any address of the
 * host.
 *
 * @throws Error that says where each address is, and what the link has
 */
export function checkSources({ name, netns, routes }: RoutesSpec, facts: Facts): void {
  const addresses = addressesIn(facts, netns);
  const problems = routes.flatMap(({ source, dev }) => {
    if (source === undefined || dev === undefined) return [];
    const on = addresses.linkOf(source, dev);
    if (on === dev) return [];
    const where = on === undefined ? "is no address of this host" : `is on ${on}, not on ${dev}`;
    return [`${source} ${where}; ${addressesOf(dev, addresses)}`];
  });
  if (problems.length === 0) return;
  throw new Error(
    `routes whose source is not on the link that they leave by: ${[...new Set(problems)].join("; ")}. ` +
      `Give the link the address (ip address show lists them), or name the one it has (set of routes ${name}).`,
  );
}
