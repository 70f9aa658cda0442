import { Subscribers, type SubscriberProps } from "../../lib";

/**
 * Subscribers 1 to `count`, each with a plan, an address of its own outside and nothing else written down. The first
 * `changed` of them have another plan and another address than they had: one more that has is one change.
 */
export function subscribersOf(count: number, changed = 0): Subscribers {
  const all = Array.from({ length: count }, (_, index): SubscriberProps => {
    const number = index + 1;
    const other = number <= changed;
    return {
      id: `home-${number}`,
      plan: other ? { downloadMax: 100, uploadMax: 20 } : { downloadMax: 50, uploadMax: 10 },
      client: { address: addressOutside(other ? count + number : number) },
    };
  });
  return Subscribers.of(all);
}

/** RFC 2544's network for measurements has room for 131,072 clients. */
export function addressOutside(number: number): string {
  return `198.${18 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`;
}
