import * as fc from "fast-check";
import type { z } from "zod";
import type { namespace } from "../../../lib/kinds/namespace";

/** Random namespaces of one name. */
export const namespaceSpecs = (name: string): fc.Arbitrary<z.input<typeof namespace.schema>> =>
  fc.record({
    name: fc.constant(name),
    loopback: fc.constantFrom(undefined, true, false),
    sysctls: fc.option(
      fc.record(
        {
          "net/ipv4/ip_forward": fc.constantFrom("0", "1"),
          "net.ipv6.conf.all.forwarding": fc.constantFrom("0", "1"),
          "net/ipv4/conf/all/rp_filter": fc.constantFrom("0", "2"),
          "net/ipv6/conf/all/disable_ipv6": fc.constantFrom("0", "1"),
        },
        { requiredKeys: [] },
      ),
      { nil: undefined },
    ),
    resolvConf: fc.option(
      fc.record({
        nameservers: fc.uniqueArray(fc.constantFrom("192.0.2.53", "2001:DB8::53", "127.0.0.53"), {
          maxLength: 3,
        }),
        search: fc.constantFrom(undefined, [], ["example.org"], ["b.example.org", "a.example.org"]),
      }),
      { nil: undefined },
    ),
  });
