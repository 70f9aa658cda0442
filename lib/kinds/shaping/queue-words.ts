import { isDeepStrictEqual } from "node:util";
import type { Queue } from "./queues";
import { digits, parseSize, sameBurst, shownRate } from "./units";

type Of<Kind extends Queue["kind"]> = Extract<Queue, { kind: Kind }>;
type Options = Readonly<Record<string, unknown>>;

/** One kind of qdisc: how tc is told of it, and how tc tells of it. */
interface QueueWords<Kind extends Queue["kind"]> {
  /** The words behind `tc qdisc add … KIND`. */
  readonly words: (queue: Of<Kind>) => readonly string[];
  /** `options` of `tc -j qdisc show`, in our words. */
  readonly read: (options: Options) => Of<Kind>;
  /** Properties that the kernel takes only when the qdisc is made. */
  readonly fixed?: readonly string[];
  /** How far a property that is read may be from the one that was asked for, where the kernel has coarser units. */
  readonly slack?: Readonly<Record<string, (wanted: Of<Kind>) => number>>;
}

const number = (value: unknown, otherwise: number) => (typeof value === "number" ? value : otherwise);
const flag = (on: boolean, yes: string, no: string) => (on ? yes : no);
const bit = (bits: number) => `${digits(bits)}bit`;
const us = (micros: number) => `${digits(micros)}us`;

const ACK_WORDS = { off: "no-ack-filter", on: "ack-filter", aggressive: "ack-filter-aggressive" } as const;
const ACK_SHOWN: Readonly<Record<string, Of<"cake">["ackFilter"]>> = {
  disabled: "off",
  enabled: "on",
  aggressive: "aggressive",
};

const cake: QueueWords<"cake"> = {
  words: (queue) => [
    ...(queue.bandwidth === undefined ? ["unlimited"] : ["bandwidth", bit(queue.bandwidth)]),
    queue.tins,
    queue.flowMode,
    flag(queue.nat, "nat", "nonat"),
    flag(queue.wash, "wash", "nowash"),
    ACK_WORDS[queue.ackFilter],
    flag(queue.ingress, "ingress", "egress"),
    flag(queue.splitGso, "split-gso", "no-split-gso"),
    "rtt",
    us(queue.rttUs),
    "memlimit",
    digits(queue.memoryLimitBytes ?? 0),
    ...(queue.overheadBytes === undefined ? ["raw"] : ["noatm", "overhead", digits(queue.overheadBytes)]),
  ],
  read(options) {
    const memory = number(options.memlimit, 0);
    return {
      kind: "cake",
      ...(typeof options.bandwidth === "number" &&
        options.bandwidth > 0 && { bandwidth: shownRate(options.bandwidth * 8) }),
      tins: options.diffserv as Of<"cake">["tins"],
      flowMode: options.flowmode as Of<"cake">["flowMode"],
      nat: options.nat === true,
      wash: options.wash === true,
      ackFilter: ACK_SHOWN[String(options["ack-filter"])] ?? "off",
      ingress: options.ingress === true,
      splitGso: options.split_gso === true,
      rttUs: number(options.rtt, 100_000),
      ...(memory > 0 && { memoryLimitBytes: memory }),
      ...(options.raw !== true && { overheadBytes: number(options.overhead, 0) }),
    };
  },
};

/** CoDel counts in units of 1,024 ns. */
const CODEL_SLACK_US = 2;

const fqCodel: QueueWords<"fq_codel"> = {
  words: (queue) => [
    ...["limit", digits(queue.limitPackets), "flows", digits(queue.flows)],
    ...["target", us(queue.targetUs), "interval", us(queue.intervalUs)],
    ...["quantum", digits(queue.quantumBytes), "memory_limit", digits(queue.memoryLimitBytes)],
    flag(queue.ecn, "ecn", "noecn"),
  ],
  read: (options) => ({
    kind: "fq_codel",
    limitPackets: number(options.limit, 0),
    flows: number(options.flows, 0),
    targetUs: number(options.target, 0),
    intervalUs: number(options.interval, 0),
    quantumBytes: number(options.quantum, 0),
    memoryLimitBytes: number(options.memory_limit, 0),
    ecn: options.ecn === true,
  }),
  fixed: ["flows"],
  slack: { targetUs: () => CODEL_SLACK_US, intervalUs: () => CODEL_SLACK_US },
};

const fq: QueueWords<"fq"> = {
  words: (queue) => ["limit", digits(queue.limitPackets), "flow_limit", digits(queue.flowLimitPackets)],
  read: (options) => ({
    kind: "fq",
    limitPackets: number(options.limit, 0),
    flowLimitPackets: number(options.flow_limit, 0),
  }),
};

/** `{ "loss": 0.015 }` as percent. */
function share(options: Options, object: string, member: string): number {
  const part = (options[object] as Options | undefined)?.[member];
  return typeof part === "number" ? Math.round(part * 1e8) / 1e6 : 0;
}

const seconds = (options: Options, member: string) =>
  Math.round(number((options.delay as Options | undefined)?.[member], 0) * 1e6);

const netem: QueueWords<"netem"> = {
  words: (queue) => [
    ...["limit", digits(queue.limitPackets), "delay", us(queue.delayUs)],
    ...(queue.jitterUs > 0 ? [us(queue.jitterUs)] : []),
    ...(queue.lossPercent > 0 ? ["loss", `${digits(queue.lossPercent)}%`] : []),
    ...(queue.duplicatePercent > 0 ? ["duplicate", `${digits(queue.duplicatePercent)}%`] : []),
  ],
  read: (options) => ({
    kind: "netem",
    limitPackets: number(options.limit, 0),
    delayUs: seconds(options, "delay"),
    jitterUs: seconds(options, "jitter"),
    lossPercent: share(options, "loss-random", "loss"),
    duplicatePercent: share(options, "duplicate", "duplicate"),
  }),
  // Shares are 32-bit fractions; delays were ticks before iproute2 4.16.
  slack: {
    delayUs: () => 1,
    jitterUs: () => 1,
    lossPercent: () => 1e-4,
    duplicatePercent: () => 1e-4,
  },
};

const tbf: QueueWords<"tbf"> = {
  words: (queue) => [
    ...["rate", bit(queue.rate), "burst", `${digits(queue.burstBytes)}b`, "latency", us(queue.latencyUs)],
  ],
  read: (options) => ({
    kind: "tbf",
    rate: shownRate(number(options.rate, 0) * 8),
    burstBytes:
      typeof options.burst === "string" ? (parseSize(options.burst) ?? 0) : number(options.burst, 0),
    latencyUs: number(options.lat, 0),
  }),
  slack: {
    // What is kept is a limit in bytes, and the burst is a time.
    latencyUs: (wanted) => 4 + Math.ceil((16 * 8e6) / wanted.rate),
  },
};

const pfifo: QueueWords<"pfifo"> = {
  words: (queue) => ["limit", digits(queue.limitPackets)],
  read: (options) => ({ kind: "pfifo", limitPackets: number(options.limit, 0) }),
};

const bfifo: QueueWords<"bfifo"> = {
  words: (queue) => ["limit", digits(queue.limitBytes)],
  read: (options) => ({ kind: "bfifo", limitBytes: number(options.limit, 0) }),
};

const KINDS: { readonly [Kind in Queue["kind"]]: QueueWords<Kind> } = {
  cake,
  fq_codel: fqCodel,
  fq,
  netem,
  tbf,
  pfifo,
  bfifo,
};

const wordsOf = (kind: string) =>
  Object.hasOwn(KINDS, kind)
    ? (KINDS[kind as Queue["kind"]] as unknown as QueueWords<Queue["kind"]>)
    : undefined;

/** A queue as `tc qdisc add` and `change` take it: its kind, then every property. */
export function queueWords(queue: Queue): readonly string[] {
  return [queue.kind, ...(wordsOf(queue.kind)?.words(queue) ?? [])];
}

/** A queue as `tc -j qdisc show` tells of it; one of a kind that no spec can ask for has nothing but its kind. */
export function readQueue(kind: string, options: Options): Queue {
  return wordsOf(kind)?.read(options) ?? ({ kind } as unknown as Queue);
}

/** What was read, with the numbers of what was asked for wherever they are the same to the kernel. */
export function queueAsWanted(read: Queue, wanted: Queue | undefined): Queue {
  if (wanted === undefined || wanted.kind !== read.kind) return read;
  const slack: Record<string, (queue: Queue) => number> = { ...(wordsOf(read.kind)?.slack as object) };
  const [is, was] = [read as Record<string, unknown>, wanted as Record<string, unknown>];
  const near = Object.entries(slack).filter(
    ([property, room]) => Math.abs(Number(is[property]) - Number(was[property])) <= room(wanted),
  );
  const burst =
    read.kind === "tbf" && wanted.kind === "tbf" && sameBurst(read.burstBytes, wanted.burstBytes, wanted.rate)
      ? { burstBytes: wanted.burstBytes }
      : {};
  return { ...read, ...Object.fromEntries(near.map(([property]) => [property, was[property]])), ...burst };
}

/** Whether the kernel can make one of the other where it stands. */
export function changesInPlace(from: Queue, to: Queue): boolean {
  if (from.kind !== to.kind) return false;
  const [is, was] = [to as Record<string, unknown>, from as Record<string, unknown>];
  return (wordsOf(to.kind)?.fixed ?? []).every((property) => isDeepStrictEqual(is[property], was[property]));
}
