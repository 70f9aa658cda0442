import { z } from "zod";
import { kernelModule } from "../../lib/kinds/kernel-module";
import { packages as packagesKind } from "../../lib/kinds/packages";
import {
  addressBytes,
  cidr,
  interfaceName,
  ip,
  isMulticast,
  port,
  quoted,
  text,
  whole,
} from "../../lib/kinds/schemas";
import { Host } from "../host";

/** What the props of a NetAggPair must be, each by itself. */

const MOST_WEIGHT = 1_000_000;

const flag = z.boolean({ error: "must be true or false" });

const milliseconds = (min: number, max: number) => {
  const error = `must be a number of milliseconds from ${min} to ${max}`;
  return z.number({ error }).min(min, { error }).max(max, { error });
};

/** What keeps an address from being one host's on a path. */
function unusable(address: string): string | undefined {
  const bytes = addressBytes(address) ?? [];
  const isZero = bytes.every((byte) => byte === 0);
  const isLoopback = bytes.length === 4 ? bytes[0] === 127 : bytes.at(-1) === 1 && zeros(bytes) === 15;
  if (isMulticast(address)) return `${quoted(address)} is the address of many receivers (multicast)`;
  return isZero || isLoopback ? `${quoted(address)} is no address that another host can reach` : undefined;
}

const zeros = (bytes: readonly number[]) => bytes.filter((byte) => byte === 0).length;

const hostAddress = text((value) => {
  const [plain = "", length] = value.split("/");
  const shape = length === undefined ? ip : cidr;
  const message = shape.safeParse(value).error?.issues[0]?.message;
  if (message !== undefined) return message;
  return (
    unusable(plain) ?? (length === "0" ? `${quoted(value)} has every address in its network` : undefined)
  );
});

const gateway = text((value) => ip.safeParse(value).error?.issues[0]?.message ?? unusable(value));

const packages = z
  .array(
    text(
      (name) =>
        packagesKind.schema.shape.packages.safeParse({ [name]: "installed" }).error?.issues[0]?.message,
    ),
    { error: "must be a list of packages" },
  )
  .min(1, "names no package: leave it out")
  .optional();

const duration = text((value) =>
  /^(\d+(\.\d+)?(ms|s|m|h))+$/.test(value) ? undefined : 'must be a duration such as "30s" or "20m"',
);

const build = { packages, sign: kernelModule.schema.shape.sign };

const host = z.custom<Host>((value) => value instanceof Host, {
  error: ({ input }) => (input === undefined ? "is required: a Host" : "must be a Host"),
});

const path = z.strictObject(
  {
    interface: interfaceName,
    address: hostAddress,
    gateway: gateway.optional(),
    weight: whole(1, MOST_WEIGHT),
    port: port.optional(),
  },
  { error: 'must be an object such as { interface: "eth1", address: "10.0.1.11/24", weight: 1 }' },
);

const PATHS = "must be a list of 2 to 8 paths";
const PROBE_PORT = "must be a whole number from 1 to 65535; without probes it is probes: false";

/** Schema of the props; `probes: false` is taken out before. */
export const propsSchema = z.strictObject(
  {
    sender: z.strictObject({ host, ...build }, { error: "must be an object such as { host }" }),
    receiver: z.strictObject(
      {
        host,
        paths: z.array(path, { error: PATHS }).min(2, PATHS).max(8, PATHS),
        ...build,
      },
      { error: "must be an object such as { host, paths }" },
    ),
    port,
    backend: z.enum(["module", "mptcp", "auto"], { error: 'must be "module", "mptcp" or "auto"' }).optional(),
    mptcpSockets: flag.optional(),
    schedule: z.enum(["packet", "flowlet"], { error: 'must be "packet" or "flowlet"' }).optional(),
    flowletMs: milliseconds(0.1, 10_000).optional(),
    maxHoldMs: milliseconds(0, 2000).optional(),
    probes: z
      .strictObject(
        {
          port: z
            .number({ error: PROBE_PORT })
            .int({ error: PROBE_PORT })
            .min(1, { error: PROBE_PORT })
            .max(65_535, { error: PROBE_PORT })
            .optional(),
          intervalMs: milliseconds(5, 1000).optional(),
          deadAfterMs: milliseconds(10, 10_000).optional(),
        },
        { error: "must be false, or an object such as { intervalMs: 25 }" },
      )
      .optional(),
    adaptive: flag.optional(),
    encapsulated: flag.optional(),
    // Its range depends on the number of paths.
    firstTable: z.unknown().optional(),
    ...build,
    adopt: flag.optional(),
    protect: flag.optional(),
    timeouts: z
      .strictObject(
        { create: duration.optional(), update: duration.optional(), delete: duration.optional() },
        { error: 'must be an object such as { create: "20m" }' },
      )
      .optional(),
  },
  { error: "must be an object of sender, receiver and port" },
);
