import * as fc from "fast-check";
import type { z } from "zod";
import type { endSchema, tunnelsSchema } from "../../../lib/kinds/geneve-mux/schema";

/** Random tunnels of a GeneveMux, on links that a test has made. */

type End = z.input<typeof endSchema>;

const local = { 4: "192.0.2.1", 6: "2001:db8::1" } as const;
const remotes = {
  4: ["198.51.100.1", "198.51.100.2", "203.0.113.9"],
  6: ["2001:db8:1::1", "2001:db8:2::2"],
} as const;
const family = fc.constantFrom(4 as const, 6 as const);

const pushKeys = [
  "all",
  ...["10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "fd00:1::/32", "fd00:1:2::/48"].map(
    (prefix) => `prefix ${prefix}`,
  ),
  ...["10.1.2.3", "10.1.2.4", "fd00:1::3"].map((host) => `host ${host}`),
  ...["10.0.0.1 10.1.2.3", "10.0.0.2 10.1.2.3", "fd00::1 fd00:1::3"].map((pair) => `pair ${pair}`),
];

const when = (flag: string) => fc.constantFrom<string[]>([], [flag]);
const flags = (...names: string[]) => fc.tuple(...names.map(when)).map((lists) => lists.flat());

const push = (links: readonly string[]): fc.Arbitrary<End> =>
  fc
    .record({
      family,
      link: fc.constantFrom(...links),
      keys: fc.subarray(pushKeys, { minLength: 1, maxLength: 4 }),
      protocol: fc.constantFrom("geneve" as const, "vxlan" as const, "gre" as const),
      flags: flags("redirect", "debug", "dscp", "ecn-compatible"),
      vni: fc.integer({ min: 0, max: 0xff_ffff }),
      ttl: fc.integer({ min: 0, max: 255 }),
      mtu: fc.constantFrom(0, 1400, 1500),
      sourcePort: fc.constantFrom(0, 51234),
      remote: fc.nat(2),
      hop: fc.oneof(
        fc.constant(undefined),
        fc.record({ hold: fc.integer({ min: 0, max: 1000 }) }),
        fc.record({
          link: fc.constantFrom(...links),
          dmac: fc.constantFrom("02:00:00:00:00:07", { link: links[0]! }),
          smac: fc.constantFrom("02:00:00:00:00:08", { link: links[1]! }),
        }),
      ),
      inner: fc.option(
        fc.record({
          dmac: fc.constant("02:00:00:00:00:09"),
          options: fc.constantFrom("0102800100112233", "01028000"),
        }),
        { nil: undefined },
      ),
    })
    .map(({ family: of, remote, hop, inner, ...end }) => ({
      ...end,
      direction: "push" as const,
      local: local[of],
      remote: remotes[of][remote % remotes[of].length],
      destinationPort: end.protocol === "gre" ? 0 : 6081,
      ...(hop && { hop }),
      ...(inner && { inner }),
    }));

const pop = (links: readonly string[]): fc.Arbitrary<End> =>
  fc
    .record({
      family,
      link: fc.constantFrom(...links),
      kind: fc.constantFrom(
        "geneve" as const,
        "vxlan" as const,
        "gre" as const,
        "ipip" as const,
        "vlan" as const,
      ),
      vni: fc.integer({ min: 1, max: 4 }),
      flags: flags("redirect", "any-source", "trust-checksum", "destination-mac"),
      remote: fc.nat(2),
      sources: fc.boolean(),
      egress: fc.option(fc.constantFrom(...links), { nil: undefined }),
      mac: fc.boolean(),
    })
    .map(({ family: of, kind, vni, remote, sources, egress, mac, ...end }) => {
      const from = remotes[of][remote % remotes[of].length] ?? "";
      const to = local[of];
      const key =
        kind === "vlan"
          ? `vlan ${vni}`
          : kind === "gre" || kind === "ipip"
            ? `${kind} ${vni > 2 ? "any" : from} ${to}`
            : `${kind} ${vni} ${to}`;
      const isIp = kind !== "vlan";
      return {
        ...end,
        keys: [key],
        direction: "pop" as const,
        protocol: kind,
        ...(isIp && { local: to, remote: from }),
        ...(isIp &&
          sources && { sources: of === 4 ? ["192.0.2.0/24", "203.0.113.0/28"] : ["2001:db8:9::/48"] }),
        ...(egress && { egress }),
        ...(mac && { hop: { dmac: { link: links[0]! }, smac: "02:00:00:00:00:0a" } }),
      };
    });

/** Specs of one program, whose maps have room for `capacity` ends and keys. */
export function tunnelsSpecs(
  program: string,
  links: readonly string[],
  capacity: number,
): fc.Arbitrary<z.input<typeof tunnelsSchema>> {
  const ends = fc.array(fc.oneof(push(links), pop(links)), { maxLength: 9 });
  const settings = fc.record({
    fillChecksums: fc.boolean(),
    askHost: fc.boolean(),
    vxlanPort: fc.constantFrom(4789, 8472),
  });
  return fc
    .tuple(ends, fc.array(settings, { minLength: links.length, maxLength: links.length }))
    .map(([some, all]) => {
      // What another end has already is left out: the kind refuses it.
      const taken = new Set<string>();
      const free = some.flatMap((end) => {
        const keys = end.keys.filter((key) => !taken.has(`${end.link} ${key}`));
        for (const key of keys) taken.add(`${end.link} ${key}`);
        return keys.length === 0 ? [] : [{ ...end, keys }];
      });
      return {
        program,
        capacity,
        links: Object.fromEntries(links.map((link, nth) => [link, all[nth]!])),
        ends: Object.fromEntries(free.map((end, nth) => [`end-${nth}`, end])),
      };
    });
}
