import type { SubscriberFinding } from "./findings";
import { quoted } from "./findings";
import type { Device, Direction, Plan, Subscriber, SubscriberDevice, SubscriberProps } from "./model";
import { directions, ratesOf } from "./model";
import type { NetworkTree, Where } from "./network-tree";
import {
  idProblem,
  NUMBER_RANGE,
  rangeProblem,
  rateProblem,
  readAddress,
  textProblem,
  wholeProblem,
} from "./values";

/** A subscriber that is not checked yet, and where each part of it was written. */
export interface SubscriberCandidate {
  readonly props: SubscriberProps;
  readonly where: Where;
  /** Where each device was written, when that is not where the subscriber was. */
  readonly deviceWhere?: readonly Where[];
}

type Say = (field: string, message: string | undefined, where?: Where) => void;

function checkPlan(plan: Plan, say: Say): void {
  for (const direction of directions) {
    const { min, max } = ratesOf(plan, direction);
    const problem = rateProblem(max);
    say(`plan.${direction}Max`, problem);
    if (min === undefined) continue;
    say(`plan.${direction}Min`, rateProblem(min));
    if (problem === undefined && min > max) {
      say(`plan.${direction}Min`, `a minimum of ${min} Mbit/s is above the maximum of ${max}`);
    }
  }
  const { latencyMs = 0, jitterMs = 0, lossPercent = 0 } = plan;
  say("plan.latencyMs", rangeProblem(latencyMs, 0, 60_000, " ms"));
  say("plan.jitterMs", rangeProblem(jitterMs, 0, 60_000, " ms"));
  if (jitterMs > latencyMs)
    say("plan.jitterMs", `a jitter of ${jitterMs} ms is more than the latency of ${latencyMs} ms`);
  say("plan.lossPercent", rangeProblem(lossPercent, 0, 100, " %"));
}

function checkDevice(device: Device, owner: string, where: Where, say: Say): SubscriberDevice {
  if (device.id !== owner) say("device.id", idProblem(device.id), where);
  for (const field of ["name", "mac", "comment"] as const) {
    say(`device.${field}`, textProblem(device[field] ?? ""), where);
  }
  const read = (family: 4 | 6, texts: readonly string[] = []) =>
    texts.flatMap((text) => {
      const reading = readAddress(text, family);
      if ("address" in reading) return [reading.address];
      say(`device.ipv${family}`, reading.problem, where);
      return [];
    });
  return {
    id: device.id,
    name: device.name ?? device.id,
    mac: device.mac ?? "",
    ipv4: read(4, device.ipv4),
    ipv6: read(6, device.ipv6),
    comment: device.comment ?? "",
  };
}

/** The device of a subscriber that names only addresses. */
function onlyDevice(props: SubscriberProps): Device {
  const addresses = props.addresses ?? [];
  return {
    id: props.id,
    ipv4: addresses.filter((address) => !address.includes(":")),
    ipv6: addresses.filter((address) => address.includes(":")),
  };
}

function checkClient(client: SubscriberProps["client"], say: Say): SubscriberProps["client"] {
  if (client === undefined) return undefined;
  const { address, fou = false, key } = client;
  if (key !== undefined) say("client.key", wholeProblem(key, 0, 0xffff_ffff));
  if (address === undefined) {
    if (!fou) say("client.address", "a client has an address, or is behind a NAT with fou");
    return { fou, ...(key !== undefined && { key }) };
  }
  const reading = readAddress(address);
  if ("problem" in reading) say("client.address", reading.problem);
  else if (reading.address.includes("/"))
    say("client.address", `${address} is a prefix; a client has one address`);
  return {
    address: "address" in reading ? reading.address : address,
    fou,
    ...(key !== undefined && { key }),
  };
}

/** Checks one subscriber by itself and fills it in. */
function checkOne(
  { props, where, deviceWhere }: SubscriberCandidate,
  findings: SubscriberFinding[],
): Subscriber {
  const say: Say = (field, message, at = where) => {
    if (message !== undefined) findings.push({ ...at(field), message });
  };
  say("id", idProblem(props.id));
  for (const field of ["name", "parentId", "anchorId"] as const) say(field, textProblem(props[field] ?? ""));
  if (props.number !== undefined)
    say("number", wholeProblem(props.number, NUMBER_RANGE.least, NUMBER_RANGE.most));
  checkPlan(props.plan, say);
  if (props.devices !== undefined && props.addresses !== undefined) {
    say("addresses", "the addresses belong to the devices of a subscriber that lists its devices");
  }
  if (props.devices?.length === 0) say("devices", "an empty list of devices; leave it out for one device");
  const devices = (props.devices ?? [onlyDevice(props)]).map((device, index) =>
    checkDevice(device, props.id, deviceWhere?.[index] ?? where, say),
  );
  const client = checkClient(props.client, say);
  return {
    id: props.id,
    name: props.name ?? props.id,
    ...(props.parent !== undefined && { parent: props.parent }),
    ...(props.parentId !== undefined && { parentId: props.parentId }),
    ...(props.anchorId !== undefined && { anchorId: props.anchorId }),
    plan: props.plan,
    ...(props.number !== undefined && { number: props.number }),
    devices,
    ...(client !== undefined && { client }),
  };
}

/** Reports what two subscribers cannot both have: one of these for each sort of thing. */
class Taken<Key> {
  readonly #owner = new Map<Key, { readonly id: string; readonly where: Where; readonly field: string }>();

  constructor(
    private readonly findings: SubscriberFinding[],
    private readonly what: (key: Key) => string,
  ) {}

  /** False when it was somebody's already. */
  claim(key: Key, id: string, where: Where, field: string): boolean {
    const other = this.#owner.get(key);
    if (other === undefined) {
      this.#owner.set(key, { id, where, field });
      return true;
    }
    const of = other.id === id ? "given twice" : `subscriber ${quoted(other.id)}'s`;
    const { row, path = "" } = other.where(other.field);
    const there = row === undefined ? path : `row ${row}`;
    this.findings.push({ ...where(field), message: `${this.what(key)} is ${of} already (${there})` });
    return false;
  }
}

function checkShared(
  candidates: readonly SubscriberCandidate[],
  subscribers: readonly Subscriber[],
  findings: SubscriberFinding[],
): void {
  const ids = new Taken<string>(findings, (id) => `the id ${quoted(id)}`);
  const numbers = new Taken<number>(findings, (number) => `number ${number}`);
  const devices = new Taken<string>(findings, (device) => `device ${quoted(device)}`);
  const addresses = new Taken<string>(findings, (address) => address);
  const tunnels = new Taken<string>(findings, (tunnel) => `a tunnel to ${tunnel}`);
  subscribers.forEach((subscriber, index) => {
    const { where, deviceWhere } = candidates[index] as SubscriberCandidate;
    const { id, client, number } = subscriber;
    const isNew = ids.claim(id, id, where, "id");
    if (number !== undefined) numbers.claim(number, id, where, "number");
    subscriber.devices.forEach((device, at) => {
      const on = deviceWhere?.[at] ?? where;
      // A subscriber that is there twice has its device there twice: one finding is enough.
      if (isNew || device.id !== id) devices.claim(device.id, id, on, "device.id");
      for (const address of device.ipv4) addresses.claim(address, id, on, "device.ipv4");
      for (const address of device.ipv6) addresses.claim(address, id, on, "device.ipv6");
    });
    if (client?.address !== undefined) {
      const key = client.key === undefined ? "without a key" : `with key ${client.key}`;
      const field = client.key === undefined ? "client.address" : "client.key";
      tunnels.claim(`${client.address} ${key}`, id, where, field);
    }
  });
}

/** Where the subscriber hangs, and that what it is promised fits into what is above it. */
function checkPlaces(
  candidates: readonly SubscriberCandidate[],
  subscribers: readonly Subscriber[],
  tree: NetworkTree,
  overcommit: "refuse" | "cap",
  findings: SubscriberFinding[],
): void {
  const promised = new Map<string, Record<Direction, number>>();
  subscribers.forEach(({ parent, plan }, index) => {
    const { where } = candidates[index] as SubscriberCandidate;
    if (parent === undefined) return;
    if (tree.get(parent) === undefined) {
      const hint = tree.nodes.length === 0 ? "; no network tree is given (network.json)" : "";
      findings.push({ ...where("parent"), message: `no node is named ${quoted(parent)}${hint}` });
      return;
    }
    const chain = tree.chain(parent).filter((node) => node.virtual !== true);
    for (const direction of directions) {
      const { min = 0, max } = ratesOf(plan, direction);
      for (const node of chain) {
        const sums = promised.get(node.name) ?? { download: 0, upload: 0 };
        sums[direction] += min;
        promised.set(node.name, sums);
      }
      const narrow = chain.find((node) => max > node[direction]);
      if (narrow === undefined || overcommit === "cap") continue;
      findings.push({
        ...where(`plan.${direction}Max`),
        message: `${max} Mbit/s is above the ${narrow[direction]} ${direction} of ${quoted(narrow.name)}, the node above`,
      });
    }
  });
  if (overcommit === "cap") return;
  for (const node of tree.nodes) {
    const sums = promised.get(node.name);
    for (const direction of directions) {
      // Decimal rates do not add up exactly.
      if (sums === undefined || sums[direction] <= node[direction] + 1e-6) continue;
      const total = Math.round(sums[direction] * 1000) / 1000;
      findings.push({
        message: `the ${direction} minimums below node ${quoted(node.name)} add up to ${total} Mbit/s and it carries ${node[direction]}; lower them`,
      });
    }
  }
}

/** Checks subscribers by themselves, against each other and against the tree. Linear in their number. */
export function checkSubscribers(
  candidates: readonly SubscriberCandidate[],
  tree: NetworkTree,
  overcommit: "refuse" | "cap",
): { readonly subscribers: readonly Subscriber[]; readonly findings: readonly SubscriberFinding[] } {
  const findings: SubscriberFinding[] = [];
  const subscribers = candidates.map((candidate) => checkOne(candidate, findings));
  checkShared(candidates, subscribers, findings);
  checkPlaces(candidates, subscribers, tree, overcommit, findings);
  return { subscribers, findings: findings.sort((a, b) => (a.row ?? 0) - (b.row ?? 0)) };
}
