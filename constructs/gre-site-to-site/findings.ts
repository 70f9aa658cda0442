import type { Finding } from "../../lib/kinds/kind";
import { checkProps, formatCidr, overlaps, parseCidr } from "../../lib/synth";
import type { GreSiteToSiteProps } from "./props";
import { propsSchema } from "./props";
import { DEFAULT_POOL, exception, pairsOf } from "./tunnels";

/** Everything that is wrong with the props apart from the tunnels' subnets. */
export function findingsOfProps(props: GreSiteToSiteProps): readonly Finding[] {
  const {
    sites,
    topology,
    tunnelPool,
    tunnelPrefix,
    key,
    checksum,
    ttl,
    mtu,
    clampMss,
    leakProtection,
    pairs,
  } = props;
  const plain = {
    ...{ topology, tunnelPool, tunnelPrefix, checksum, ttl, mtu, clampMss, leakProtection, pairs },
    key: noFunction(key),
    sites: sites.map(({ host: _h, namespace: _n, tunnelInterface, ...site }) => ({
      ...site,
      tunnelInterface: noFunction(tunnelInterface),
    })),
  };
  return [
    ...checkProps(propsSchema, plain),
    ...names(props),
    ...places(props),
    ...lans(props),
    ...families(props),
    ...interfaces(props),
    ...exceptions(props),
  ];
}

function noFunction(value: unknown): unknown {
  return typeof value === "function" ? undefined : value;
}

function names({ sites, topology }: GreSiteToSiteProps): Finding[] {
  const findings: Finding[] = [];
  sites.forEach(({ name }, index) => {
    const first = sites.findIndex((site) => site.name === name);
    if (first === index) return;
    findings.push({ path: ["sites", index, "name"], message: `sites[${first}] is named ${name} too` });
  });
  if (typeof topology === "object" && !sites.some((site) => site.name === topology.hub)) {
    const known = sites.map((site) => site.name).join(", ");
    findings.push({
      path: ["topology", "hub"],
      message: `there is no site ${topology.hub}: they are ${known}`,
    });
  }
  return findings;
}

function places({ sites }: GreSiteToSiteProps): Finding[] {
  return sites.flatMap(({ name, host, namespace }, index): Finding[] => {
    if (host === undefined && namespace === undefined) {
      return [{ path: ["sites", index, "host"], message: `${name} has neither a host nor a namespace` }];
    }
    const [h, n] = [host?.place.host.name, namespace?.place.host.name];
    if (h === undefined || n === undefined || h === n) return [];
    return [{ path: ["sites", index, "namespace"], message: `is on ${n}, and the site's host is ${h}` }];
  });
}

/** No address is behind two sites, and none is a tunnel's. */
function lans(props: GreSiteToSiteProps): Finding[] {
  const findings: Finding[] = [];
  const all = props.sites.flatMap((site, siteIndex) =>
    site.lans.flatMap((text, index) => {
      const cidr = parseCidr(text);
      return cidr === undefined
        ? []
        : [{ cidr, text, site: site.name, path: ["sites", siteIndex, "lans", index] }];
    }),
  );
  all.forEach(({ cidr, text, path }, index) => {
    const other = all.slice(0, index).find((earlier) => overlaps(earlier.cidr, cidr));
    if (other !== undefined) {
      findings.push({
        path,
        message: `${text} overlaps ${other.text} of ${other.site}; a packet to it has two ways`,
      });
    }
  });
  const pool = parseCidr(props.tunnelPool ?? DEFAULT_POOL);
  const drawn = pairsOf(props).some(([a, b]) => exception(props, a, b)?.pair.tunnelSubnet === undefined);
  const hit = pool === undefined || !drawn ? undefined : all.find(({ cidr }) => overlaps(pool, cidr));
  if (pool !== undefined && hit !== undefined) {
    const message = `${formatCidr(pool)} overlaps ${hit.text} of ${hit.site}; take a pool that no site uses`;
    findings.push({ path: ["tunnelPool"], message });
  }
  (props.pairs ?? []).forEach(({ tunnelSubnet }, index) => {
    const subnet = tunnelSubnet === undefined ? undefined : parseCidr(tunnelSubnet);
    const other = subnet === undefined ? undefined : all.find(({ cidr }) => overlaps(cidr, subnet));
    if (other === undefined) return;
    const message = `${tunnelSubnet} overlaps ${other.text} of ${other.site}`;
    findings.push({ path: ["pairs", index, "tunnelSubnet"], message });
  });
  return findings;
}

/** Both ends of a tunnel are of one family. */
function families(props: GreSiteToSiteProps): Finding[] {
  const index = new Map(props.sites.map((site, i) => [site.name, i]));
  return pairsOf(props).flatMap(([a, b]): Finding[] => {
    const [i, j] = [index.get(a) ?? 0, index.get(b) ?? 0];
    const [one, two] = [props.sites[i]?.wanAddress ?? "", props.sites[j]?.wanAddress ?? ""];
    const [p, q] = [parseCidr(one), parseCidr(two)];
    if (p === undefined || q === undefined || p.family === q.family) return [];
    const message = `${two} of ${b} and ${one} of ${a} are of two families; a tunnel goes over IPv4 or over IPv6`;
    return [{ path: ["sites", j, "wanAddress"], message }];
  });
}

function interfaces(props: GreSiteToSiteProps): Finding[] {
  const pairs = pairsOf(props);
  return props.sites.flatMap(({ name, tunnelInterface }, index): Finding[] => {
    const peers = pairs.filter((pair) => pair.includes(name)).length;
    if (typeof tunnelInterface !== "string" || peers <= 1) return [];
    const message = `one name, and ${name} has ${peers} peers; give a function of the peer's name, or leave it out`;
    return [{ path: ["sites", index, "tunnelInterface"], message }];
  });
}

function exceptions(props: GreSiteToSiteProps): Finding[] {
  const joined = new Set(pairsOf(props).map((pair) => pair.join(" ")));
  const seen = new Set<string>();
  return (props.pairs ?? []).flatMap(({ between }, index): Finding[] => {
    const pair = [...between].sort().join(" ");
    const path = ["pairs", index, "between"];
    if (!joined.has(pair)) return [{ path, message: `no tunnel joins ${between[0]} and ${between[1]}` }];
    if (seen.has(pair)) return [{ path, message: `${between[0]} and ${between[1]} are named twice` }];
    seen.add(pair);
    return [];
  });
}
