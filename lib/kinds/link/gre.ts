import { flag, option, type Family, type LinkOption } from "./family";
import { keyNumber, numberOf, type InfoData } from "./iproute";
import * as outer from "./outer";
import type { LinkSpec, PartialLink } from "./schema";

/** GRE over IPv4 and IPv6, for packets and for Ethernet frames: RFC 2784, 2890 and 7676; net/ipv4/ip_gre.c. */

type Key = number | "none" | undefined;

interface Keys {
  readonly input: Key;
  readonly output: Key;
}

/** The keys of both directions, however they are given; undefined for one that is not looked at. */
export function keysOf({ key, inputKey, outputKey }: PartialLink): Keys {
  if (typeof key === "number") return { input: key, output: key };
  return { input: inputKey ?? key, output: outputKey ?? key };
}

function wantedKeys(current: LinkSpec, desired: LinkSpec): Keys {
  const there = keysOf(current);
  const wanted = keysOf(desired);
  return { input: wanted.input ?? there.input, output: wanted.output ?? there.output };
}

const isKey = (key: Key): key is number => typeof key === "number";

const keyOption: LinkOption = {
  of: ["key", "inputKey", "outputKey"],
  create(spec) {
    const { input, output } = keysOf(spec);
    if (isKey(input) && input === output) return ["key", String(input)];
    return [
      ...(isKey(input) ? ["ikey", String(input)] : []),
      ...(isKey(output) ? ["okey", String(output)] : []),
    ];
  },
  change(_merged, current, desired) {
    const { input, output } = wantedKeys(current, desired);
    if (input === output) return isKey(input) ? ["key", String(input)] : ["nokey"];
    return [
      ...(isKey(input) ? ["ikey", String(input)] : ["noikey"]),
      ...(isKey(output) ? ["okey", String(output)] : ["nookey"]),
    ];
  },
  differs(current, desired) {
    const [there, wanted] = [keysOf(current), wantedKeys(current, desired)];
    return there.input !== wanted.input || there.output !== wanted.output;
  },
};

const checksum = flag("checksum", "csum", "nocsum", false);
const sequence = flag("sequence", "seq", "noseq", false);

/** Keys in the form that the program uses: one for both directions, or one for each. */
function parseKeys(data: InfoData, wanted: PartialLink): PartialLink {
  const input = keyNumber(data.ikey) ?? "none";
  const output = keyNumber(data.okey) ?? "none";
  const apart = isKey(wanted.inputKey) || isKey(wanted.outputKey) || input !== output;
  return apart
    ? { key: "none", inputKey: input, outputKey: output }
    : { key: input, inputKey: "none", outputKey: "none" };
}

/** A flag of both directions; undefined, which agrees with nothing, when they differ. */
function both(data: InfoData, input: string, output: string): boolean | undefined {
  const [i, o] = [data[input] === true, data[output] === true];
  return i === o ? i : undefined;
}

function parseGre(data: InfoData, wanted: PartialLink): PartialLink {
  if (data.external === true) return {};
  const [sums, numbers] = [both(data, "icsum", "ocsum"), both(data, "iseq", "oseq")];
  return {
    ...parseKeys(data, wanted),
    ...(sums !== undefined && { checksum: sums }),
    ...(numbers !== undefined && { sequence: numbers }),
  };
}

/** Bytes of the GRE header: 4, and 4 for each of key, checksum and sequence number (net/gre.h). */
function greHeader(spec: LinkSpec): number {
  const { output } = keysOf(spec);
  return 4 + 4 * [isKey(output), spec.checksum, spec.sequence].filter(Boolean).length;
}

const ethernetHeader = ({ kind }: LinkSpec) => (kind === "gretap" || kind === "ip6gretap" ? 14 : 0);

const required = ({ external }: LinkSpec) => (external === true ? [] : (["remote"] as const));

/** `gre` and `gretap`. */
export const gre: Family = {
  kinds: ["gre", "gretap"],
  options: [
    outer.externalOption,
    outer.localOption,
    outer.remoteOption,
    keyOption,
    checksum,
    sequence,
    outer.ttlOption,
    outer.tosOption,
    outer.pathMtuOption,
    outer.underlayOption,
    outer.linkNetnsOption,
    outer.encapOption,
  ],
  required,
  parse: (data, link, wanted) => ({
    ...outer.parseOuterV4(link.linkinfo?.info_kind ?? "gre", data),
    ...parseGre(data, wanted),
  }),
  overhead: (spec) => 20 + greHeader(spec) + ethernetHeader(spec) + outer.encapOverhead(spec),
};

/** Unless it is told otherwise a new ip6gre has an encapsulation limit, which many routers drop: ours has none. */
const encapLimit: LinkOption = {
  ...option("encapLimit", (limit) => ["encaplimit", String(limit)]),
  create: ({ encapLimit: limit = "none" }) => ["encaplimit", String(limit)],
};

/** `ip6gre` and `ip6gretap`: net/ipv6/ip6_gre.c. */
export const ip6gre: Family = {
  kinds: ["ip6gre", "ip6gretap"],
  options: [
    outer.externalOption,
    outer.localOption,
    outer.remoteOption,
    keyOption,
    checksum,
    sequence,
    outer.ttlOption,
    outer.tclassOption,
    encapLimit,
    outer.underlayOption,
    outer.linkNetnsOption,
    outer.encapOption,
  ],
  required,
  parse(data, link, wanted) {
    const noLimit = data.ip6_tnl_f_ign_encap_limit === true;
    return {
      ...outer.parseOuter(link.linkinfo?.info_kind ?? "ip6gre", data),
      ...(data.external !== true && {
        tos: data.ip6_tnl_f_use_orig_tclass === true ? "inherit" : (numberOf(data.tclass) ?? 0),
        encapLimit: noLimit ? "none" : (numberOf(data.encap_limit) ?? "none"),
      }),
      ...parseGre(data, wanted),
    };
  },
  overhead: (spec) =>
    40 +
    greHeader(spec) +
    ethernetHeader(spec) +
    outer.encapOverhead(spec) +
    (typeof spec.encapLimit === "number" ? 8 : 0),
};
