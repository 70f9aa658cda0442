import type { z } from "zod";
import type { Finding } from "../../../lib/kinds/kind";
import { checkProps, parseCidr, type Place } from "../../../lib/synth";
import { endpointsOf, ownAddressesOf } from "./ends";
import { isInside } from "./namespace";
import { schemas, type ClientRoutingProps } from "./props";
import { listOf, versionOf, versionsOf, type IpVersion } from "./way";

const label = (versions: readonly IpVersion[]) => versions.map((version) => `IPv${version}`).join(" and ");

/** Everything that is wrong with the props by themselves. */
export function findingsOfProps(props: ClientRoutingProps, place: Place | undefined): readonly Finding[] {
  const schema = (schemas as Readonly<Record<string, z.ZodObject>>)[props.mode];
  if (schema === undefined) {
    const known = Object.keys(schemas).join(", ");
    return [{ path: ["mode"], message: `is ${JSON.stringify(props.mode)}; it is one of ${known}` }];
  }
  const { tunnel, ...rest } = props;
  const findings = [...checkProps(schema, rest)];
  if (findings.length > 0) return findings;
  findings.push(...where(props, place), ...versions(props));
  switch (props.mode) {
    case "default": {
      if (endpointsOf(props).length === 0) {
        const message = "is required: the tunnel's other end, which must not be looked for inside the tunnel";
        findings.push({ path: ["endpoint"], message });
      }
      // A host that is this machine has nobody on the way in.
      if (place?.host.address !== undefined && ownAddressesOf(props, place.host.address).length === 0) {
        const message =
          "is required: the host's own address as it knows it, so that whoever comes in from outside is answered";
        findings.push({ path: ["ownAddresses"], message });
      }
      if (props.uplink === tunnel.link.name)
        findings.push({ path: ["uplink"], message: "is the tunnel itself" });
      return findings;
    }
    case "networks":
      if (props.destinations === undefined && props.sources === undefined) {
        findings.push({
          path: ["destinations"],
          message: "is required, or sources: which networks use the tunnel?",
        });
      }
      return findings;
    case "docker":
      return [...findings, ...subnetFindings("subnet", props.subnet, 4, 29)];
    case "namespace":
      if (tunnel.link.place?.netns === undefined && props.subnet === undefined) {
        const message =
          "is required for a tunnel that is not inside a namespace: the two addresses of the cable to the one that is made";
        findings.push({ path: ["subnet"], message });
      }
      return props.subnet === undefined
        ? findings
        : [...findings, ...subnetFindings("subnet", props.subnet, 4, 30)];
    case "application": {
      if (props.slice !== undefined && place?.netns !== undefined) {
        const message = "is systemd's, which works in the host's initial namespace: use users here";
        findings.push({ path: ["slice"], message });
      }
      if (props.mark !== undefined && props.slice === undefined) {
        findings.push({ path: ["mark"], message: "belongs to slice: leave it out" });
      }
      return findings;
    }
  }
}

/** The rules are where the tunnel is; only the mode `namespace` takes one that is elsewhere. */
function where(props: ClientRoutingProps, place: Place | undefined): Finding[] {
  const { tunnel } = props;
  const there = tunnel.link.place;
  if (place === undefined)
    return [{ path: [], message: "is on no host: create it inside a Host or Namespace" }];
  if (there === undefined || there.host.name !== place.host.name) {
    return [{ path: ["tunnel"], message: `${tunnel.link.name} is not on ${place.host.name}` }];
  }
  if (there.netns === place.netns || (props.mode === "namespace" && isInside(props))) return [];
  const inside = there.netns === undefined ? "the initial namespace" : `namespace ${there.netns}`;
  return [
    { path: ["tunnel"], message: `${tunnel.link.name} is in ${inside}: create this construct there, too` },
  ];
}

/** Addresses of a version of IP that is not led into the tunnel would silently do nothing. */
function versions(props: ClientRoutingProps): Finding[] {
  const used = versionsOf(props);
  const findings: Finding[] = [];
  const check = (property: string, addresses: string | readonly string[] | undefined) =>
    listOf(addresses).forEach((address, index) => {
      if (used.includes(versionOf(address))) return;
      const path = Array.isArray(addresses) ? [property, index] : [property];
      const message = `${address} is IPv${versionOf(address)}, and only ${label(used)} uses the tunnel: see ipVersions`;
      findings.push({ path, message });
    });
  if (props.mode === "networks") {
    check("destinations", props.destinations);
    check("sources", props.sources);
    for (const version of [...new Set((props.sources ?? []).map(versionOf))]) {
      const reached = props.destinations?.some((network) => versionOf(network) === version) ?? true;
      if (!reached) {
        const message = `hold no IPv${version} network, and sources do`;
        findings.push({ path: ["destinations"], message });
      }
    }
  }
  if (props.mode === "docker") {
    check("subnet6", props.subnet6);
    if (used.includes(6) && props.subnet6 === undefined)
      findings.push({ path: ["subnet6"], message: "is required where IPv6 uses the tunnel" });
  }
  if (props.mode === "namespace" && props.subnet !== undefined && used.includes(6)) {
    const message = "has IPv6, and the cable to a namespace that is made has IPv4 alone";
    findings.push({ path: ["ipVersions"], message });
  }
  return findings;
}

function subnetFindings(property: string, subnet: string, family: IpVersion, longest: number): Finding[] {
  const cidr = parseCidr(subnet);
  if (cidr === undefined) return [];
  if (cidr.family !== family) return [{ path: [property], message: `${subnet} is no IPv${family} subnet` }];
  if (cidr.prefix <= longest) return [];
  return [{ path: [property], message: `${subnet} is smaller than a /${longest}` }];
}
