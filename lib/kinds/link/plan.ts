import { familyOf } from "../schemas";
import type { PlanContext } from "../kind";
import type { Step } from "../step";
import { changeEnd, finishEnd, ip, newEndWords, type Place } from "./end";
import { familyOfKind } from "./families";
import { changeLines, createWords, differs } from "./family";
import type { LinkSpec, PeerSpec } from "./schema";
import { transit } from "./transit";

/** The steps from one state of a link to another. */
export function planLink(
  current: LinkSpec | undefined,
  desired: LinkSpec | undefined,
  { owner }: PlanContext,
): Step[] {
  if (desired === undefined) return current === undefined ? [] : remove(current);
  if (current === undefined) return create(desired, owner);
  if (desired.kind === "physical") return change(current, desired, []);
  const lines = mustBeMadeAgain(current, desired)
    ? "again"
    : changeLines(familyOfKind(desired.kind), current, desired);
  return lines === "again"
    ? [...remove(current), ...create(desired, owner)]
    : change(current, desired, lines);
}

const placeOf = ({ netns, name }: { netns?: string | undefined; name: string }): Place => ({ netns, name });

/** A physical link is not ours to remove: the provider puts back what it was. */
function remove(current: LinkSpec): Step[] {
  return current.kind === "physical" ? [] : [ip(current, "link", "del", "dev", current.name)];
}

/**
 * Whether the kernel can only make it again, apart from what the options of its kind say.
 *
 * @throws Error when what is there is not ours to replace.
 */
function mustBeMadeAgain(current: LinkSpec, desired: LinkSpec): boolean {
  // What was found is one on its way to its namespace.
  if (current.name !== desired.name || current.netns !== desired.netns) return true;
  if (current.kind !== desired.kind) {
    if (current.kind !== "physical") return true;
    throw new Error(
      `${desired.name} is there and is no ${desired.kind} link: a link of this name that netloom does not make ` +
        `cannot be replaced; choose another name, or kind "physical" to configure it as it is`,
    );
  }
  // drivers/net/ifb.c has no way to set an address later.
  if (desired.kind === "ifb" && differs(current, desired, "mac")) return true;
  if (desired.kind !== "veth" || desired.peer === undefined) return false;
  const { peer } = current;
  // An end cannot be sent into a namespace without a name; one that was taken elsewhere cannot be found.
  return peer === undefined || (peer.netns !== desired.peer.netns && desired.peer.netns === undefined);
}

/** @throws Error for a physical link that is not there. */
function create(desired: LinkSpec, owner: string): Step[] {
  if (desired.kind === "physical") {
    const where = desired.netns === undefined ? "" : ` in netns ${desired.netns}`;
    throw new Error(
      `there is no link ${desired.name}${where}: a physical link is configured and never made; ` +
        `look at \`ip link\` for its name, or choose the kind of link that is to be made`,
    );
  }
  const own = finishEnd(placeOf(desired), desired, owner);
  if (desired.kind !== "veth" || desired.peer === undefined) {
    const words = [
      ...newEndWords(desired),
      "type",
      desired.kind,
      ...createWords(familyOfKind(desired.kind), desired),
    ];
    const below = desired.kind === "vlan" && desired.link !== undefined ? ["link", desired.link] : [];
    const start = transit(desired);
    if (start !== undefined && desired.netns !== undefined) {
      const { netns, name } = desired;
      return [
        ip(start, "link", "add", "name", start.name, ...words),
        ip(start, "link", "set", "dev", start.name, "netns", netns, "name", name),
        ...own.steps,
        ...own.late,
      ];
    }
    return [ip(desired, "link", "add", ...below, "name", desired.name, ...words), ...own.steps, ...own.late];
  }
  const other = finishEnd(placeOf(desired.peer), desired.peer);
  return [addPair(desired, desired.peer), ...own.steps, ...other.steps, ...own.late, ...other.late];
}

/**
 * Makes a veth pair with each end in its own namespace at once. The initial namespace has no name to send an end
 * to, so a pair with one end there is made from there.
 */
function addPair(spec: LinkSpec, peer: PeerSpec): Step {
  const queues = [
    ...(spec.rxQueues === undefined ? [] : ["numrxqueues", String(spec.rxQueues)]),
    ...(spec.txQueues === undefined ? [] : ["numtxqueues", String(spec.txQueues)]),
  ];
  const index = spec.index === undefined ? [] : ["index", String(spec.index)];
  const one = { netns: spec.netns, words: [...index, "name", spec.name, ...newEndWords(spec), ...queues] };
  const two = { netns: peer.netns, words: ["name", peer.name, ...newEndWords(peer), ...queues] };
  const [here, there] = peer.netns === undefined ? [two, one] : [one, two];
  const into = there.netns === undefined || there.netns === here.netns ? [] : ["netns", there.netns];
  return ip(here, "link", "add", ...here.words, "type", "veth", "peer", ...there.words, ...into);
}

function change(current: LinkSpec, desired: LinkSpec, lines: readonly (readonly string[])[]): Step[] {
  const typed = lines.map((words) => ["type", desired.kind, ...words]);
  const own = changeEnd(placeOf(desired), current, desired, typed, familyOfKind(desired.kind).mtuApart);
  if (desired.kind !== "veth" || desired.peer === undefined || current.peer === undefined) {
    return [...own.steps, ...own.late];
  }
  const moved = movePeer(current.peer, desired.peer);
  const other = changeEnd(placeOf(desired.peer), moved.peer, desired.peer);
  return [...moved.steps, ...own.steps, ...other.steps, ...own.late, ...other.late];
}

/** Brings the other end to its namespace and name, and says what is left of it there. */
function movePeer(current: PeerSpec, desired: PeerSpec): { steps: Step[]; peer: PeerSpec } {
  const { netns, name } = desired;
  const place = placeOf(current);
  if (current.netns !== netns && netns !== undefined) {
    // The kernel takes it down, and its addresses, master and settings away.
    return {
      steps: [ip(place, "link", "set", "dev", current.name, "netns", netns, "name", name)],
      peer: { ...travelling(current), name, netns, up: false, addresses: [], master: "", sysctls: {} },
    };
  }
  if (current.name === name) return { steps: [], peer: current };
  const rename = ip(place, "link", "set", "dev", current.name, "name", name);
  if (!current.up) return { steps: [rename], peer: { ...current, name } };
  // Kernels before 6.3 rename only what is down, and going down costs the IPv6 addresses.
  const { addresses } = current;
  const ipv4 = addresses && { addresses: addresses.filter((address) => familyOf(address) === 4) };
  return {
    steps: [ip(place, "link", "set", "dev", current.name, "down"), rename],
    peer: { ...current, name, up: false, ...ipv4 },
  };
}

/** What of an end travels with it. */
const travelling = ({ mtu, mac }: PeerSpec) => ({
  ...(mtu !== undefined && { mtu }),
  ...(mac !== undefined && { mac }),
});
