import type { Finding } from "../kind";
import { isHook } from "./filters";
import type { ShapingSpec } from "./schema";
import { majorOf, minorOf } from "./units";

/** HTB's levels, TC_HTB_MAXDEPTH of the kernel's pkt_sched.h. */
const MAX_DEPTH = 8;

/** What cannot be, or would not shape, in a tree. */
export function checkShaping(spec: ShapingSpec): Finding[] {
  return [...classFindings(spec), ...qdiscFindings(spec), ...netemFindings(spec), ...filterFindings(spec)];
}

/** The kernel refuses it (check_netem_in_tree of net/sched/sch_netem.c): copies would multiply without end. */
function netemFindings({ root, qdiscs }: ShapingSpec): Finding[] {
  const copies = (one: ShapingSpec["root"] | ShapingSpec["qdiscs"][number]) =>
    one.kind === "netem" && one.duplicatePercent > 0;
  const netems = [root, ...qdiscs].filter(({ kind }) => kind === "netem");
  const message = "a netem that duplicates packets must be the only netem of the link";
  if (netems.length < 2 || !netems.some(copies)) return [];
  if (copies(root)) return [{ path: ["root", "duplicatePercent"], message }];
  return [{ path: ["qdiscs", qdiscs.findIndex(copies), "duplicatePercent"], message }];
}

function classFindings({ root, classes, minors }: ShapingSpec): Finding[] {
  if (root.kind !== "htb") {
    return classes.length === 0
      ? []
      : [{ path: ["classes"], message: `a root of ${root.kind} has no classes: only htb has` }];
  }
  const findings: Finding[] = [];
  const known = new Map(classes.map((one) => [one.classid, one]));
  const seen = new Set<string>();
  classes.forEach(({ classid, parent, rate, ceil }, index) => {
    const at = (property: string, message: string) =>
      findings.push({ path: ["classes", index, property], message });
    if (seen.has(classid)) at("classid", `there are two classes ${classid}`);
    seen.add(classid);
    if (majorOf(classid) !== majorOf(root.handle))
      at("classid", `${classid} is no class of ${root.handle}: its first part must be the root's`);
    if (minorOf(classid) < minors.first || minorOf(classid) > minors.last)
      at("classid", `${classid} is outside of the tree's minor numbers`);
    const above = known.get(parent);
    if (parent !== root.handle && above === undefined)
      at("parent", `there is no class ${parent}; the root is ${root.handle}`);
    if (rate > ceil) at("rate", `${rate} bit/s are held, and the class gets at most ${ceil} (ceil)`);
    if (above !== undefined && ceil > above.ceil)
      at("ceil", `${ceil} bit/s are more than the ${above.ceil} of the class above, ${parent}`);
    const depth = depthOf(classid);
    if (depth === Infinity) at("parent", `${classid} is below itself`);
    else if (depth > MAX_DEPTH) at("parent", `is on level ${depth}, and HTB has ${MAX_DEPTH}`);
  });
  if (root.defaultClass !== undefined && majorOf(root.defaultClass) !== majorOf(root.handle)) {
    findings.push({
      path: ["root", "defaultClass"],
      message: `${root.defaultClass} is no class of ${root.handle}`,
    });
  }
  return findings;

  function depthOf(id: string): number {
    let depth = 0;
    for (let at = known.get(id); at !== undefined; at = known.get(at.parent))
      if (++depth > classes.length) return Infinity;
    return depth;
  }
}

function qdiscFindings({ root, classes, qdiscs }: ShapingSpec): Finding[] {
  const findings: Finding[] = [];
  const handles = new Map([[root.handle, "the root"]]);
  const places = new Set<string>();
  const inner = new Set(classes.map(({ parent }) => parent));
  const leaves = new Set(classes.map(({ classid }) => classid));
  const handlesOfAll = new Set([root.handle, ...qdiscs.map(({ handle }) => handle)]);
  qdiscs.forEach(({ parent, handle }, index) => {
    const at = (property: string, message: string) =>
      findings.push({ path: ["qdiscs", index, property], message });
    if (handles.has(handle)) at("handle", `${handle} is the number of ${handles.get(handle)} already`);
    handles.set(handle, `the qdisc of ${parent}`);
    if (places.has(parent)) at("parent", `there are two qdiscs below ${parent}`);
    places.add(parent);
    if (inner.has(parent)) at("parent", `${parent} has classes below it: only a class without has a qdisc`);
    const above = `${majorOf(parent).toString(16)}:`;
    if (root.kind === "htb" && above === root.handle) {
      if (!leaves.has(parent)) at("parent", `there is no class ${parent}`);
    } else if (!handlesOfAll.has(above)) at("parent", `there is no qdisc ${above}`);
    else if (above === handle) at("parent", `${handle} is below itself`);
  });
  return findings;
}

function filterFindings({ root, filters, clsact }: ShapingSpec): Finding[] {
  const findings: Finding[] = [];
  const protocols = new Map<string, string>();
  const seen = new Set<string>();
  filters.forEach((filter, index) => {
    const at = (property: string, message: string) =>
      findings.push({ path: ["filters", index, property], message });
    const { parent, protocol, pref, handle, source, destination, ipProtocol } = filter;
    const same = `${parent} ${pref}`;
    if (seen.has(`${same} ${handle}`)) at("handle", `there are two filters ${handle} of pref ${pref}`);
    seen.add(`${same} ${handle}`);
    if ((protocols.get(same) ?? protocol) !== protocol)
      at("protocol", `filters of pref ${pref} are of ${protocols.get(same)}: one pref has one protocol`);
    protocols.set(same, protocols.get(same) ?? protocol);
    if (isHook(parent) && clsact !== true) at("parent", `${parent} needs clsact: true`);
    if (!isHook(parent) && (root.kind !== "htb" || parent !== root.handle))
      at("parent", `there is no qdisc ${parent} with classes; the root is ${root.handle}`);
    for (const [property, address] of Object.entries({ source, destination })) {
      if (address !== undefined && address.includes(":") !== (protocol === "ipv6"))
        at(property, `${address} is no address of protocol ${protocol}`);
    }
    const ports = filter.sourcePort ?? filter.destinationPort;
    if (ports !== undefined && !["tcp", "udp", "sctp"].includes(ipProtocol ?? ""))
      at("ipProtocol", "ports need tcp, udp or sctp");
  });
  return findings;
}
