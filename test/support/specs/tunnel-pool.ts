import * as fc from "fast-check";
import type { TunnelPoolInput } from "../../../lib/kinds/tunnel-pool";

/** Where a random pool is, and what that place can do. */
export interface PoolPlace {
  readonly netns: string;
  readonly device: string;
  /** A device for tunnels over IPv6, where there is one. */
  readonly device6?: string;
  /** The kernel has flower. */
  readonly flower: boolean;
}

const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });

/** Few of everything, so that two pools often want the same for different tunnels. */
export function tunnelPoolSpecs({
  netns,
  device,
  device6,
  flower,
}: PoolPlace): fc.Arbitrary<TunnelPoolInput> {
  const remotes = ["198.51.100.1", "198.51.100.2", "198.51.100.3"];
  const tunnel = fc.record({
    remote: fc.constantFrom(
      ...remotes,
      ...(device6 === undefined ? [] : ["2001:db8:51::1", "2001:db8:51::2"]),
    ),
    key: fc.constantFrom(undefined, 7, 8, 4_294_967_295),
    addresses: maybe(fc.uniqueArray(fc.constantFrom("10.77.0.1", "10.77.0.5", "fd77::1"), { maxLength: 2 })),
    prefixes: fc.uniqueArray(
      fc.constantFrom("10.77.0.2", "10.77.0.6/32", "10.77.8.0/24", "fd77::2", "fd77:0:0:8::/64"),
      { minLength: 1, maxLength: 3 },
    ),
  });
  return fc.record({
    netns: fc.constant(netns),
    name: fc.constant("pool"),
    device: fc.constant(device),
    ...(device6 !== undefined && { device6: fc.constant(device6) }),
    ttl: fc.constantFrom(64, 255),
    checksum: fc.boolean(),
    checkSource: flower ? fc.boolean() : fc.constant(false),
    tunnels: fc
      .uniqueArray(fc.tuple(fc.constantFrom("1", "2", "3", "40"), tunnel), {
        minLength: 1,
        maxLength: 4,
        selector: ([number]) => number,
      })
      .map((entries) => Object.fromEntries(entries)),
  });
}
