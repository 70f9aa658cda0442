import { z } from "zod";
import * as s from "../../lib/kinds/schemas";
import { LinkHandle } from "../link-handle";

/** What props of a GeneveMux must be, each by itself. */

const link = z.union([s.interfaceName, z.instanceof(LinkHandle)], { error: "must be a link, or its name" });

const addressOrPrefix = z.union([s.prefix, s.ip], {
  error: "must be an address or a prefix whose host bits are zero",
});

const base = {
  name: s.safeName,
  interface: link,
  peer: z.instanceof(LinkHandle).optional(),
  select: z
    .strictObject({
      destinations: z.array(addressOrPrefix).optional(),
      pairs: z.array(z.strictObject({ source: s.ip, destination: s.ip })).optional(),
    })
    .optional(),
  direction: z.enum(["both", "push", "pop"], { error: 'must be "both", "push" or "pop"' }).optional(),
  redirect: z.boolean().optional(),
  macs: z
    .strictObject({
      outerDestination: s.mac.optional(),
      outerSource: s.mac.optional(),
      innerDestination: s.mac.optional(),
      innerSource: s.mac.optional(),
      delivered: z
        .union([z.enum(["peer", "keep"]), s.mac], { error: 'must be "peer", "keep" or a MAC address' })
        .optional(),
    })
    .optional(),
  mtu: s.mtu.optional(),
  debug: z.boolean().optional(),
};

const ip = {
  ...base,
  local: s.ip,
  remote: s.ip,
  sources: z
    .union([z.literal("any"), z.array(addressOrPrefix)], {
      error: 'must be addresses and prefixes, or "any"',
    })
    .optional(),
  ttl: z
    .union([s.whole(1, 255), z.literal("inherit")], {
      error: 'must be a whole number from 1 to 255, or "inherit"',
    })
    .optional(),
  dscp: z
    .union([s.whole(0, 63), z.literal("inherit")], {
      error: 'must be a whole number from 0 to 63, or "inherit"',
    })
    .optional(),
  deliverDscp: z.boolean().optional(),
  ecn: z.enum(["normal", "compatible"], { error: 'must be "normal" or "compatible"' }).optional(),
  dontFragment: z
    .union([z.boolean(), z.literal("inherit")], { error: 'must be true, false or "inherit"' })
    .optional(),
  verifyChecksum: z.boolean().optional(),
};

const udp = {
  ...ip,
  vni: s.whole(0, 0xff_ffff),
  sourcePort: s.port.optional(),
  checksum: z.boolean().optional(),
};

const payload = z.enum(["ethernet", "ip"], { error: 'must be "ethernet" or "ip"' }).optional();

const option = z.strictObject({
  class: s.whole(0, 0xffff),
  type: s.whole(0, 127),
  critical: z.boolean().optional(),
  data: s
    .text((digits) =>
      /^([0-9A-Fa-f]{8}){0,15}$/.test(digits)
        ? undefined
        : "must be hexadecimal digits of 0 to 60 bytes, a multiple of 4",
    )
    .optional(),
});

const vlan = s.whole(1, 4094);
const priority = s.whole(0, 7).optional();

const tunnel = z.discriminatedUnion(
  "protocol",
  [
    z.strictObject({ protocol: z.literal("geneve"), ...udp, payload, options: z.array(option).optional() }),
    z.strictObject({ protocol: z.literal("vxlan"), ...udp }),
    z.strictObject({
      protocol: z.literal("gre"),
      ...ip,
      key: s.u32.optional(),
      payload,
      checksum: z.boolean().optional(),
    }),
    z.strictObject({ protocol: z.literal("ipip"), ...ip }),
    z.strictObject({ protocol: z.literal("vlan"), ...base, vlanId: vlan, priority }),
    z.strictObject({ protocol: z.literal("qinq"), ...base, vlanId: vlan, outerVlanId: vlan, priority }),
  ],
  { error: "must be geneve, vxlan, gre, ipip, vlan or qinq" },
);

/** Schema of the props. */
export const muxSchema = z.object({
  uplink: link,
  tunnels: z.array(tunnel, { error: "must be a list of tunnels" }).min(1, "names no tunnel"),
  underlayMtu: s.whole(576, 65535).optional(),
  ports: z.strictObject({ geneve: s.port.optional(), vxlan: s.port.optional() }).optional(),
  routeHold: s.whole(0, 0xffff_fffe).optional(),
  nestedPrefixes: z.boolean().optional(),
  icmpSource: z.strictObject({ ipv4: s.ipv4.optional(), ipv6: s.ipv6.optional() }).optional(),
  capacity: s
    .whole(16, 1_048_576)
    .refine((size) => (size & (size - 1)) === 0, "must be a power of two")
    .optional(),
});
