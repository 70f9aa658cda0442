import * as fc from "fast-check";
import type { z } from "zod";
import type { sysctls } from "../../../lib/kinds/sysctls";

type Input = z.input<typeof sysctls.schema>;

const flag = fc.constantFrom("0", "1");

/** Settings of which many write others as well. */
const values = fc.record(
  {
    "net/ipv4/ip_forward": flag,
    "net.ipv4.conf.all.accept_redirects": flag,
    "net/ipv4/conf/default/forwarding": flag,
    "net/ipv4/conf/all/rp_filter": fc.constantFrom("0", "1", "2"),
    "net/ipv4/conf/default/rp_filter": fc.constantFrom("0", "1", "2"),
    "net/ipv4/conf/v0/forwarding": flag,
    "net/ipv4/conf/v0/rp_filter": fc.constantFrom("0", "1", "2"),
    "net/ipv6/conf/all/forwarding": flag,
    "net/ipv6/conf/default/forwarding": flag,
    "net/ipv6/conf/v0/forwarding": flag,
    "net/ipv6/conf/all/disable_ipv6": flag,
    "net/ipv6/conf/w0/disable_ipv6": flag,
    "net/ipv4/tcp_rmem": fc.constantFrom("4096 131072 6291456", "4096\t87380\t600000"),
    "net/ipv4/ip_local_port_range": fc.constantFrom("32768 60999", "1024  65535"),
  },
  { requiredKeys: ["net/ipv4/ip_forward"] },
);

/** Random settings of a namespace as `scratchNetns` makes it. */
export const sysctlsSpecs = (netns: string): fc.Arbitrary<Input> =>
  values.map((given) => ({ netns, name: "set", values: given }));
