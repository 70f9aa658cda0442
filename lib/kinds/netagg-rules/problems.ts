import { addressesOf, type Addresses } from "../link/addresses";
import type { Rule } from "./schema";

/** What keeps rules from the host that they are for, in the words of its administrator. */
export function addressProblems(rules: readonly Rule[], addresses: Addresses): string[] {
  return rules.flatMap(({ role, paths }) =>
    paths.flatMap(({ address, dev }, index) => {
      const on = addresses.linkOf(address, dev);
      const path = `path ${index + 1}, ${address}`;
      if (role === "sender") {
        return on === undefined
          ? []
          : [`${path}: the sender has this address itself, on ${on}; the paths are the receiver's`];
      }
      if (on !== undefined && (dev === undefined || on === dev)) return [];
      const where = on === undefined ? "is no address of this host" : `is on ${on}, not on ${dev}`;
      return [`${path}: ${where}${dev === undefined ? "" : `; ${addressesOf(dev, addresses)}`}`];
    }),
  );
}
