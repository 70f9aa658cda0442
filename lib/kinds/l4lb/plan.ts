import { randomBytes } from "node:crypto";
import type { Step } from "../step";
import {
  generationOf,
  readBackend,
  readControl,
  TIMEOUTS,
  unusedBackend,
  vipKey,
  writeBackend,
  writeControl,
  writeService,
  type ServiceLine,
} from "./lines";
import { clearEntry, removeEntry, u32, writeEntry } from "./maps";
import { backendsOf, servicesOf } from "./observe";
import { linesOf, POLICY_NUMBERS, RING_LINE, ringOf, writeRing, type RingMember } from "./ring";
import { formatEndpoint, parseEndpoint, type Endpoint, type Service, type Spec, type Tables } from "./schema";

const NONE: Omit<Tables, "capacity"> = { control: "", services: {}, backends: {}, vips: {}, rings: {} };
const RING_DIGITS = 2 * RING_LINE * 2;
const NO_SEED = "0".repeat(16);

/**
 * Steps from what is in the maps to what is wanted, in an order in which everything that a packet may meet is whole:
 * what is new is written before anything leads to it, what goes is cleared after nothing leads to it any more.
 */
export function plan(current: Spec | undefined, desired: Spec | undefined): Step[] {
  const tables = { ...NONE, capacity: (desired ?? current)?.capacity, ...current?.tables } as Tables;
  if (desired === undefined) return current === undefined ? [] : removal(current.program, tables);
  const { program } = desired;
  const places = placesOf(desired, tables);
  const backends = places.flatMap(({ members }) => members);
  return [
    ...controlSteps(desired, tables),
    ...vipRemovals(desired, tables, places),
    ...backends.flatMap(({ index, digits, isNew }): Step[] => [
      ...(isNew ? freshBackend(program, index) : []),
      ...(comesBack(tables.backends[index], digits) ? [clearEntry(program, "lb_health", index)] : []),
      ...(tables.backends[index] === digits ? [] : [writeEntry(program, "lb_backends", index, digits)]),
    ]),
    ...places.flatMap(({ ring, line, before }) => ringSteps(program, ring, line, before)),
    ...places.flatMap(({ index, isNew, digits }): Step[] => [
      ...(isNew ? [clearEntry(program, "lb_service_stats", index)] : []),
      ...(tables.services[index] === digits ? [] : [writeEntry(program, "lb_services", index, digits)]),
    ]),
    ...vipWrites(desired, tables, places),
    ...leftovers(
      program,
      tables,
      new Set(places.map(({ index }) => index)),
      new Set(backends.map(({ index }) => index)),
    ),
  ];
}

interface Placed {
  readonly index: number;
  readonly isNew: boolean;
  readonly endpoint: Endpoint;
  readonly line: ServiceLine;
  readonly digits: string;
  readonly members: readonly PlacedBackend[];
  /** Its ring, and what is in those lines now as far as that is known. */
  readonly ring: string;
  readonly before: string;
}

interface PlacedBackend extends RingMember {
  readonly isNew: boolean;
  readonly digits: string;
}

/** Where everything that is wanted is, or is to be; what is there stays where it is. */
function placesOf(desired: Spec, tables: Tables): Placed[] {
  const { program, capacity } = desired;
  const there = new Map(
    servicesOf(tables).map(([index, line]) => [formatEndpoint(line.endpoint), { index, line }]),
  );
  const serviceIndices = new Free(Object.keys(tables.services), capacity.services, "services", program);
  const backendIndices = new Free(
    Object.entries(tables.backends).flatMap(([index, digits]) => (readBackend(digits) ? [index] : [])),
    capacity.backends,
    "backends",
    program,
  );
  const rings = new FreeLines(tables, capacity.ringLines, program);
  return Object.entries(desired.services).map(([name, service]): Placed => {
    const endpoint = parseEndpoint(name) ?? { protocol: "tcp", vip: "", port: 0 };
    const known = there.get(name);
    const index = known?.index ?? serviceIndices.take();
    const members = membersOf(service, index, tables, backendIndices);
    const entries = ringOf(service.policy, members);
    const isKept = known?.line.ringLength === entries.length;
    const ringAt = isKept ? known.line.ringAt : rings.take(linesOf(entries.length));
    const line = {
      endpoint,
      policy: POLICY_NUMBERS[service.policy],
      ringAt,
      ringLength: entries.length,
    };
    return {
      index,
      isNew: known === undefined,
      endpoint,
      line,
      digits: writeService(line),
      members,
      ring: writeRing(entries),
      before: isKept ? (tables.rings[index] ?? "") : "",
    };
  });
}

function membersOf(service: Service, index: number, tables: Tables, free: Free): PlacedBackend[] {
  const there = new Map(backendsOf(tables, index).map(([at, line]) => [line.address, { at, line }]));
  return Object.entries(service.backends).map(([address, backend]): PlacedBackend => {
    const known = there.get(address);
    const at = known?.at ?? free.take();
    const last = tables.backends[at];
    const generation = known?.line.generation ?? ((last === undefined ? 0 : generationOf(last)) % 255) + 1;
    const forward = backend.forward ?? service.forward;
    return {
      index: at,
      isNew: known === undefined,
      name: address,
      weight: backend.weight,
      isUp: backend.state === "up",
      digits: writeBackend({ address, service: index, generation, backend, forward }),
    };
  });
}

/** Indices that nobody uses, the lowest first. */
class Free {
  readonly #used: Set<number>;

  constructor(
    used: readonly string[],
    private readonly most: number,
    private readonly what: string,
    private readonly program: string,
  ) {
    this.#used = new Set(used.map(Number));
  }

  /** @throws Error when there is none */
  take(): number {
    for (let index = 0; index < this.most; index += 1) {
      if (this.#used.has(index)) continue;
      this.#used.add(index);
      return index;
    }
    throw new Error(
      `the tables of ${this.program} have room for ${this.most} ${this.what} at once, those that are about to go ` +
        `included: give the balancer more capacity, or change less at a time. Nothing was changed.`,
    );
  }
}

/** Lines of the ring that no service uses. */
class FreeLines {
  readonly #taken: [from: number, to: number][];

  constructor(
    tables: Tables,
    private readonly most: number,
    private readonly program: string,
  ) {
    this.#taken = servicesOf(tables).map(([, { ringAt, ringLength }]) => [
      ringAt,
      ringAt + linesOf(ringLength),
    ]);
  }

  /** @throws Error when there are not so many in a row */
  take(count: number): number {
    if (count === 0) return 0;
    const starts = [0, ...this.#taken.map(([, to]) => to)].sort((a, b) => a - b);
    const at = starts.find(
      (from) =>
        from + count <= this.most &&
        this.#taken.every(([begin, end]) => from + count <= begin || from >= end),
    );
    if (at === undefined)
      throw new Error(
        `the tables of services of ${this.program} need ${count} more lines in a row, and there are ${this.most} in ` +
          "all: give the balancer more capacity for backends. Nothing was changed.",
      );
    this.#taken.push([at, at + count]);
    return at;
  }
}

function controlSteps({ program, timeouts, hold, decay }: Spec, { control }: Tables): Step[] {
  const seed = control === "" ? NO_SEED : readControl(control).seed;
  const wanted = writeControl({
    seed: seed === NO_SEED ? randomBytes(8).toString("hex") : seed,
    timeouts: { ...TIMEOUTS, ...timeouts },
    hold,
    decay,
  });
  return wanted === control ? [] : [writeEntry(program, "lb_control", 0, wanted)];
}

/** What an index counted and was told about the backend before. */
const freshBackend = (program: string, index: number): Step[] =>
  (["lb_health", "lb_reported", "lb_active", "lb_backend_stats"] as const).map((map) =>
    clearEntry(program, map, index),
  );

/** Whether one that was taken out is wanted again: what put it down at its end then is over. */
function comesBack(before: string | undefined, after: string): boolean {
  const was = before === undefined ? undefined : readBackend(before)?.backend.state;
  return was !== undefined && was !== "up" && readBackend(after)?.backend.state === "up";
}

function ringSteps(program: string, ring: string, { ringAt }: ServiceLine, before: string): Step[] {
  const steps: Step[] = [];
  for (let from = 0; from < ring.length; from += RING_DIGITS) {
    const line = ring.slice(from, from + RING_DIGITS);
    if (before.slice(from, from + RING_DIGITS) !== line)
      steps.push(writeEntry(program, "lb_ring", ringAt + from / RING_DIGITS, line));
  }
  return steps;
}

/** Entries of `lb_vips` by key: the addresses themselves, then the services. */
function wantedVips({ echo }: Spec, places: readonly Placed[]): Map<string, number> {
  return new Map([
    ...places.map(({ endpoint: { vip } }) => [vipKey({ vip }), echo ? 1 : 0] as const),
    ...places.map(({ endpoint, index }) => [vipKey(endpoint), index] as const),
  ]);
}

function vipRemovals(desired: Spec, { vips }: Tables, places: readonly Placed[]): Step[] {
  const wanted = wantedVips(desired, places);
  const gone = Object.keys(vips).filter((key) => !wanted.has(key));
  return servicesFirst(gone).map((key) => removeEntry(desired.program, "lb_vips", key));
}

/** The address itself has neither port nor protocol; it goes after its services. */
const servicesFirst = (keys: readonly string[]) => {
  const isItself = (key: string) => key.endsWith("00000000");
  return [...keys.filter((key) => !isItself(key)), ...keys.filter(isItself)];
};

function vipWrites(desired: Spec, { vips }: Tables, places: readonly Placed[]): Step[] {
  return [...wantedVips(desired, places)].flatMap(([key, value]): Step[] =>
    vips[key] === value ? [] : [writeEntry(desired.program, "lb_vips", key, u32(value))],
  );
}

/** Clears what is in use and no longer wanted; an index keeps its generation, so that the next one has another. */
function leftovers(
  program: string,
  tables: Tables,
  services: ReadonlySet<number>,
  backends: ReadonlySet<number>,
): Step[] {
  return [
    ...Object.entries(tables.backends).flatMap(([index, digits]): Step[] => {
      if (backends.has(Number(index)) || readBackend(digits) === undefined) return [];
      return [writeEntry(program, "lb_backends", Number(index), unusedBackend(generationOf(digits)))];
    }),
    ...Object.keys(tables.services)
      .filter((index) => !services.has(Number(index)))
      .map((index) => clearEntry(program, "lb_services", Number(index))),
  ];
}

function removal(program: string, tables: Tables): Step[] {
  return [
    ...servicesFirst(Object.keys(tables.vips)).map((key) => removeEntry(program, "lb_vips", key)),
    ...leftovers(program, tables, new Set(), new Set()),
  ];
}
