import { createHash } from "node:crypto";
import type { SubscriberFinding } from "./findings";
import { quoted } from "./findings";
import { NUMBER_RANGE } from "./values";

/** Who is to be numbered. */
export interface Numbered {
  readonly id: string;
  /** Fixed by the user, or by an address of the pool that the subscriber has already. */
  readonly number?: number;
}

/** Something that has room for so many numbers. */
export interface NumberLimit {
  /** What it is, for errors: `192.168.11.0/24`. */
  readonly what: string;
  /** Numbers 1 to this fit. */
  readonly capacity: number;
  /** What would fit a number of subscribers, for errors: `a /22 would do`. */
  readonly enough?: (wanted: number) => string;
}

/** Line numbers by subscriber id. */
export interface Numbering {
  readonly numbers: ReadonlyMap<string, number>;
  readonly findings: readonly SubscriberFinding[];
}

/** How many numbers there are under some limits: never more than a shaper has class ids for. */
export function numberCapacity(limits: readonly NumberLimit[]): number {
  return Math.min(NUMBER_RANGE.most, ...limits.map(({ capacity }) => capacity));
}

/**
 * The number that a subscriber has by itself: the one that is fixed, else the decimal number that its id is or
 * ends in (`pi-17` → 17) when that is in range, else a hash of the id. It depends on nobody else, which is why
 * adding or removing a subscriber renumbers nobody (docs/adr/010).
 * @param capacity - numbers 1 to this are given
 */
export function ownNumber({ id, number }: Numbered, capacity: number): number {
  if (number !== undefined) return number;
  const tail = Number(/\d{1,6}$/.exec(id)?.[0] ?? 0);
  if (tail >= 1 && tail <= capacity) return tail;
  const digest = createHash("sha256").update(`netloom subscriber\0${id}`).digest();
  return (digest.readUIntBE(0, 6) % capacity) + 1;
}

/** The next number that is free, upwards and round; near constant time, also when nearly all are taken. */
export class FreeNumbers {
  readonly #next: Int32Array;

  constructor(
    readonly capacity: number,
    taken: Iterable<number>,
  ) {
    this.#next = new Int32Array(capacity + 2);
    for (let index = 0; index < this.#next.length; index += 1) this.#next[index] = index;
    for (const number of taken) this.take(number);
  }

  take(number: number): void {
    if (number >= 1 && number <= this.capacity) this.#next[number] = number + 1;
  }

  after(number: number): number | undefined {
    const up = this.#find(Math.min(Math.max(number, 1), this.capacity));
    const found = up <= this.capacity ? up : this.#find(1);
    return found <= this.capacity ? found : undefined;
  }

  #find(start: number): number {
    const next = this.#next;
    let at = start;
    while (next[at] !== at) at = next[at] as number;
    // Shorten the way for those who come later.
    for (let walk = start; walk !== at;) {
      const following = next[walk] as number;
      next[walk] = at;
      walk = following;
    }
    return at;
  }
}

const byId = (a: Numbered, b: Numbered) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);

function settle(subscribers: readonly Numbered[], capacity: number) {
  const sorted = [...subscribers].sort(byId);
  const owner = new Map<number, string>();
  const contested: Numbered[] = [];
  // Who has a fixed number keeps it, whoever else's id happens to lead there.
  for (const subscriber of sorted.filter(({ number }) => number !== undefined)) {
    const number = ownNumber(subscriber, capacity);
    if (owner.has(number)) contested.push(subscriber);
    else owner.set(number, subscriber.id);
  }
  for (const subscriber of sorted.filter(({ number }) => number === undefined)) {
    const number = ownNumber(subscriber, capacity);
    if (owner.has(number)) contested.push(subscriber);
    else owner.set(number, subscriber.id);
  }
  return { owner, contested, free: () => new FreeNumbers(capacity, owner.keys()) };
}

function tooMany(wanted: number, limits: readonly NumberLimit[]): SubscriberFinding[] {
  return limits
    .filter(({ capacity }) => capacity < wanted)
    .map(({ what, capacity, enough }) => ({
      message: `${what} fits ${capacity} subscribers and there are ${wanted}${enough === undefined ? "" : `; ${enough(wanted)}`}`,
    }));
}

/**
 * Gives each subscriber its number (`ownNumber`). Two that want the same one are a finding for the later, with a
 * number that is free: moving one aside silently would depend on who else is there.
 */
export function numberSubscribers(
  subscribers: readonly Numbered[],
  limits: readonly NumberLimit[] = [],
): Numbering {
  const all = [{ what: "one shaper", capacity: NUMBER_RANGE.most }, ...limits];
  const findings = tooMany(subscribers.length, all);
  if (findings.length > 0) return { numbers: new Map(), findings };
  const capacity = numberCapacity(limits);
  const narrowest = all.find((limit) => limit.capacity === capacity);
  for (const { id, number } of subscribers) {
    if (number === undefined || number <= capacity) continue;
    findings.push({
      path: `subscriber ${quoted(id)}`,
      message: `number ${number} is beyond ${narrowest?.what}, which has room for the numbers 1 to ${capacity}`,
    });
  }
  const { owner, contested, free: freeNumbers } = settle(subscribers, capacity);
  // Contests are rare; the free numbers are looked up only for them.
  const free = contested.length === 0 ? undefined : freeNumbers();
  for (const subscriber of contested) {
    const number = ownNumber(subscriber, capacity);
    const other = free?.after(number);
    if (other !== undefined) free?.take(other);
    findings.push({
      path: `subscriber ${quoted(subscriber.id)}`,
      message: `its number would be ${number}, which is ${quoted(owner.get(number))}'s; write down "number" for it${other === undefined ? "" : `: ${other} is free`}`,
    });
  }
  return { numbers: new Map([...owner].map(([number, id]) => [id, number])), findings };
}

/**
 * Numbers everybody, to be written down (the `number` column of subscribers.csv): who has a number of its own
 * keeps it, and who would share one gets the next that is free. Only for writing down: once numbers are fixed,
 * who comes or goes later moves nobody.
 * @throws RangeError when there are more subscribers than numbers
 */
export function assignNumbers(
  subscribers: readonly Numbered[],
  limits: readonly NumberLimit[] = [],
): Map<string, number> {
  const capacity = numberCapacity(limits);
  const { owner, contested, free: freeNumbers } = settle(subscribers, capacity);
  const free = freeNumbers();
  const numbers = new Map([...owner].map(([number, id]) => [id, number]));
  for (const subscriber of contested) {
    const number = free.after(ownNumber(subscriber, capacity));
    if (number === undefined)
      throw new RangeError(`${subscribers.length} subscribers and ${capacity} numbers.`);
    free.take(number);
    numbers.set(subscriber.id, number);
  }
  return numbers;
}
