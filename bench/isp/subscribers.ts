import { Subscribers, type SubscriberProps } from "../../lib";

/** Subscribers 1 to `count`, each with a plan, an address of its own outside and nothing else written down. */
export function subscribersOf(count: number, changed?: Partial<SubscriberProps>): Subscribers {
  const all = Array.from({ length: count }, (_, index): SubscriberProps => {
    const number = index + 1;
    return {
      id: `home-${number}`,
      plan: { downloadMax: 50, uploadMax: 10 },
      client: { address: addressOutside(number) },
      ...(number === Math.ceil(count / 2) && changed),
    };
  });
  return Subscribers.of(all);
}

/** RFC 2544's network for measurements has room for 131,072 clients. */
export function addressOutside(number: number): string {
  return `198.${18 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`;
}
