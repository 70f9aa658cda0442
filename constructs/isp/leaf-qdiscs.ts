import type { Direction, LeafQueue, Plan } from "./model";
import { leafOf } from "./model";

/** tc-cake(8) below an HTB class, which does the shaping: bandwidth unlimited. */
export interface CakeLeaf {
  readonly kind: "cake";
  /** Qdisc handle: the class' minor number as a major, so it is the subscriber's for good. */
  readonly handle: string;
  /** Priority tins. */
  readonly tins: "besteffort" | "diffserv3" | "diffserv4" | "diffserv8";
  /** Round-trip time that the AQM is set for, µs. */
  readonly rttUs: number;
  /** The most that may be queued, bytes. */
  readonly memoryLimitBytes: number;
}

/** tc-fq_codel(8) below an HTB class. */
export interface FqCodelLeaf {
  readonly kind: "fq_codel";
  /** Qdisc handle: the class' minor number as a major, so it is the subscriber's for good. */
  readonly handle: string;
  readonly limitPackets: number;
  readonly flows: number;
  readonly targetUs: number;
  readonly intervalUs: number;
  readonly quantumBytes: number;
  /** The most that may be queued, bytes. */
  readonly memoryLimitBytes: number;
  readonly ecn: boolean;
}

/** The queue at the end of a subscriber's class. */
export type LeafQdisc = CakeLeaf | FqCodelLeaf;

/**
 * What tc-netem(8) does to a subscriber's packets in one direction, on the way _to_ the shaper (shaper/line-conditions.ts
 * has why).
 */
export interface Netem {
  /** Delay, µs. */
  readonly delayUs: number;
  /** Deviation of the delay, µs. */
  readonly jitterUs: number;
  /** Loss in percent. */
  readonly lossPercent: number;
  /** Packets that may be under way: netem's default of 1,000 would drop at high rates and long delays. */
  readonly limitPackets: number;
}

/** Bytes of a full Ethernet frame. */
export const FRAME = 1514;
/** The round trip that CAKE and CoDel are made for. */
const USUAL_RTT_US = 100_000;
/** Room for the queue: four round trips at the class' ceiling, within what a small line needs and a host can give. */
const MEMORY = { roundTrips: 4, least: 128 * 1024, most: 32 * 1024 * 1024 } as const;

/**
 * The leaf of a class, as far as the plan says; deterministic in the plan, the ceiling and the class alone.
 * @param ceil - the class' ceiling, bit/s
 * @param minor - the class' minor number
 */
export function leafQdisc(
  plan: Plan,
  direction: Direction,
  ceil: number,
  minor: number,
  fallback: LeafQueue,
): LeafQdisc | undefined {
  const kind = leafOf(plan, direction) ?? fallback;
  if (kind === "none") return undefined;
  const handle = `${minor.toString(16)}:`;
  // What the plan adds to the path is no queue to fight.
  const rttUs = USUAL_RTT_US + Math.round(2000 * (plan.latencyMs ?? 0));
  const bytes = Math.round((ceil / 8) * (rttUs / 1e6) * MEMORY.roundTrips);
  const memoryLimitBytes = Math.min(MEMORY.most, Math.max(MEMORY.least, bytes));
  // CoDel cannot get below the time that one frame takes (RFC 8289, section 4.4).
  const targetUs = Math.max(5000, Math.ceil((1.5 * FRAME * 8 * 1e6) / ceil));
  // CAKE below HTB does not know the rate: its target is a twentieth of the round trip that it is told.
  if (kind === "cake")
    return { kind, handle, tins: "diffserv4", rttUs: Math.max(rttUs, 20 * targetUs), memoryLimitBytes };
  return {
    kind,
    handle,
    limitPackets: 10_240,
    // 1,024 flows are 70 KB each way; a household has not that many at once.
    flows: 256,
    targetUs,
    intervalUs: Math.max(rttUs, 2 * targetUs),
    quantumBytes: ceil < 100e6 ? 300 : FRAME,
    memoryLimitBytes,
    ecn: true,
  };
}

/** What the plan does to packets on the way, or undefined when it does nothing. */
export function netemOf(plan: Plan, ceil: number): Netem | undefined {
  const { latencyMs = 0, jitterMs = 0, lossPercent = 0 } = plan;
  if (latencyMs === 0 && jitterMs === 0 && lossPercent === 0) return undefined;
  const underWay = (ceil / 8) * ((latencyMs + jitterMs) / 1000);
  return {
    delayUs: Math.round(latencyMs * 1000),
    jitterUs: Math.round(jitterMs * 1000),
    lossPercent,
    limitPackets: 1000 + Math.ceil((4 * underWay) / FRAME),
  };
}
