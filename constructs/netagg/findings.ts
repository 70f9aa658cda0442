import type { Finding } from "../../lib/kinds/kind";
import { TABLES } from "../../lib/kinds/routes/schema";
import { canonicalAddress, familyOf, networkOf, quoted } from "../../lib/kinds/schemas";
import { checkProps, contains, isDeferred, parseCidr, type Intent, type PropertyPath } from "../../lib/synth";
import { backendFindings } from "./backend";
import { bare, hasNetwork } from "./paths";
import { DEAD_AFTER_MS, INTERVAL_MS, type NetAggPairProps, type NetAggPath } from "./props";
import { propsSchema } from "./schema";
import { FIRST_TABLE, LAST_TABLE } from "./tables";

/** What is wrong with the props of one pair, whatever else is in the program. */
export function findingsOfProps(props: NetAggPairProps): readonly Finding[] {
  const later = deferredIn(props).map((path) => ({
    path,
    message: "is known only when other resources are there: a pair needs it while the program runs",
  }));
  if (later.length > 0) return later;
  const read = isObject(props) && props.probes === false ? { ...props, probes: undefined } : props;
  const alone = checkProps(propsSchema, read as unknown as Intent);
  if (alone.length > 0) return alone.map((finding) => withFound(finding, props));
  return [
    ...hosts(props),
    ...props.receiver.paths.flatMap(pathFindings),
    ...between(props.receiver.paths),
    ...times(props),
    ...tables(props),
    ...backendFindings(props),
  ];
}

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;

/** Where plain objects and lists hold what is known only while the program is deployed. */
function deferredIn(value: unknown, path: PropertyPath = []): PropertyPath[] {
  if (isDeferred(value)) return [path];
  if (Array.isArray(value)) return value.flatMap((item, index) => deferredIn(item, [...path, index]));
  if (!isObject(value) || Object.getPrototypeOf(value) !== Object.prototype) return [];
  return Object.entries(value).flatMap(([name, inner]) => deferredIn(inner, [...path, name]));
}

/** Says what was found, too, where the message does not. */
function withFound({ path, message }: Finding, props: unknown): Finding {
  const value = path.reduce<unknown>(
    (inner, segment) => (isObject(inner) ? (inner as Record<string | number, unknown>)[segment] : undefined),
    props,
  );
  const found = shown(value);
  const isTold =
    found === undefined ||
    (typeof value === "string" && message.includes(found)) ||
    message === "there is no such property";
  return { path, message: isTold ? message : `${message}; found ${found}` };
}

function shown(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value === "string") return quoted(value);
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (isObject(value)) return "an object";
  const isPlain = typeof value === "number" || typeof value === "boolean" || value === null;
  return isPlain ? String(value) : `a ${typeof value}`;
}

function hosts({ sender, receiver }: NetAggPairProps): Finding[] {
  if (sender.host.place.host.name !== receiver.host.place.host.name) return [];
  return [{ path: ["receiver", "host"], message: "is the sender's: the paths lead to another host" }];
}

function pathFindings({ address, gateway }: NetAggPath, index: number): Finding[] {
  const at = (property: string, message: string) => [
    { path: ["receiver", "paths", index, property], message },
  ];
  if (gateway === undefined) {
    if (hasNetwork(address)) return [];
    const example = `${bare(address)}/${familyOf(address) === 6 ? 64 : 24}`;
    const lacks = address.includes("/")
      ? `${quoted(address)} is a network of one address, and there is no gateway`
      : "has neither prefix length nor gateway";
    return at(
      "address",
      `${lacks}: how the path leads back is not known; write ${quoted(example)}, or give the path a gateway`,
    );
  }
  const [family, ofGateway] = [familyOf(address), familyOf(gateway)];
  if (family !== ofGateway)
    return at(
      "gateway",
      `is an IPv${ofGateway} address, and the path's is an IPv${family} one; found ${quoted(gateway)}`,
    );
  if (canonicalAddress(gateway) === canonicalAddress(bare(address)))
    return at("gateway", `${gateway} is the path's own address: name the next router`);
  const [network, router] = [parseCidr(address), parseCidr(gateway)];
  const isNeighbour =
    network === undefined || router === undefined || !hasNetwork(address) || contains(network, router);
  // A router of IPv6 is mostly known by its link-local address.
  if (isNeighbour || /^fe[89ab]/i.test(gateway)) return [];
  return at(
    "gateway",
    `${gateway} is not in ${networkOf(address)}, the network of ${quoted(address)}: leave out the prefix length where it is a neighbour all the same`,
  );
}

/** What paths must not have in common, and what they must. */
function between(paths: readonly NetAggPath[]): Finding[] {
  const own = paths.map(({ address }) => canonicalAddress(bare(address)));
  const family = familyOf(own[0] ?? "");
  return own.flatMap((address, index) => {
    const path = ["receiver", "paths", index, "address"];
    const twin = own.indexOf(address);
    if (twin < index)
      return [{ path, message: `${address} is that of receiver.paths[${twin}], too: each path has its own` }];
    const other = familyOf(address);
    if (other === family) return [];
    return [
      { path, message: `${address} is an IPv${other} address, and the first path's is an IPv${family} one` },
    ];
  });
}

function times({ schedule, flowletMs, probes, encapsulated }: NetAggPairProps): Finding[] {
  const findings: Finding[] = [];
  const add = (path: PropertyPath, message: string) => findings.push({ path, message });
  if (flowletMs !== undefined && schedule !== "flowlet")
    add(["flowletMs"], 'is for schedule: "flowlet": set that, too, or leave it out');
  if (probes === false && encapsulated === true)
    add(["encapsulated"], "travels by the port of the probes, and probes: false has none");
  if (probes === undefined || probes === false) return findings;
  const { intervalMs = INTERVAL_MS, deadAfterMs = DEAD_AFTER_MS } = probes;
  if (probes.deadAfterMs !== undefined && deadAfterMs < 2 * intervalMs) {
    const interval = `intervalMs, which is ${intervalMs}${probes.intervalMs === undefined ? " where it is left out" : ""}`;
    add(["probes", "deadAfterMs"], `must be at least twice ${interval}; found ${deadAfterMs}`);
  }
  return findings;
}

function tables({ firstTable: first = FIRST_TABLE, receiver: { paths } }: NetAggPairProps): Finding[] {
  const most = LAST_TABLE + 1 - paths.length;
  const at = (message: string) => [{ path: ["firstTable"], message }];
  if (!Number.isInteger(first) || first < 1 || first > most) {
    return at(
      `must be a whole number from 1 to ${most}, as the rules must come before that of the table main, ${LAST_TABLE + 1}; found ${shown(first)}`,
    );
  }
  const isKernels = first <= TABLES.local && first + paths.length > TABLES.default;
  return isKernels
    ? at(`${first} and what follows is a table of the kernel's own, ${TABLES.default} to ${TABLES.local}`)
    : [];
}
