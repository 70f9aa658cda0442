import { z } from "zod";
import { POLICIES } from "../../lib/kinds/l4lb-services";
import { ip, mac, port, whole } from "../../lib/kinds/schemas";

const healthCheck = z
  .strictObject({
    type: z.enum(["tcp", "http", "udp-echo"], { error: "must be tcp, http or udp-echo" }),
    port: port.optional(),
    path: z
      .string()
      .regex(/^\/[!-~]{0,500}$/, "must be the path of a URL, such as /healthz: one slash first, no spaces")
      .optional(),
    intervalMs: whole(100, 3_600_000).optional(),
    timeoutMs: whole(50, 60_000).optional(),
    fall: whole(1, 100).optional(),
    rise: whole(1, 100).optional(),
  })
  .superRefine(({ type, path, intervalMs = 2000, timeoutMs = 50 }, context) => {
    if (path !== undefined && type !== "http")
      context.addIssue({ code: "custom", path: ["path"], message: "is for http" });
    if (timeoutMs >= intervalMs) {
      const message = `must be less than the interval, ${intervalMs} ms`;
      context.addIssue({ code: "custom", path: ["timeoutMs"], message });
    }
  });

const forward = z.strictObject({
  form: z.enum(["ipip", "gue", "mac"]),
  next: z.enum(["route", "back", "mac"], { error: "must be route, back or mac" }).optional(),
  source: z.enum(["client", "own", "flow"]).optional(),
  address: ip.optional(),
  port: port.optional(),
  direct: z.boolean().optional(),
  noChecksum: z.boolean().optional(),
  mtu: whole(576, 65535).optional(),
  ttl: whole(1, 255).optional(),
  dscp: whole(0, 63).optional(),
});

const backend = z
  .strictObject({
    address: ip,
    weight: whole(1, 256).optional(),
    state: z.enum(["up", "draining", "down"], { error: "must be up, draining or down" }).optional(),
    drainSeconds: whole(1, 604_800).optional(),
    mac: mac.optional(),
    healthCheck: z.union([z.literal(false), healthCheck]).optional(),
  })
  .superRefine(({ state, drainSeconds }, context) => {
    if (drainSeconds === undefined || state === "draining") return;
    const message = 'is for a backend whose state is "draining"';
    context.addIssue({ code: "custom", path: ["drainSeconds"], message });
  });

const service = z.strictObject({
  vip: ip,
  port: whole(0, 65535),
  protocol: z.enum(["tcp", "udp"], { error: "must be tcp or udp" }),
  policy: z.strictObject({ rule: z.enum(POLICIES) }).optional(),
  forward: forward.optional(),
  backends: z.array(backend).min(1, "names no backend: a service has at least one"),
  healthCheck: healthCheck.optional(),
});

/** Schema of what {@link XdpL4Lb} is told about its services. */
export const propsSchema = z.strictObject({
  services: z.array(service).min(1, "names no service: a balancer has at least one"),
  capacity: z
    .strictObject({
      services: whole(1, 65_535).optional(),
      backends: whole(1, 8191).optional(),
      flows: whole(1024, 1 << 28).optional(),
    })
    .optional(),
});
