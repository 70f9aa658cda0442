import { isDeepStrictEqual } from "node:util";
import { found } from "../found";
import { canonicalAddress } from "../schemas";
import type { Facts, Query } from "../step";
import {
  readBackend,
  readControl,
  readService,
  TIMEOUTS,
  vipKey,
  writeBackend,
  type BackendLine,
  type ServiceLine,
} from "./lines";
import { dumpQuery, indexOf, readDump } from "./maps";
import { linesOf, POLICY_NUMBERS, ringOf, writeRing } from "./ring";
import {
  formatEndpoint,
  parseEndpoint,
  POLICIES,
  type Backend,
  type Service,
  type Spec,
  type Tables,
} from "./schema";

type Part = Partial<Spec>;

const TABLES = ["lb_vips", "lb_control", "lb_services", "lb_backends", "lb_ring"] as const;

const addressesQuery = ({ netns }: Part): Query => ({
  tool: "ip",
  ...(netns !== undefined && { netns }),
  args: ["-d", "address", "show"],
});

export const queries = (spec: Part): readonly Query[] => [
  ...TABLES.map((map) => dumpQuery(spec.program ?? "", map)),
  addressesQuery(spec),
];

/** What is in the maps; undefined when they are not there. */
function readTables(facts: Facts, program: string): Tables | undefined {
  const [vips, control, services, backends, ring] = TABLES.map((map) => readDump(facts, program, map));
  if (!vips || !control || !services || !backends || !ring) return undefined;
  const lines = new Map(ring.map(({ key, values }) => [indexOf(key), values[0] ?? ""]));
  const used = services.flatMap(({ key, values: [digits = ""] }): [number, string, ServiceLine][] => {
    const line = readService(digits);
    return line === undefined ? [] : [[indexOf(key), digits, line]];
  });
  return {
    capacity: { services: services.length, backends: backends.length, ringLines: ring.length },
    control: control[0]?.values[0] ?? "",
    services: Object.fromEntries(used.map(([index, digits]) => [index, digits])),
    backends: Object.fromEntries(
      backends.flatMap(({ key, values: [digits = ""] }) =>
        /[^0]/.test(digits) ? [[indexOf(key), digits]] : [],
      ),
    ),
    vips: Object.fromEntries(vips.map(({ key, values: [value = ""] }) => [key, indexOf(value)])),
    rings: Object.fromEntries(
      used.map(([index, , { ringAt, ringLength }]) => [
        index,
        Array.from({ length: linesOf(ringLength) }, (_, nth) => lines.get(ringAt + nth) ?? "").join(""),
      ]),
    ),
  };
}

/** Backends of a service, with their indices. */
export function backendsOf(tables: Tables, service: number): [number, BackendLine, string][] {
  return Object.entries(tables.backends).flatMap(([index, digits]): [number, BackendLine, string][] => {
    const line = readBackend(digits);
    return line?.service === service ? [[Number(index), line, digits]] : [];
  });
}

/** Services, with their indices. */
export function servicesOf(tables: Tables): [number, ServiceLine, string][] {
  return Object.entries(tables.services).flatMap(([index, digits]): [number, ServiceLine, string][] => {
    const line = readService(digits);
    return line === undefined ? [] : [[Number(index), line, digits]];
  });
}

/** The maps in the words of a spec. What means the same as the spec is told as the spec has it. */
export function observe(facts: Facts, specs: readonly [Part, ...Part[]]): Spec | undefined {
  const [wanted] = specs;
  const tables = readTables(facts, wanted.program ?? "");
  if (tables === undefined) return undefined;
  refuseOwnAddresses(facts, wanted, tables);
  const served = servicesOf(tables).filter(([index, { endpoint }]) => {
    const { [vipKey(endpoint)]: leadsTo, [vipKey({ vip: endpoint.vip })]: itself } = tables.vips;
    return leadsTo === index && itself !== undefined;
  });
  // What an interrupted run left serves nobody, and is in the way all the same.
  const isEmpty = Object.values(tables.backends).every((digits) => readBackend(digits) === undefined);
  if (isEmpty && Object.keys(tables.services).length === 0 && Object.keys(tables.vips).length === 0)
    return undefined;
  const services = served
    .map(([index, line]): [string, Service] => {
      const name = formatEndpoint(line.endpoint);
      return [name, observedService(tables, index, line, wanted.services?.[name])];
    })
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const control = readControl(tables.control);
  const { timeouts = {} } = wanted;
  const flags = served.map(([, { endpoint }]) => tables.vips[vipKey({ vip: endpoint.vip })] === 1);
  return {
    ...(wanted as Spec),
    services: Object.fromEntries(services),
    // Where some answer and others do not, it is not as it is wanted.
    echo: flags.every(Boolean) || (flags.some(Boolean) && wanted.echo === false),
    timeouts: isDeepStrictEqual({ ...TIMEOUTS, ...timeouts }, control.timeouts) ? timeouts : control.timeouts,
    decay: control.decay,
    hold: control.hold,
    capacity: tables.capacity,
    tables,
  };
}

function observedService(
  tables: Tables,
  index: number,
  { policy: number, ringLength }: ServiceLine,
  wanted: Service | undefined,
): Service {
  const lines = backendsOf(tables, index);
  const forward = wanted?.forward ??
    lines[0]?.[1].forward ?? { form: "ipip", source: "client", next: "route" };
  const policy =
    wanted !== undefined && POLICY_NUMBERS[wanted.policy] === number
      ? wanted.policy
      : (POLICIES.find((name) => POLICY_NUMBERS[name] === number) ?? "round-robin");
  const backends = lines.map(([, line, digits]): [string, Backend] => {
    const { address, generation, backend } = line;
    const same = (one: Backend, by: Service["forward"]) =>
      writeBackend({ address, service: index, generation, backend: one, forward: by }) === digits;
    const asWanted = wanted?.backends[address];
    if (asWanted !== undefined && same(asWanted, asWanted.forward ?? forward)) return [address, asWanted];
    return [address, { ...backend, ...(!same(backend, forward) && { forward: line.forward }) }];
  });
  const members = lines.map(([at, { address, backend }]) => ({
    index: at,
    name: address,
    weight: backend.weight,
    isUp: backend.state === "up",
  }));
  const ring = ringOf(policy, members);
  const isRight = ring.length === ringLength && writeRing(ring) === tables.rings[index];
  return {
    policy,
    forward,
    backends: Object.fromEntries(backends.sort(([a], [b]) => (a < b ? -1 : 1))),
    ...(!isRight && { ring: "altered" }),
  };
}

interface Link {
  readonly ifname: string;
  readonly addr_info?: readonly { readonly local?: string }[];
}

/** @throws Error when a virtual address that is not served yet is one of the host's own */
function refuseOwnAddresses(facts: Facts, spec: Part, tables: Tables): void {
  const links = (found(facts, addressesQuery(spec)) ?? []) as readonly Link[];
  for (const name of Object.keys(spec.services ?? {})) {
    const vip = parseEndpoint(name)?.vip;
    if (vip === undefined || tables.vips[vipKey({ vip })] !== undefined) continue;
    const own = links.find(({ addr_info = [] }) =>
      addr_info.some(({ local = "" }) => canonicalAddress(local) === vip),
    );
    if (own !== undefined)
      throw new Error(
        `${vip} of the service ${name} is an address of this host's own, on ${own.ifname}: what is sent to the host ` +
          "itself would go to the backends. Take an address that no link of the host has. Nothing was changed.",
      );
  }
}
