import { familyOf } from "../schemas";
import { fixed, option, type Family, type LinkOption } from "./family";
import { numberOf } from "./iproute";
import * as outer from "./outer";

/** Ethernet frames in UDP with options: RFC 8926; drivers/net/geneve.c, ip-link(8). */

/** IANA's port for Geneve. */
const GENEVE_PORT = 6081;

const sameFamily = (a: string | undefined, b: string | undefined) =>
  a !== undefined && b !== undefined && familyOf(a) !== undefined && familyOf(a) === familyOf(b);

/** `ip` wants VNI and remote end with every change, whatever changes. */
const vni: LinkOption = {
  ...fixed("vni", (id) => ["id", String(id)]),
  along: ({ vni: id }) => (id === undefined ? [] : ["id", String(id)]),
};

const remote: LinkOption = {
  ...option("remote", (address) => ["remote", address]),
  change: (merged, current) =>
    merged.remote !== undefined && sameFamily(current.remote, merged.remote)
      ? ["remote", merged.remote]
      : "again",
  along: ({ remote: address }) => (address === undefined || address === "any" ? [] : ["remote", address]),
};

/** `geneve`. */
export const geneve: Family = {
  kinds: ["geneve"],
  options: [
    outer.externalOption,
    vni,
    remote,
    outer.ttlOption,
    outer.tosOption,
    fixed("port", (port) => ["dstport", String(port)]),
    outer.linkNetnsOption,
  ],
  required: ({ external }) => (external === true ? [] : ["vni", "remote"]),
  parse(data) {
    const id = numberOf(data.id);
    return {
      external: data.external === true,
      remote: outer.endpointOf(data, "remote", "remote6"),
      port: numberOf(data.port) ?? GENEVE_PORT,
      ...(data.external !== true && {
        ...(id !== undefined && { vni: id }),
        ttl: outer.autoTtlOf(data.ttl),
        tos: outer.tosOf(data.tos),
      }),
    };
  },
  overhead: ({ remote: address = "any" }) => (familyOf(address) === 6 ? 40 : 20) + 8 + 8 + 14,
};
