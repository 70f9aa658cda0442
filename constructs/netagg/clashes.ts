import { isDeepStrictEqual } from "node:util";
import type { Finding } from "../../lib/kinds/kind";
import { TABLES } from "../../lib/kinds/routes/schema";
import type { EndPath, PairEnd } from "./ends";
import { nextTables, tableRange, tablesTaken } from "./tables";

/** Endpoints that one namespace may have: MPTCP_PM_ADDR_MAX of net/mptcp/protocol.h. */
const MOST_ENDPOINTS = 8;

/** The kernel's own tables. */
const KERNELS = { first: TABLES.default, count: TABLES.local - TABLES.default + 1 };

/** What one end of a pair wants that an earlier pair of the same host has. */
export function clashes(mine: PairEnd, earlier: readonly PairEnd[]): readonly Finding[] {
  return [
    ...ofTables(mine, earlier),
    ...ofPorts(mine, earlier),
    ...ofInterfaces(mine, earlier),
    ...ofModule(mine, earlier),
    ...ofEndpoints(mine, earlier),
  ];
}

const nameOf = ({ host }: PairEnd) => host.place.host.name;

function ofTables(mine: PairEnd, earlier: readonly PairEnd[]): Finding[] {
  if (mine.tables === undefined) return [];
  const taken = earlier.flatMap(({ pair, tables }) => (tables === undefined ? [] : [{ pair, ...tables }]));
  const other = tablesTaken(mine.tables, taken);
  if (other === undefined) return [];
  const next = nextTables(mine.tables, [...taken, KERNELS]);
  const remedy = next === undefined ? "lower it" : `set firstTable to ${next}`;
  const message = `${tableRange(other)} are ${other.pair}'s on ${nameOf(mine)}; ${remedy}, or leave it out`;
  return [{ path: ["firstTable"], message }];
}

/** A packet is a path's by address and port: one pair's on a host, in each role. */
function ofPorts(mine: PairEnd, earlier: readonly PairEnd[]): Finding[] {
  const key = ({ address, port }: EndPath) => `${address} port ${port}`;
  const owners = new Map(
    earlier
      .filter(({ role }) => role === mine.role)
      .flatMap(({ pair, paths }) => paths.map((path) => [key(path), pair] as const)),
  );
  const told = new Set<string>();
  return mine.paths.flatMap((path) => {
    const owner = owners.get(key(path));
    const from = path.portFrom.join(".");
    if (owner === undefined || told.has(from)) return [];
    // One port is said for all paths: once is enough.
    told.add(from);
    const where = mine.role === "sender" ? `, too, and both send from ${nameOf(mine)}` : "";
    return [
      { path: path.portFrom, message: `${key(path)} is ${owner}'s${where}: take another port or address` },
    ];
  });
}

/** An address is on one link. */
function ofInterfaces(mine: PairEnd, earlier: readonly PairEnd[]): Finding[] {
  if (mine.role !== "receiver") return [];
  const others = earlier
    .filter(({ role }) => role === "receiver")
    .flatMap(({ pair, paths }) => paths.map((path) => ({ pair, ...path })));
  return mine.paths.flatMap((path, index) => {
    const other = others.find(({ address }) => address === path.address);
    if (other === undefined || other.interface === path.interface) return [];
    const message = `${path.address} is on ${other.interface}, says ${other.pair}; found ${JSON.stringify(path.interface)}`;
    return [{ path: ["receiver", "paths", index, "interface"], message }];
  });
}

/** There is one module on a host, made in one way. */
function ofModule(mine: PairEnd, earlier: readonly PairEnd[]): Finding[] {
  return (["packages", "sign", "timeouts"] as const).flatMap((name) => {
    const wish = mine.module?.[name];
    const other = earlier.find(({ module }) => module?.[name] !== undefined);
    const value = other?.module?.[name]?.value;
    if (wish === undefined || other === undefined || isDeepStrictEqual(plain(wish.value), plain(value)))
      return [];
    const message =
      `${JSON.stringify(wish.value)} is not what ${other.pair} has, ${JSON.stringify(value)}, and one module on ` +
      `${nameOf(mine)} serves both: give the same, or leave it out`;
    return [{ path: wish.from, message }];
  });
}

/** Packages are a set. */
const plain = (value: unknown): unknown =>
  Array.isArray(value) ? [...new Set(value as readonly string[])].sort() : value;

function ofEndpoints(mine: PairEnd, earlier: readonly PairEnd[]): Finding[] {
  const before = endpointsOf(earlier).size;
  const count = endpointsOf([...earlier, mine]).size;
  if (count === before || count <= MOST_ENDPOINTS) return [];
  const message = `${nameOf(mine)} would have ${count} MPTCP endpoints with those of earlier pairs, and Linux takes ${MOST_ENDPOINTS}`;
  return [{ path: ["receiver", "paths"], message }];
}

/** The links by the addresses that a receiver tells of by MPTCP: those of all its pairs' paths but the primary ones. */
export function endpointsOf(ends: readonly PairEnd[]): ReadonlyMap<string, string> {
  const told = ends.filter(({ role, module }) => role === "receiver" && module === undefined);
  return new Map(
    told.flatMap(({ paths }) => paths.slice(1).map((path) => [path.address, path.interface] as const)),
  );
}
