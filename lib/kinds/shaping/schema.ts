import { z } from "zod";
import { interfaceName, netnsName, whole } from "../schemas";
import { filterKey, flowerFilter } from "./filters";
import { htbClass } from "./classes";
import { bfifoShape, cakeShape, fqCodelShape, fqShape, netemShape, pfifoShape, tbfShape } from "./queues";
import { classid, handle } from "./units";

const KIND_ERROR = "kind must be one of htb, cake, fq_codel, fq, netem, tbf, pfifo, bfifo";

const rootHandle = { handle: handle.default("1:").describe("Its number, hexadecimal: 1:.") };

const root = z.discriminatedUnion(
  "kind",
  [
    z.strictObject({
      kind: z.literal("htb"),
      ...rootHandle,
      defaultClass: classid
        .optional()
        .describe("Class of what no filter claims. Default: none, and it is sent without being shaped."),
    }),
    z.strictObject({ ...cakeShape, ...rootHandle }),
    z.strictObject({ ...fqCodelShape, ...rootHandle }),
    z.strictObject({ ...fqShape, ...rootHandle }),
    z.strictObject({ ...netemShape, ...rootHandle }),
    z.strictObject({ ...tbfShape, ...rootHandle }),
    z.strictObject({ ...pfifoShape, ...rootHandle }),
    z.strictObject({ ...bfifoShape, ...rootHandle }),
  ],
  { error: KIND_ERROR },
);

/** The root qdisc, canonical. */
export type Root = z.output<typeof root>;

const place = {
  parent: z
    .union([classid, handle], {
      error: "must be a class id such as 1:1001, or the handle of a qdisc such as 10:",
    })
    .describe("The class, or the qdisc, that it is below."),
  handle: handle.describe("Its own number, hexadecimal: 1001:. No other qdisc of the link has it."),
};

const qdisc = z.discriminatedUnion(
  "kind",
  [
    z.strictObject({ ...cakeShape, ...place }),
    z.strictObject({ ...fqCodelShape, ...place }),
    z.strictObject({ ...fqShape, ...place }),
    z.strictObject({ ...netemShape, ...place }),
    z.strictObject({ ...tbfShape, ...place }),
    z.strictObject({ ...pfifoShape, ...place }),
    z.strictObject({ ...bfifoShape, ...place }),
  ],
  { error: KIND_ERROR.replace("htb, ", "") },
);

/** A qdisc below another or below a class, canonical. */
export type Qdisc = z.output<typeof qdisc>;

/** Sorts by ids such as `1:a`, which are hexadecimal numbers. */
const byId = <T>(key: (one: T) => string) => {
  const padded = (one: T) => key(one).replaceAll(/[0-9a-f]+/g, (part) => part.padStart(10, "0"));
  return (list: readonly T[]) => [...list].sort((a, b) => (padded(a) < padded(b) ? -1 : 1));
};

/** The order in which classes are listed. */
export const sortClasses = byId<{ readonly classid: string }>((one) => one.classid) as <
  T extends { readonly classid: string },
>(
  list: readonly T[],
) => T[];

/** The order in which qdiscs are listed. */
export const sortQdiscs = byId<{ readonly parent: string }>((one) => one.parent) as <
  T extends { readonly parent: string },
>(
  list: readonly T[],
) => T[];

/** What is on a link between a packet that is to be sent and the wire. */
export const schema = z.strictObject({
  netns: netnsName.optional().describe("Namespace of the link. Default: the host's initial one."),
  link: interfaceName.describe("The link that is shaped."),
  root: root.describe("The root qdisc, which takes the place of the kernel's default."),
  classes: z
    .array(htbClass, { error: "must be a list of classes" })
    .default([])
    .overwrite(sortClasses)
    .describe("Classes of an htb root, in any order."),
  qdiscs: z
    .array(qdisc, { error: "must be a list of qdiscs" })
    .default([])
    .overwrite(sortQdiscs)
    .describe("Qdiscs below classes or other qdiscs, in any order. A class without one has a FIFO."),
  filters: z
    .array(flowerFilter, { error: "must be a list of filters" })
    .default([])
    .overwrite(byId(filterKey))
    .describe("Filters of tc-flower(8), in any order. Filters of others are left alone."),
  clsact: z
    .boolean()
    .optional()
    .describe("Whether the hooks egress and ingress are there (tc-bpf(8)). Default: as they are."),
  minors: z
    .strictObject({ first: whole(1, 0xffff), last: whole(1, 0xffff) })
    .default({ first: 1, last: 0xffff })
    .describe(
      "Minor numbers of the classes that are this tree's: one of them that is not named is removed. The others belong " +
        "to somebody else, such as a net:SubscriberShaping below it.",
    ),
});

/** A tree, canonical. */
export type ShapingSpec = z.output<typeof schema>;
