import type { Finding } from "../kind";
import { familyOf, isMulticast } from "../schemas";
import { IPV6_MIN_MTU } from "./end";
import { carriesFrames, families, familyOfKind, propertiesOf } from "./families";
import type { SpecificProperty } from "./family";
import { outerIpv6 } from "./outer";
import type { EndSpec, LinkSpec } from "./schema";

/** Devices that the drivers make by themselves in every namespace. */
const MADE_BY_DRIVERS = ["gre0", "gretap0", "erspan0", "tunl0", "sit0", "ip6tnl0", "ip6gre0"];

const at = (message: string, ...path: (string | number)[]): Finding => ({ path, message });

/** What is wrong between the properties of a link. */
export function checkLink(spec: LinkSpec): Finding[] {
  return [
    ...checkBelonging(spec),
    ...checkName(spec),
    ...checkEnd(spec, []),
    ...(spec.peer === undefined ? [] : checkEnd(spec.peer, ["peer"])),
    ...checkPeer(spec),
    ...checkEndpoints(spec),
    ...checkTunnel(spec),
    ...checkLinkNetns(spec),
    ...checkBridge(spec),
  ];
}

const everySpecific = new Set<SpecificProperty>(
  families.flatMap((family) => family.options.flatMap((option) => option.of)),
);

function checkBelonging(spec: LinkSpec): Finding[] {
  const allowed = propertiesOf(spec.kind);
  const strange = [...everySpecific].filter(
    (property) => spec[property] !== undefined && !allowed.has(property),
  );
  const missing = familyOfKind(spec.kind)
    .required(spec)
    .filter((property) => spec[property] === undefined);
  const mac = spec.mac !== undefined && !carriesFrames(spec.kind);
  return [
    ...strange.map((property) => at(`a ${spec.kind} link has no ${property}`, property)),
    ...(mac ? [at(`a ${spec.kind} link has no MAC address: it carries no Ethernet frames`, "mac")] : []),
    ...missing.map((property) => at(`is required for a ${spec.kind} link`, property)),
  ];
}

function checkName({ name, kind, link, master }: LinkSpec): Finding[] {
  const findings: Finding[] = [];
  if (name === "all" || name === "default") {
    findings.push(
      at(`"${name}" stands for every link among the kernel's settings; choose another name`, "name"),
    );
  }
  if (kind !== "physical" && MADE_BY_DRIVERS.includes(name)) {
    findings.push(at(`the kernel's driver makes a ${name} by itself; choose another name`, "name"));
  }
  if (link === name) findings.push(at("a link cannot be above itself", "link"));
  if (master === name) findings.push(at("a link cannot be a port of itself", "master"));
  return findings;
}

function checkEnd({ mtu, addresses = [], sysctls = {} }: EndSpec, path: readonly string[]): Finding[] {
  const findings: Finding[] = [];
  const v6 = addresses.filter((address) => familyOf(address) === 6);
  const small = mtu !== undefined && mtu < IPV6_MIN_MTU;
  if (small && v6[0] !== undefined) {
    findings.push(
      at(`is ${mtu}, and IPv6 needs ${IPV6_MIN_MTU} bytes: raise it or take ${v6[0]} away`, ...path, "mtu"),
    );
  }
  for (const [index, address] of addresses.entries()) {
    const first = addresses.findIndex((other) => familyOf(other) === 6 && hostOf(other) === hostOf(address));
    if (first >= 0 && first !== index) {
      const message = `${hostOf(address)} is listed with another prefix length: a link has an IPv6 address once`;
      findings.push(at(message, ...path, "addresses", index));
    }
    if (isMulticast(hostOf(address))) {
      findings.push(
        at(`${address} is a multicast address, which no link can have`, ...path, "addresses", index),
      );
    }
  }
  if (v6[0] !== undefined && sysctls["ipv6/disable_ipv6"] === "1") {
    findings.push(at(`IPv6 is disabled, and ${v6[0]} is wanted`, ...path, "sysctls", "ipv6/disable_ipv6"));
  }
  const ipv6Setting = Object.keys(sysctls).find((name) => name.startsWith("ipv6/"));
  if (small && ipv6Setting !== undefined) {
    findings.push(
      at(
        `a link of ${mtu} bytes has no IPv6 (${IPV6_MIN_MTU} at least), nor this setting`,
        ...path,
        "sysctls",
        ipv6Setting,
      ),
    );
  }
  return findings;
}

const hostOf = (address: string) => address.split("/", 1)[0] ?? "";

function checkPeer({ kind, netns, name, peer }: LinkSpec): Finding[] {
  if (kind !== "veth" || peer === undefined) return [];
  const findings: Finding[] = [];
  if (peer.netns === netns && peer.name === name) {
    findings.push(at(`both ends are called ${name} in the same namespace`, "peer", "name"));
  }
  if (peer.master !== undefined && peer.master === peer.name) {
    findings.push(at("a link cannot be a port of itself", "peer", "master"));
  }
  if (peer.name === "all" || peer.name === "default") {
    findings.push(at(`"${peer.name}" stands for every link; choose another name`, "peer", "name"));
  }
  return findings;
}

const eitherFamily = ["geneve", "vxlan"];

function checkEndpoints(spec: LinkSpec): Finding[] {
  const { kind, local = "any", remote = "any" } = spec;
  const findings: Finding[] = [];
  const ends = { local, remote };
  if (propertiesOf(kind).has("remote") && !eitherFamily.includes(kind)) {
    const family = outerIpv6(kind) ? 6 : 4;
    for (const [end, address] of Object.entries(ends)) {
      if (address === "any" || familyOf(address) === family) continue;
      const other = family === 4 ? "ip6gre" : "gre";
      const hint = kind.includes("gre") ? `: write ${kind.endsWith("tap") ? `${other}tap` : other}` : "";
      const message = `${address} is an IPv${familyOf(address) ?? "?"} address, and ${kind} goes over IPv${family}${hint}`;
      findings.push(at(message, end));
    }
  } else if (local !== "any" && remote !== "any" && familyOf(local) !== familyOf(remote)) {
    findings.push(at(`${local} and ${remote} are not of one family`, "local"));
  }
  if (local !== "any" && local === remote) findings.push(at("both ends have the same address", "remote"));
  if (local !== "any" && isMulticast(local)) findings.push(at(`${local} is a multicast address`, "local"));
  if (kind !== "vxlan" && isMulticast(remote)) {
    findings.push(at(`${remote} is a multicast group: of the tunnels only vxlan takes one`, "remote"));
  }
  if (kind === "geneve" && remote === "any" && spec.remote !== undefined && spec.external !== true) {
    findings.push(at("geneve has one other end, or external: true", "remote"));
  }
  if (kind === "vxlan" && isMulticast(remote) && spec.link === undefined) {
    findings.push(at(`the multicast group ${remote} needs the link to reach it by`, "link"));
  }
  return findings;
}

/** What the link itself does not have when `external` is true. */
const COMES_WITH_PACKETS = [
  "local",
  "remote",
  "vni",
  "key",
  "inputKey",
  "outputKey",
  "checksum",
  "sequence",
  "ttl",
  "tos",
  "pathMtuDiscovery",
  "encapLimit",
  "learning",
] as const;

function checkTunnel(spec: LinkSpec): Finding[] {
  const findings: Finding[] = [];
  const { kind, key, ttl, encap, mtu } = spec;
  if (kind === "sit" && mtu !== undefined && mtu < IPV6_MIN_MTU) {
    findings.push(at(`is ${mtu}, and sit carries IPv6, which needs ${IPV6_MIN_MTU} bytes`, "mtu"));
  }
  if (key !== undefined && key !== "none") {
    for (const one of ["inputKey", "outputKey"] as const) {
      if (typeof spec[one] === "number") findings.push(at("key is for both directions: give either", one));
    }
  }
  if (spec.external === true) {
    const told = COMES_WITH_PACKETS.filter(
      (property) => spec[property] !== undefined && spec[property] !== "any" && spec[property] !== "none",
    );
    findings.push(...told.map((property) => at("comes with each packet, since external is true", property)));
  }
  if (ttl === "auto" && !eitherFamily.includes(kind)) {
    findings.push(at(`"auto" is for geneve and vxlan: write 1 to 255 or "inherit"`, "ttl"));
  }
  if (["ipip", "sit"].includes(kind) && spec.pathMtuDiscovery === false && typeof ttl === "number") {
    findings.push(
      at(`${kind} with a fixed ttl always does path MTU discovery (ip-link(8))`, "pathMtuDiscovery"),
    );
  }
  if (encap !== undefined && encap.type !== "none" && encap.destinationPort === undefined) {
    findings.push(at("is required: the port that the other side receives on", "encap", "destinationPort"));
  }
  return findings;
}

function checkLinkNetns({ netns, linkNetns, link }: LinkSpec): Finding[] {
  if (linkNetns === undefined) return [];
  const findings: Finding[] = [];
  if (linkNetns === (netns ?? "")) {
    findings.push(at("is the link's own namespace: leave it out", "linkNetns"));
  } else if (netns === undefined) {
    const message = "the initial namespace has no name to send a link to: put the link into a namespace";
    findings.push(at(message, "linkNetns"));
  }
  if (link !== undefined) {
    findings.push(at("is in another namespace, where the link's changes cannot name it", "link"));
  }
  return findings;
}

function checkBridge({ stp, forwardDelay }: LinkSpec): Finding[] {
  if (stp !== true || forwardDelay === undefined || forwardDelay >= 200) return [];
  return [at(`is ${forwardDelay}, and with stp it is 200 to 3000 hundredths of a second`, "forwardDelay")];
}
