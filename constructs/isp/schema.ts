import { z } from "zod";
import type { NetworkNode, SubscriberProps } from "./model";

const leaf = z.enum(["cake", "fq_codel", "none"]);

const plan = z.strictObject({
  downloadMax: z.number(),
  uploadMax: z.number(),
  downloadMin: z.number().optional(),
  uploadMin: z.number().optional(),
  latencyMs: z.number().optional(),
  jitterMs: z.number().optional(),
  lossPercent: z.number().optional(),
  leaf: z.union([leaf, z.strictObject({ download: leaf.optional(), upload: leaf.optional() })]).optional(),
});

const device = z.strictObject({
  id: z.string(),
  name: z.string().optional(),
  mac: z.string().optional(),
  ipv4: z.array(z.string()).readonly().optional(),
  ipv6: z.array(z.string()).readonly().optional(),
  comment: z.string().optional(),
});

/** The shape of a subscriber in a program; what the values mean is checked for all formats in one place. */
export const subscriberSchema = z.strictObject({
  id: z.string(),
  name: z.string().optional(),
  parent: z.string().optional(),
  parentId: z.string().optional(),
  anchorId: z.string().optional(),
  plan,
  number: z.number().optional(),
  addresses: z.array(z.string()).readonly().optional(),
  devices: z.array(device).readonly().optional(),
  client: z
    .strictObject({
      address: z.string().optional(),
      fou: z.boolean().optional(),
      key: z.number().optional(),
    })
    .optional(),
}) satisfies z.ZodType<SubscriberProps>;

/** The shape of a network node in a program. */
export const networkNodeSchema = z.strictObject({
  name: z.string(),
  type: z.string().optional(),
  parent: z.string().optional(),
  download: z.number(),
  upload: z.number(),
  id: z.string().optional(),
  virtual: z.boolean().optional(),
  number: z.number().optional(),
}) satisfies z.ZodType<NetworkNode>;
