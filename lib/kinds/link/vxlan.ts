import { familyOf, isMulticast } from "../schemas";
import { fixed, flag, option, type Family, type LinkOption } from "./family";
import { numberOf } from "./iproute";
import * as outer from "./outer";
import type { LinkSpec } from "./schema";

/** Ethernet frames in UDP: RFC 7348; drivers/net/vxlan/vxlan_core.c, ip-link(8). */

/** IANA's port for VXLAN; the kernel's own default is 8472, from before there was one. */
const VXLAN_PORT = 4789;

const remoteWords = (address: string) => [isMulticast(address) ? "group" : "remote", address];

/** An address can become another of the same family and sort; anything else is another set of sockets. */
const alike = (a: string | undefined, b: string | undefined) =>
  a !== undefined &&
  b !== undefined &&
  familyOf(a) !== undefined &&
  familyOf(a) === familyOf(b) &&
  !isMulticast(a) &&
  !isMulticast(b);

const local: LinkOption = {
  ...outer.localOption,
  change: ({ local: to }, { local: from }) => (to !== undefined && alike(from, to) ? ["local", to] : "again"),
};

const remote: LinkOption = {
  ...option("remote", remoteWords, { create: (address) => (address === "any" ? [] : remoteWords(address)) }),
  change: ({ remote: to }, { remote: from }) =>
    to !== undefined && alike(from, to) ? remoteWords(to) : "again",
};

/** The kernel takes any hop limit later, but not the step to or from `inherit`. */
const ttl: LinkOption = {
  ...outer.ttlOption,
  change: ({ ttl: to = "auto" }, { ttl: from }) =>
    to === "inherit" || from === "inherit" ? "again" : ["ttl", String(to)],
};

const port: LinkOption = {
  ...fixed("port", (number) => ["dstport", String(number)]),
  create: ({ port: number = VXLAN_PORT }) => ["dstport", String(number)],
};

const vni: LinkOption = {
  ...fixed("vni", (id) => ["id", String(id)]),
  along: ({ vni: id }) => (id === undefined ? [] : ["id", String(id)]),
};

const outerFamily = ({ local: a = "any", remote: b = "any" }: LinkSpec) => familyOf(b) ?? familyOf(a) ?? 4;

/** `vxlan`. */
export const vxlan: Family = {
  kinds: ["vxlan"],
  mtuApart: true,
  options: [
    outer.externalOption,
    vni,
    local,
    remote,
    ttl,
    outer.tosOption,
    port,
    flag("learning", "learning", "nolearning", true),
    outer.underlayOption,
    outer.linkNetnsOption,
  ],
  required: ({ external }) => (external === true ? [] : ["vni"]),
  parse(data) {
    const id = numberOf(data.id);
    return {
      external: data.external === true,
      local: outer.endpointOf(data, "local", "local6"),
      remote: outer.endpointOf(data, "remote", "remote6", "group", "group6"),
      port: numberOf(data.port) ?? VXLAN_PORT,
      ...(typeof data.link === "string" && { link: data.link }),
      ...(data.external !== true && {
        ...(id !== undefined && { vni: id }),
        ttl: outer.autoTtlOf(data.ttl),
        tos: outer.tosOf(data.tos),
        ...(typeof data.learning === "boolean" && { learning: data.learning }),
      }),
    };
  },
  overhead: (spec) => (outerFamily(spec) === 6 ? 40 : 20) + 8 + 8 + 14,
};
