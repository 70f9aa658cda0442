import * as fc from "fast-check";
import type { LinkInput, LinkKind } from "../../lib/kinds/link";

/** Random links for the property tests, all of one name; not all of them make sense, and `check` refuses those. */

const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });

const addresses = fc.uniqueArray(
  fc.constantFrom(
    "10.9.0.1/24",
    "10.9.0.2/24",
    "10.9.0.3/24",
    "10.9.0.2/25",
    "192.0.2.1/32",
    "2001:db8:9::1/64",
    "2001:db8:9::2/64",
    "2001:db8:9::2/128",
    "fe80::9/64",
  ),
  { maxLength: 4 },
);

const mac = fc.constantFrom("02:00:00:00:00:01", "02:00:00:00:00:02", "06:00:00:00:00:03");
const mtu = fc.constantFrom(1000, 1280, 1300, 1400, 1450);

const settings = fc.dictionary(
  fc.constantFrom(
    "ipv4/rp_filter",
    "ipv4/forwarding",
    "ipv6/accept_ra",
    "ipv6/accept_dad",
    "ipv4/neigh/gc_stale_time",
  ),
  fc.constantFrom("0", "1"),
  { maxKeys: 2 },
);

/** Where the test has its namespaces and bridges. */
export interface Surroundings {
  readonly netns: string;
  /** Namespaces for the other end of a veth pair. */
  readonly others: readonly string[];
  /** Bridges in `netns`. */
  readonly masters: readonly string[];
  /** Bridges in each of `others`. */
  readonly otherMasters: readonly string[];
  /** A link below that is there already. */
  readonly below: string;
  /** The kernel's bridge knows VLANs and multicast (CONFIG_BRIDGE_VLAN_FILTERING). */
  readonly vlanFiltering: boolean;
}

const definite = <T extends object>(record: T): T =>
  Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as T;

const end = (masters: readonly string[]) =>
  fc.record({
    mtu: maybe(mtu),
    up: fc.boolean(),
    addresses: maybe(addresses),
    master: maybe(fc.constantFrom("", ...masters)),
    sysctls: maybe(settings),
  });

const v4 = fc.constantFrom("10.8.0.1", "10.8.0.2", "10.8.0.3");
const v6 = fc.constantFrom("2001:db8:8::1", "2001:db8:8::2", "2001:db8:8::3");
const key = fc.constantFrom<number | "none">("none", 0, 7, 4294967295);
const tos = fc.constantFrom<number | "inherit">(0, 16, 184, "inherit");
const encap = fc.constantFrom<LinkInput["encap"]>(
  { type: "none" },
  { type: "fou", destinationPort: 5555 },
  { type: "gue", sourcePort: 4444, destinationPort: 6666, checksum: true },
);

type Specific = fc.Arbitrary<Partial<LinkInput>>;

const gre = (address: fc.Arbitrary<string>): fc.Arbitrary<Partial<LinkInput>> =>
  fc.record({
    local: maybe(fc.oneof(address, fc.constant("any"))),
    remote: address,
    key: maybe(key),
    checksum: maybe(fc.boolean()),
    sequence: maybe(fc.boolean()),
    ttl: maybe(fc.constantFrom<number | "inherit">(1, 64, "inherit")),
    tos: maybe(tos),
    encap: maybe(encap),
  });

const keysApart: Specific = fc.record({
  inputKey: fc.constantFrom<number | "none">("none", 1, 2),
  outputKey: fc.constantFrom<number | "none">("none", 1, 3),
});

const greV4 = fc
  .tuple(gre(v4), maybe(keysApart), maybe(fc.boolean()))
  .map(([one, apart, pathMtuDiscovery]) => ({
    ...one,
    pathMtuDiscovery,
    ...(apart !== undefined && { ...apart, key: undefined }),
  }));

const greV6 = fc
  .tuple(gre(v6), maybe(fc.constantFrom<number | "none">("none", 4)))
  .map(([one, encapLimit]) => ({ ...one, encapLimit, encap: undefined }));

const overUdp = fc.record({
  remote: v4,
  ttl: maybe(fc.constantFrom<number | "inherit" | "auto">(1, 64, "inherit", "auto")),
  tos: maybe(tos),
  port: maybe(fc.constantFrom(4789, 6081, 7000)),
});

/** What is particular about each kind. */
function specific(kind: LinkKind, around: Surroundings): Specific {
  switch (kind) {
    case "veth":
      return fc.record({
        peer: fc
          .tuple(
            end(around.otherMasters),
            fc.record({
              netns: fc.constantFrom(around.netns, ...around.others),
              name: fc.constantFrom("p0", "p1"),
            }),
            maybe(mac),
          )
          .map(([common, where, address]) => definite({ ...common, ...where, mac: address }))
          .map((peer) => (peer.netns === around.netns ? { ...peer, master: "" } : peer)),
        index: maybe(fc.integer({ min: 1_000_000_000, max: 1_999_999_999 })),
        rxQueues: maybe(fc.constantFrom(1, 2)),
      });
    case "bridge":
      return fc.record({
        stp: maybe(fc.boolean()),
        vlanFiltering: around.vlanFiltering ? maybe(fc.boolean()) : fc.constant(undefined),
        forwardDelay: maybe(fc.constantFrom(0, 200, 1500)),
        ageingTime: maybe(fc.constantFrom(1000, 30000)),
        priority: maybe(fc.constantFrom(4096, 32768)),
        multicastSnooping: maybe(fc.boolean()),
      });
    case "gre":
    case "gretap":
      return greV4;
    case "ip6gre":
    case "ip6gretap":
      return greV6;
    case "ipip":
    case "sit":
      return fc.record({
        local: maybe(fc.oneof(v4, fc.constant("any"))),
        remote: v4,
        ttl: maybe(fc.constantFrom<number | "inherit">(1, 64, "inherit")),
        tos: maybe(tos),
        pathMtuDiscovery: maybe(fc.boolean()),
        encap: maybe(encap),
      });
    case "geneve":
      return fc.tuple(overUdp, fc.constantFrom(1, 2)).map(([one, vni]) => ({ ...one, vni }));
    case "vxlan":
      return fc
        .tuple(
          overUdp,
          fc.constantFrom(1, 2),
          fc.record({ local: maybe(fc.oneof(v4, fc.constant("any"))), learning: maybe(fc.boolean()) }),
        )
        .map(([one, vni, more]) => ({ ...one, ...more, vni }));
    case "vlan":
      return fc.record({
        link: fc.constant(around.below),
        vlanId: fc.constantFrom(5, 6),
        protocol: maybe(fc.constantFrom("802.1Q" as const, "802.1ad" as const)),
      });
    case "dummy":
    case "ifb":
    case "physical":
      return fc.constant({});
  }
}

const layer3: readonly LinkKind[] = ["gre", "ip6gre", "ipip", "sit"];

/** Links of the given kinds called `t0`. */
export function linkSpecs(kinds: readonly LinkKind[], around: Surroundings): fc.Arbitrary<LinkInput> {
  return fc
    .constantFrom(...kinds)
    .chain((kind) => fc.tuple(fc.constant(kind), end(around.masters), specific(kind, around), maybe(mac)))
    .map(([kind, common, particular, address]) =>
      definite({
        netns: around.netns,
        name: "t0",
        kind,
        ...common,
        ...(kind === "bridge" || layer3.includes(kind) ? { master: undefined } : {}),
        ...(layer3.includes(kind) ? {} : { mac: address }),
        ...particular,
      }),
    )
    .map((spec) => ({ ...definite(spec), ...(spec.peer && { peer: definite(spec.peer) }) }));
}
