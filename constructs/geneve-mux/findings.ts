import type { Finding } from "../../lib/kinds/kind";
import { contains, parseCidr } from "../../lib/synth";
import { checkProps } from "../../lib/synth";
import {
  carriesIp,
  isIp,
  nameOf,
  optionBytes,
  outerFamily,
  overheadOf,
  peerOf,
  popKeys,
  pushKeys,
} from "./ends";
import type { GeneveMuxProps, MuxTunnel } from "./props";
import { muxSchema } from "./schema";

/** What is wrong with the props of a GeneveMux. */
export function findingsOfProps(props: GeneveMuxProps): readonly Finding[] {
  const own = Object.keys(muxSchema.shape).map((name): [string, unknown] => [
    name,
    props[name as keyof GeneveMuxProps],
  ]);
  const alone = checkProps(muxSchema, Object.fromEntries(own.filter(([, value]) => value !== undefined)));
  if (alone.length > 0) return alone;
  return [
    ...props.tunnels.flatMap((tunnel, nth) =>
      tunnelProblems(tunnel, props).map(([property, message]) => ({
        path: ["tunnels", nth, ...property],
        message,
      })),
    ),
    ...clashes(props),
    ...(props.nestedPrefixes === true ? [] : nested(props)),
  ];
}

type Problem = readonly [property: readonly (string | number)[], message: string];

function tunnelProblems(tunnel: MuxTunnel, props: GeneveMuxProps): Problem[] {
  const problems: Problem[] = [];
  const add = (property: readonly (string | number)[], message: string) => problems.push([property, message]);
  const { macs = {}, redirect = true, direction = "both" } = tunnel;
  const link = nameOf(tunnel.interface);
  if (link === nameOf(props.uplink)) add(["interface"], `is ${link}, the uplink: a tunnel joins two links`);
  if (macs.outerSource !== undefined && macs.outerDestination === undefined)
    add(["macs", "outerSource"], "is for a next hop that is named: set outerDestination, too");
  if (!redirect && macs.outerDestination !== undefined)
    add(
      ["macs", "outerDestination"],
      "is for redirected frames: the host's own stack finds the next hop by itself",
    );
  if (carriesIp(tunnel) && (macs.innerDestination ?? macs.innerSource) !== undefined)
    add(["macs"], `has inner addresses, and this ${tunnel.protocol} carries IP packets without a frame`);
  if (carriesIp(tunnel) && macs.delivered === "keep")
    add(["macs", "delivered"], 'is "keep", and there is no inner frame: leave it out, or name an address');
  const needsPeer = redirect && direction !== "push" && peerOf(tunnel) === undefined;
  if (needsPeer && (macs.delivered ?? (tunnel.select || carriesIp(tunnel) ? "peer" : "keep")) === "peer")
    add(
      ["interface"],
      `is ${link}, of which the program does not know whose MAC address frames are delivered to: ` +
        "give an end of a VethPair, peer, or macs.delivered",
    );
  if (!isIp(tunnel)) {
    if (macs.outerDestination !== undefined) add(["macs", "outerDestination"], "a tag has no outer frame");
    return problems;
  }
  if (outerFamily(tunnel) !== outerFamily({ ...tunnel, local: tunnel.remote }))
    add(["remote"], `${tunnel.remote} is not of the family of local ${tunnel.local}`);
  if (tunnel.protocol === "geneve") {
    const bytes = optionBytes(tunnel.options).length / 2;
    if (bytes > 64) add(["options"], `have ${bytes} bytes with their headers, and there is room for 64`);
  }
  const outer = tunnel.mtu ?? props.underlayMtu ?? 1500;
  if (outer - overheadOf(tunnel) < 68)
    add(
      ["mtu"],
      `${outer} leaves less than 68 bytes for the packet inside: the headers take ${overheadOf(tunnel)}`,
    );
  return problems;
}

/** Names and keys that two tunnels have. */
function clashes({ tunnels }: GeneveMuxProps): Finding[] {
  const findings: Finding[] = [];
  const claim = (taken: Map<string, string>, key: string, name: string) => {
    const other = taken.get(key);
    taken.set(key, other ?? name);
    return other;
  };
  const [names, keys] = [new Map<string, string>(), new Map<string, string>()];
  for (const [nth, tunnel] of tunnels.entries()) {
    const { name, direction = "both" } = tunnel;
    const add = (property: string, message: string) =>
      findings.push({ path: ["tunnels", nth, property], message });
    if (claim(names, name, `tunnels[${nth}]`) !== undefined)
      add("name", `${name} is another tunnel's name already`);
    const link = nameOf(tunnel.interface);
    for (const key of direction === "pop" ? [] : pushKeys(tunnel)) {
      const other = claim(keys, `${link} ${key}`, name);
      if (other === undefined) continue;
      if (key === "all")
        add("select", `takes everything of ${link}, and ${other} does, too: say what each selects`);
      else add("select", `${key} on ${link} is selected by ${other} already`);
    }
    for (const key of direction === "push" ? [] : popKeys(tunnel)) {
      const other = claim(keys, `uplink ${key}`, name);
      if (other !== undefined) add(keyProperty(tunnel), `${key} is what ${other} is known by already`);
    }
  }
  return findings;
}

function keyProperty(tunnel: MuxTunnel): string {
  if ("vni" in tunnel) return "vni";
  if ("vlanId" in tunnel) return "vlanId";
  return tunnel.protocol === "gre" && tunnel.key !== undefined ? "key" : "remote";
}

/** Prefixes of one interface that lie inside another tunnel's. */
function nested({ tunnels }: GeneveMuxProps): Finding[] {
  const all = tunnels.flatMap((tunnel, nth) =>
    tunnel.direction === "pop"
      ? []
      : (tunnel.select?.destinations ?? []).flatMap((text, at) => {
          const prefix = text.includes("/") ? parseCidr(text) : undefined;
          return prefix === undefined
            ? []
            : [{ nth, at, text, prefix, name: tunnel.name, link: nameOf(tunnel.interface) }];
        }),
  );
  return all.flatMap((one) => {
    const around = all.find(
      (other) =>
        other.name !== one.name &&
        other.link === one.link &&
        other.prefix.family === one.prefix.family &&
        other.prefix.prefix < one.prefix.prefix &&
        contains(other.prefix, one.prefix),
    );
    if (around === undefined) return [];
    const message = `${one.text} lies inside ${around.text} of ${around.name}: set nestedPrefixes if the longer is meant to win`;
    return [{ path: ["tunnels", one.nth, "select", "destinations", one.at], message }];
  });
}
