import { z } from "zod";
import { interfaceName, ip, mtu, netnsName, prefix, u32, whole } from "../../../lib/kinds/schemas";
import type { ILink } from "../../link-handle";

/** What every mode takes. */
export interface TunnelUseProps {
  /** The tunnel that traffic is led into: a `GreTunnel`, or any other construct that makes one link. */
  readonly tunnel: ILink;
  /**
   * Versions of IP that are led into the tunnel; the others go on as before.
   * @default [4]
   */
  readonly ipVersions?: readonly (4 | 6)[];
  /**
   * What becomes of packets that are meant for the tunnel while it is down. `"unreachable"`: they are refused, so
   * that nothing leaves unseen by another way. `"main"`: they go by the main table.
   * @default "unreachable"
   */
  readonly whenDown?: "unreachable" | "main";
  /**
   * Number of the routing table, 1 to 4294967295 without the kernel's 253 to 255.
   * @default - 10000 to 59999, by a hash of the construct's path
   */
  readonly table?: number;
  /**
   * Priority of the first of up to 32 policy rules, 1 to 32734: below the kernel's rule for the main table.
   * @default - 10000 to 25999 by a hash of the construct's path; 26000 to 32399 for the mode `default`
   */
  readonly priority?: number;
}

/**
 * The tunnel is the default route of the host or namespace that it is in. What the main table knows a way to that is
 * no default route (connected networks, static routes) goes on by it.
 */
export interface DefaultRouteProps extends TunnelUseProps {
  readonly mode: "default";
  /**
   * The tunnel's other end, or several: outer packets keep going by the main table, never into the tunnel itself.
   * @default - the tunnel's `remote`, where the program knows it
   */
  readonly endpoint?: string | readonly string[];
  /**
   * Own addresses of the uplink under which the host is reached from outside, at most 8. Answers from them keep
   * going by the main table, so that whoever is logged in stays so. The tunnel's `local` and the address of the
   * `Host`, where it is given as an IP address, are always among them.
   * @default - no others
   */
  readonly ownAddresses?: readonly string[];
  /**
   * Gateway of the uplink, to pin the tunnel's other end to it.
   * @default - what the main table says, also when that changes (DHCP)
   */
  readonly gateway?: string;
  /**
   * Link of the gateway.
   * @default - the one whose subnet the gateway is in
   */
  readonly uplink?: string;
}

/** Chosen networks are reached through the tunnel, or chosen ones reach the rest of the world through it. */
export interface NetworksProps extends TunnelUseProps {
  readonly mode: "networks";
  /**
   * Networks that are reached through the tunnel: `["203.0.113.0/24"]`.
   * @default - all, for packets from `sources`
   */
  readonly destinations?: readonly string[];
  /**
   * Networks whose packets use the tunnel, at most 24.
   * @default - any source, for packets to `destinations`
   */
  readonly sources?: readonly string[];
  /**
   * The tunnel's other end, or several: outer packets keep going by the main table, also where `destinations` holds it.
   * @default - the tunnel's `remote`, where the program knows it
   */
  readonly endpoint?: string | readonly string[];
}

/**
 * Applications use the tunnel, the rest of the host does not. Any program may also bind a socket to the tunnel by
 * itself (`ping -I`, `curl --interface`, SO_BINDTODEVICE): that works as soon as this construct is there.
 */
export interface ApplicationProps extends TunnelUseProps {
  readonly mode: "application";
  /**
   * User ids whose programs use the tunnel: one, or a range, or several of them (at most 8).
   * @default - none
   */
  readonly users?: UserIds | readonly UserIds[];
  /**
   * A systemd slice that is made, whose programs use the tunnel whoever runs them: `"probes.slice"`, for
   * `systemd-run --slice=probes.slice` and for `Slice=` in units. Needs systemd, control groups of version 2 and
   * nftables 1.0.
   * @default - none
   */
  readonly slice?: string;
  /**
   * Firewall mark of the slice's packets, 1 to 4294967295.
   * @default - the number of the routing table
   */
  readonly mark?: number;
}

/** A user id, or a range of them with both ends. */
export type UserIds = number | { readonly from: number; readonly to: number };

/**
 * A bridge for containers whose default way is the tunnel. It needs no daemon: whoever is attached to the bridge uses
 * the tunnel. `docker network create` takes the bridge by its name; the construct's `dockerNetwork` has the words.
 */
export interface DockerProps extends TunnelUseProps {
  readonly mode: "docker";
  /** IPv4 subnet of the containers; the host has its first address: `172.30.0.0/16`. */
  readonly subnet: string;
  /**
   * IPv6 subnet of the containers, with 6 among `ipVersions`.
   * @default - none
   */
  readonly subnet6?: string;
  /**
   * Name of the bridge, at most 15 bytes.
   * @default - `br-<id>`
   */
  readonly bridge?: string;
  /**
   * MTU of the bridge in bytes: give the tunnel's.
   * @default - 1500; TCP segments are made to fit in any case
   */
  readonly mtu?: number;
  /**
   * Hides the containers behind the tunnel's own address.
   * @default true - the other end then needs no route to the subnet
   */
  readonly masquerade?: boolean;
}

/**
 * A network namespace whose default way is the tunnel. A tunnel inside a namespace (its outer packets in another one)
 * becomes that namespace's default route; for a tunnel outside, a namespace is made and tied to it by a veth pair.
 */
export interface NamespaceModeProps extends TunnelUseProps {
  readonly mode: "namespace";
  /**
   * Name of the namespace that is made for a tunnel outside.
   * @default - the construct's id
   */
  readonly name?: string;
  /**
   * IPv4 subnet of the veth pair to a namespace that is made, /30 or larger; the namespace has its second address.
   * @default - required for a tunnel outside
   */
  readonly subnet?: string;
  /**
   * Name servers inside a namespace that is made.
   * @default - the host's resolv.conf
   */
  readonly nameservers?: readonly string[];
  /**
   * MTU in bytes of the veth pair to a namespace that is made: give the tunnel's.
   * @default - 1500; TCP segments are made to fit in any case
   */
  readonly mtu?: number;
  /**
   * Hides a namespace that is made behind the tunnel's own address.
   * @default true - the other end then needs no route to the subnet
   */
  readonly masquerade?: boolean;
}

/** How a client uses its tunnel: one of five modes. */
export type ClientRoutingProps =
  DefaultRouteProps | NetworksProps | ApplicationProps | DockerProps | NamespaceModeProps;

const oneOrMany = <T extends z.ZodType>(item: T) => z.union([item, z.array(item).min(1, "names none")]);

const common = {
  ipVersions: z
    .array(z.literal([4, 6], { error: "must be 4 or 6" }))
    .min(1, "names no version of IP")
    .optional(),
  whenDown: z.enum(["unreachable", "main"], { error: 'must be "unreachable" or "main"' }).optional(),
  table: u32
    .refine((value) => value > 0 && (value < 253 || value > 255), {
      error: "must be a number of its own: 0 and 253 to 255 are the kernel's tables",
    })
    .optional(),
  priority: whole(1, 32_734).optional(),
};

const user = z.union([
  u32,
  z.object({ from: u32, to: u32 }).refine(({ from, to }) => from <= to, { error: "ends before it begins" }),
]);

/** What can be said of the props of each mode one by one; the tunnel is taken out before. */
export const schemas = {
  default: z.strictObject({
    ...common,
    mode: z.literal("default"),
    endpoint: oneOrMany(ip).optional(),
    ownAddresses: z.array(ip).max(8, "are more than 8").optional(),
    gateway: ip.optional(),
    uplink: interfaceName.optional(),
  }),
  networks: z.strictObject({
    ...common,
    mode: z.literal("networks"),
    destinations: z.array(prefix).min(1, "names no network: leave it out").optional(),
    sources: z
      .array(prefix)
      .min(1, "names no network: leave it out")
      .max(24, "are more than 24 networks")
      .optional(),
    endpoint: oneOrMany(ip).optional(),
  }),
  application: z.strictObject({
    ...common,
    mode: z.literal("application"),
    users: z.union([user, z.array(user).max(8, "are more than 8")]).optional(),
    slice: z
      .string()
      .regex(
        /^[A-Za-z0-9_]+(-[A-Za-z0-9_]+){0,7}\.slice$/,
        "must be the name of a slice such as probes.slice: letters, digits, _ and single - between them",
      )
      .max(100, "has more than 100 characters")
      .optional(),
    mark: whole(1, 0xffff_ffff).optional(),
  }),
  docker: z.strictObject({
    ...common,
    mode: z.literal("docker"),
    subnet: prefix,
    subnet6: prefix.optional(),
    bridge: interfaceName.optional(),
    mtu: mtu.optional(),
    masquerade: z.boolean().optional(),
  }),
  namespace: z.strictObject({
    ...common,
    mode: z.literal("namespace"),
    name: netnsName.optional(),
    subnet: prefix.optional(),
    nameservers: z.array(ip).optional(),
    mtu: mtu.optional(),
    masquerade: z.boolean().optional(),
  }),
};
