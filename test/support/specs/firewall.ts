import * as fc from "fast-check";
import type { z } from "zod";
import type { firewall } from "../../../lib/kinds/firewall";

type Input = z.input<typeof firewall.schema>;
type Rule = NonNullable<NonNullable<Input["forward"]>["rules"]>[number];

const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });

/** Networks that touch, overlap and merge into what is no prefix. */
const v4: fc.Arbitrary<string[]> = fc.uniqueArray(
  fc.constantFrom(
    "10.0.0.0/8",
    "10.1.0.0/16",
    "192.0.2.0/25",
    "192.0.2.128/26",
    "192.0.2.192/27",
    "192.0.2.1",
    "198.51.100.7/32",
  ),
  { minLength: 1, maxLength: 4 },
);
const v6: fc.Arbitrary<string[]> = fc.uniqueArray(
  fc.constantFrom("2001:db8::/32", "2001:db8:1::/48", "fd00::/9", "fd80::/9", "fd00::1"),
  { minLength: 1, maxLength: 3 },
);
const interfaces = fc.oneof(
  fc.constantFrom("v0", "not.there", "ppp*"),
  fc.uniqueArray(fc.constantFrom("v0", "w0", "gre-1"), { minLength: 1, maxLength: 3 }),
);
const ports = fc.oneof(
  fc.constantFrom<number | string>(22, "80-90", 65535, "1-65535"),
  fc.uniqueArray(fc.constantFrom<number | string>(22, 23, "24-30", "29-40", 443, "1024-65535"), {
    minLength: 1,
    maxLength: 4,
  }),
);
const comment = fc.constantFrom("seen from outside", "#1 (ssh)", "a;b", "100% * ?");

type Family = NonNullable<Input["family"]>;

function addressesOf(family: Family, version: 4 | 6) {
  const list = version === 4 ? v4 : v6;
  return {
    source: optional(list),
    notSource: optional(list),
    destination: optional(list),
    notDestination: optional(list),
    ipVersion: family === "inet" ? fc.constantFrom(undefined, version) : fc.constant(undefined),
  };
}

const anyVersion = (family: Family) =>
  family === "inet"
    ? fc.constantFrom(4 as const, 6 as const)
    : fc.constant(family === "ip" ? (4 as const) : (6 as const));

const transport = fc.oneof(
  fc.record({
    protocol: fc.constantFrom("tcp", "udp", "sctp"),
    sourcePort: optional(ports),
    destinationPort: optional(ports),
  }),
  fc.record({
    protocol: optional(fc.constantFrom<string | number>("tcp", "gre", 47, 50, 253, "icmp", "icmpv6")),
  }),
);

const suits = (version: 4 | 6) => (one: { protocol?: string | number }) =>
  one.protocol !== (version === 4 ? "icmpv6" : "icmp");

function ruleOf(family: Family): fc.Arbitrary<Rule> {
  return anyVersion(family).chain((version) =>
    fc
      .tuple(
        fc.record({
          ...addressesOf(family, version),
          inInterface: optional(interfaces),
          outInterface: optional(interfaces),
          connectionState: optional(
            fc.subarray(["established", "related", "new", "invalid", "untracked"], { minLength: 1 }),
          ),
          counter: optional(fc.boolean()),
          comment: optional(comment),
        }),
        transport.filter(suits(version)),
        fc.oneof(
          fc.record({ action: fc.constantFrom("accept", "drop", "reject") }),
          fc.record({
            action: fc.constant("reject"),
            rejectWith: fc.constantFrom("port-unreachable", "admin-prohibited"),
          }),
        ),
      )
      .map(([match, over, verdict]) => ({ ...match, ...over, ...verdict }) as Rule),
  );
}

function chainOf(family: Family, hook: "input" | "forward" | "output") {
  const fits = (rule: Rule) =>
    hook === "forward" ||
    (hook === "input" ? rule.outInterface === undefined : rule.inInterface === undefined);
  const rules = fc.array(ruleOf(family).filter(fits), { maxLength: 4 });
  return optional(
    fc.record({ policy: optional(fc.constantFrom("accept" as const, "drop" as const)), rules }),
  );
}

const tcpReset: Rule = { action: "reject", protocol: "tcp", destinationPort: 113, rejectWith: "tcp-reset" };

/** Random tables of a family. */
export function firewallSpecs(netns: string, family: Family): fc.Arbitrary<Input> {
  const masquerade = anyVersion(family).chain((version) =>
    fc
      .tuple(
        fc.record({
          ...addressesOf(family, version),
          outInterface: interfaces,
          counter: optional(fc.boolean()),
          comment: optional(comment),
          toAddresses: optional(
            version === 4
              ? fc.constantFrom("192.0.2.1", "192.0.2.1-192.0.2.8")
              : fc.constantFrom("2001:db8::1", "2001:DB8::1-2001:db8::9"),
          ),
        }),
        transport.filter(suits(version)),
      )
      .map(([match, over]) => ({ ...match, ...over })),
  );
  const portForward = anyVersion(family).chain((version) =>
    fc.record({
      inInterface: optional(interfaces),
      source: optional(version === 4 ? v4 : v6),
      notSource: optional(version === 4 ? v4 : v6),
      destination: optional(version === 4 ? v4 : v6),
      protocol: fc.constantFrom("tcp", "udp"),
      port: ports,
      toAddress: fc.constant(version === 4 ? "10.0.0.9" : "2001:db8::99"),
      toPort: optional(fc.constant(8080)),
      counter: optional(fc.boolean()),
    }),
  );
  const version = family === "inet" ? optional(fc.constantFrom(4, 6)) : fc.constant(undefined);
  const mss = fc.oneof(fc.constant("pmtu"), fc.integer({ min: 536, max: 65495 }));
  const clamp = fc.oneof(
    fc.record({
      outInterface: optional(interfaces),
      ipVersion: version,
      mss,
      output: optional(fc.boolean()),
    }),
    fc.record({ inInterface: interfaces, ipVersion: version, mss }),
  );
  return fc.record({
    netns: fc.constant(netns),
    family: fc.constant(family),
    table: fc.constant("netloom"),
    masquerade: optional(fc.array(masquerade, { maxLength: 3 })),
    portForward: optional(fc.array(portForward, { maxLength: 3 })),
    clampMss: optional(fc.array(clamp, { maxLength: 3 })),
    input: chainOf(family, "input").map((chain) => chain && { ...chain, rules: [...chain.rules, tcpReset] }),
    forward: chainOf(family, "forward"),
    output: chainOf(family, "output"),
  }) as fc.Arbitrary<Input>;
}
