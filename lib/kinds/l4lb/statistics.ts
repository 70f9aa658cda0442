import { decodeValue, type Field } from "../bpf/fields";
import type { CounterRow, Counters } from "../kind";
import type { Facts } from "../step";
import { bytesOf, readBackend, readService, type ServiceLine } from "./lines";
import { dumpQuery, indexOf, readDump, type MapName } from "./maps";
import { formatEndpoint } from "./schema";

/** The counters of `struct lb_stat` (bpf/l4lb/lb.h); the rest of it is the program's own. */
const COUNTED = ["packets", "bytes", "flows", "dropped"] as const;
const STAT: readonly Field[] = [
  ...COUNTED.map((name) => ({ name, type: "u64" })),
  { name: "internal", type: "bytes:32" },
];

/** Counters by service and by backend, which are told by their addresses. */
export function statistics({ program }: { readonly program: string }): Counters[] {
  const reads = (maps: readonly MapName[]) => maps.map((map) => dumpQuery(program, map));
  return [
    {
      name: "services",
      queries: reads(["lb_services", "lb_service_stats"]),
      read: (facts) => serviceRows(facts, program),
    },
    {
      name: "backends",
      queries: reads(["lb_services", "lb_backends", "lb_active", "lb_health", "lb_backend_stats"]),
      read: (facts) => backendRows(facts, program),
    },
  ];
}

function valuesOf(facts: Facts, program: string, map: MapName): Map<number, readonly string[]> {
  const dump = readDump(facts, program, map);
  if (dump === undefined) throw new Error(`the map ${map} of ${program} is not there`);
  return new Map(dump.map(({ key, values }) => [indexOf(key), values]));
}

/** Sums over the CPUs. */
function counted(values: readonly string[] = []): Record<string, number | string> {
  const sums = values.reduce(
    (sum, digits) => {
      const line = decodeValue(STAT, bytesOf(digits)) as Record<string, number | string>;
      return sum.map((one, nth) => one + BigInt(line[COUNTED[nth] ?? ""] ?? 0));
    },
    COUNTED.map(() => 0n),
  );
  return Object.fromEntries(COUNTED.map((name, nth) => [name, asNumber(sums[nth] ?? 0n)]));
}

const asNumber = (count: bigint) =>
  count <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(count) : count.toString();

function servicesIn(facts: Facts, program: string): Map<number, ServiceLine> {
  const lines = [...valuesOf(facts, program, "lb_services")].flatMap(([index, [digits = ""]]) => {
    const line = readService(digits);
    return line === undefined ? [] : [[index, line] as const];
  });
  return new Map(lines);
}

function serviceRows(facts: Facts, program: string): CounterRow[] {
  const stats = valuesOf(facts, program, "lb_service_stats");
  return [...servicesIn(facts, program)].map(([index, { endpoint }]) => ({
    of: { service: formatEndpoint(endpoint) },
    counters: counted(stats.get(index)),
  }));
}

function backendRows(facts: Facts, program: string): CounterRow[] {
  const services = servicesIn(facts, program);
  const [stats, active, health] = (["lb_backend_stats", "lb_active", "lb_health"] as const).map((map) =>
    valuesOf(facts, program, map),
  );
  return [...valuesOf(facts, program, "lb_backends")].flatMap(([index, [digits = ""]]): CounterRow[] => {
    const line = readBackend(digits);
    const service = line && services.get(line.service);
    if (line === undefined || service === undefined) return [];
    const isDown = /[^0]/.test(health?.get(index)?.[0] ?? "");
    const now = decodeValue(
      [
        { name: "flows", type: "u64" },
        { name: "generation", type: "u8" },
        { name: "internal", type: "bytes:7" },
      ],
      bytesOf(active?.get(index)?.[0] ?? "00".repeat(16)),
    ) as Record<string, number | string>;
    return [
      {
        of: {
          service: formatEndpoint(service.endpoint),
          backend: line.address,
          state: isDown ? "down" : line.backend.state,
        },
        counters: {
          ...counted(stats?.get(index)),
          active: now.generation === line.generation ? (now.flows ?? 0) : 0,
        },
      },
    ];
  });
}
