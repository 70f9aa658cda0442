import * as fc from "fast-check";
import type { z } from "zod";
import type { rules } from "../../../lib/kinds/rules";

type Input = z.input<typeof rules.schema>;
type RuleInput = Input["rules"][number];

const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });

function ruleOf(family: "inet" | "inet6"): fc.Arbitrary<RuleInput> {
  const network =
    family === "inet"
      ? fc.constantFrom("10.0.0.0/8", "192.0.2.1/32", "0.0.0.0/0", "172.16.0.0/12")
      : fc.constantFrom("2001:db8::/32", "fd00::1/128", "::/0");
  const fwmark = fc.constantFrom(
    { mark: 0 },
    { mark: 1 },
    { mark: 0xffff_ffff },
    { mark: 0x10, mask: 0xf0 },
    { mark: 0, mask: 1 },
  );
  const selector = {
    priority: fc.constantFrom(100, 101, 102, 4_294_967_295),
    family: fc.constant(family),
    from: optional(network),
    to: optional(network),
    iif: optional(fc.constantFrom("v0", "not-there", "lo")),
    oif: optional(fc.constantFrom("w0", "gone.1")),
    fwmark: optional(fwmark),
    ipProtocol: optional(fc.constantFrom("tcp", "udp", 47, 200, "icmpv6")) as fc.Arbitrary<
      RuleInput["ipProtocol"]
    >,
    sourcePort: optional(fc.constantFrom(53, "1024-2047")),
    destinationPort: optional(fc.constantFrom(80, "1-65534", "443-443")),
    uidRange: optional(fc.constantFrom({ from: 0, to: 0 }, { from: 1000, to: 4_294_967_294 })),
  };
  const lookup = fc.record({
    ...selector,
    table: fc.constantFrom(100, "main" as const, "default" as const, 4_000_000_000),
    suppressPrefixLength: optional(fc.integer({ min: 0, max: 32 })),
  });
  const ends = fc.record({
    ...selector,
    action: fc.constantFrom("blackhole" as const, "unreachable" as const, "prohibit" as const),
  });
  const turned = fc.record({
    ...selector,
    iif: fc.constant("v0"),
    not: fc.constant(true),
    table: fc.constant(100),
  });
  return fc.oneof(lookup, lookup, ends, turned);
}

/** Random sets of rules. */
export const rulesSpecs = (netns: string): fc.Arbitrary<Input> =>
  fc
    .uniqueArray(fc.oneof(ruleOf("inet"), ruleOf("inet6")), {
      minLength: 1,
      maxLength: 6,
      selector: ({ family, priority }) => `${family} ${priority}`,
    })
    .map((list) => ({ netns, name: "set", rules: list }));
