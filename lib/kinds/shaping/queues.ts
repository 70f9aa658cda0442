import { z } from "zod";
import { whole } from "../schemas";
import { rate } from "./units";

/**
 * What a queueing discipline is, without its place in a tree: one shape for each kind of qdisc, in the words of its
 * manual page. Every property that goes to the kernel is always written out, so a change in place is the whole truth.
 */

const bytes = whole(1, 0xffff_ffff);
const packets = whole(1, 0xffff_ffff);
const micros = (least: number) => whole(least, 600_000_000);
const percent = z
  .number({ error: "must be a percentage from 0 to 100" })
  .min(0, "must be a percentage from 0 to 100")
  .max(100, "must be a percentage from 0 to 100");

const TINS = ["besteffort", "precedence", "diffserv3", "diffserv4", "diffserv8"] as const;
const FLOW_MODES = [
  "flowblind",
  "srchost",
  "dsthost",
  "hosts",
  "flows",
  "dual-srchost",
  "dual-dsthost",
  "triple-isolate",
] as const;
const ACK_FILTERS = ["off", "on", "aggressive"] as const;

/** tc-cake(8). */
export const cakeShape = {
  kind: z.literal("cake"),
  bandwidth: rate
    .optional()
    .describe(
      "Rate in bit/s that CAKE shapes to. Default: unlimited, as below an HTB class, which does the shaping.",
    ),
  tins: z.enum(TINS).default("diffserv3").describe("Priority tins that packets are sorted into by DSCP."),
  flowMode: z.enum(FLOW_MODES).default("triple-isolate").describe("Between whom the rate is shared fairly."),
  nat: z
    .boolean()
    .default(false)
    .describe("Looks up addresses before NAT in conntrack, to be fair to hosts."),
  wash: z.boolean().default(false).describe("Clears the DSCP of packets after they have been sorted."),
  ackFilter: z
    .enum(ACK_FILTERS)
    .default("off")
    .describe("Drops TCP acknowledgements that later ones make needless."),
  ingress: z
    .boolean()
    .default(false)
    .describe("Counts dropped packets as sent: they have already used the line."),
  splitGso: z.boolean().default(true).describe("Splits large segments into packets of the wire."),
  rttUs: micros(1).default(100_000).describe("Round-trip time that the AQM is set for, microseconds."),
  memoryLimitBytes: bytes
    .optional()
    .describe("The most that may be queued, bytes. Default: CAKE's own, by bandwidth."),
  overheadBytes: whole(-64, 256)
    .optional()
    .describe("Bytes that the line below adds to a packet. Default: none (raw)."),
};

/** tc-fq_codel(8). */
export const fqCodelShape = {
  kind: z.literal("fq_codel"),
  limitPackets: packets.default(10_240).describe("The most packets that may be queued."),
  flows: whole(1, 65_536)
    .default(1024)
    .describe("Queues that flows are hashed into. Cannot change in place."),
  targetUs: micros(1).default(5000).describe("Standing delay that CoDel accepts, microseconds."),
  intervalUs: micros(1)
    .default(100_000)
    .describe("For how long it may be above the target, microseconds: a round trip."),
  quantumBytes: whole(256, 1 << 20)
    .default(1514)
    .describe("Bytes of one flow in one turn."),
  memoryLimitBytes: bytes.default(32 * 1024 * 1024).describe("The most that may be queued, bytes."),
  ecn: z
    .boolean()
    .default(true)
    .describe("Marks packets that can be marked (RFC 3168), rather than dropping them."),
};

/** tc-fq(8). */
export const fqShape = {
  kind: z.literal("fq"),
  limitPackets: packets.default(10_000).describe("The most packets that may be queued."),
  flowLimitPackets: packets.default(100).describe("The most packets of one flow that may be queued."),
};

/** tc-netem(8). */
export const netemShape = {
  kind: z.literal("netem"),
  limitPackets: packets.default(1000).describe("Packets that may be under way; more are dropped."),
  delayUs: micros(0).default(0).describe("Delay, microseconds."),
  jitterUs: micros(0).default(0).describe("How far the delay varies to either side, microseconds."),
  lossPercent: percent.default(0).describe("Packets lost at random, percent."),
  duplicatePercent: percent.default(0).describe("Packets sent twice, percent."),
};

/** tc-tbf(8). */
export const tbfShape = {
  kind: z.literal("tbf"),
  rate: rate.describe("Rate, bit/s."),
  burstBytes: whole(1, 1 << 30).describe("Bytes that may be sent at once; at least the link's MTU."),
  latencyUs: micros(1)
    .default(50_000)
    .describe("For how long a packet may wait before it is dropped, microseconds."),
};

/** A FIFO of packets, tc-bfifo(8). */
export const pfifoShape = {
  kind: z.literal("pfifo"),
  limitPackets: packets.default(1000).describe("The most packets that may be queued."),
};

/** A FIFO of bytes, tc-bfifo(8). */
export const bfifoShape = {
  kind: z.literal("bfifo"),
  limitBytes: bytes.describe("The most bytes that may be queued."),
};

/** Any queue below a class or another qdisc, without its handle. */
export const queue = z.discriminatedUnion(
  "kind",
  [
    z.strictObject(cakeShape),
    z.strictObject(fqCodelShape),
    z.strictObject(fqShape),
    z.strictObject(netemShape),
    z.strictObject(tbfShape),
    z.strictObject(pfifoShape),
    z.strictObject(bfifoShape),
  ],
  { error: "kind must be one of cake, fq_codel, fq, netem, tbf, pfifo, bfifo" },
);

/** A queue, canonical. */
export type Queue = z.output<typeof queue>;
