import { subscriberShaping } from "../../lib/kinds/subscriber-shaping";
import type { SubscriberShapingSpec } from "../../lib/kinds/subscriber-shaping/schema";

const RATES = [10, 25, 50, 100, 250, 500];

/** A set of `count` subscribers with six plans, without leaves: what every kernel with HTB can do. */
export function manySubscribers(netns: string, count: number, parent = "1:1"): SubscriberShapingSpec {
  const side = (mbit: number) => ({
    ...{ rate: 10_000, ceil: mbit * 1e6, burst: 3028, cburst: Math.max(3028, mbit * 125), quantum: 6056 },
  });
  return subscriberShaping.schema.parse({
    ...{ netns, name: "many", download: "v0", upload: "w0" },
    plans: Object.fromEntries(
      RATES.map((mbit) => [`${mbit}/${mbit / 5}`, { download: side(mbit), upload: side(mbit / 5) }]),
    ),
    subscribers: Object.fromEntries(
      Array.from({ length: count }, (_, n) => [
        `s${n + 1}`,
        {
          class: `1:${(0x1000 + n).toString(16)}`,
          parent,
          plan: `${RATES[n % RATES.length]}/${RATES[n % RATES.length]! / 5}`,
        },
      ]),
    ),
  });
}
