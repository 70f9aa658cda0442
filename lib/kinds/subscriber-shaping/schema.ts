import { z } from "zod";
import { recordError } from "../records";
import { familyOf, interfaceName, netnsName, prefix, quoted, safeName, text } from "../schemas";
import { htbRates } from "../shaping/classes";
import { queue } from "../shaping/queues";
import { classid, handle } from "../shaping/units";

/** A name that a person gave: data, which goes to no host. */
const label = (what: string) =>
  text((value) =>
    value.trim() !== "" && value.length <= 128 && !/\p{Cc}/u.test(value)
      ? undefined
      : `${quoted(value)} cannot be ${what}: it has 1 to 128 printable characters`,
  );

const service = z.strictObject({
  ...htbRates,
  leaf: queue.optional().describe("The queue of the class. Default: HTB's own FIFO."),
});

/** What one direction of a plan lets through, canonical. */
export type Service = z.output<typeof service>;

const plan = z.strictObject({
  download: service.describe("Towards the subscriber."),
  upload: service.describe("From the subscriber."),
});

const subscriber = z.strictObject({
  class: classid.describe(
    "Its class on both links, hexadecimal: 1:1001. Its leaf has the second part as handle.",
  ),
  parent: z
    .union([classid, handle], { error: "must be a class id such as 1:10, or the root's handle such as 1:" })
    .describe("The class above, on both links."),
  plan: label("the name of a plan").describe("One of `plans`."),
});

/** A subscriber, canonical. */
export type SubscriberSpec = z.output<typeof subscriber>;

/** A single address without its prefix length, `192.0.2.1`; a network with it. */
const bare = (value: string) => value.replace(value.includes(":") ? /\/128$/ : /\/32$/, "");
const full = (value: string) => {
  const family = value.includes("/") ? undefined : familyOf(value);
  return family === undefined ? value : `${value}/${family === 4 ? 32 : 128}`;
};

const addressOrNetwork = text(
  (value) => prefix.safeParse(full(value)).error?.issues[0]?.message,
  (value) => bare(prefix.parse(full(value))),
);

/** Subscribers of one shaping point, on a pair of links whose trees have an htb root. */
export const schema = z.strictObject({
  netns: netnsName.optional().describe("Namespace of both links. Default: the host's initial one."),
  name: safeName.describe("Tells several sets on the same links apart; it does not show up on the host."),
  download: interfaceName.describe("The link by which downloads leave, towards the subscribers."),
  upload: interfaceName.describe("The link by which uploads leave, towards the Internet."),
  plans: z
    .record(label("the name of a plan"), plan, { error: recordError("must be an object of plans by name") })
    .describe("What subscribers get, by name: what many have in common is said once."),
  subscribers: z
    .record(label("the id of a subscriber"), subscriber, {
      error: recordError("must be an object of subscribers by id"),
    })
    .describe("Subscribers by id."),
  prefixes: z
    .record(addressOrNetwork, classid, {
      error: recordError("must be an object of class ids by address or network"),
    })
    .default({})
    .describe(
      "Which class the packets of an address or network go to, by tc-flower(8) on the links' egress hook: downloads by " +
        "destination, uploads by source; the longest prefix wins. Not needed where an eBPF program does it.",
    ),
});

/** A set of subscribers, canonical. */
export type SubscriberShapingSpec = z.output<typeof schema>;
