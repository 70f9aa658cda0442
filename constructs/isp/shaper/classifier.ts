import type { Construct, IConstruct } from "constructs";
import type { AnyKind } from "../../../lib/kinds/kind";
import { attachment } from "../../../lib/kinds/bpf/attachment";
import { mapEntries } from "../../../lib/kinds/bpf/map-entries";
import { programPin } from "../../../lib/kinds/bpf/names";
import { object, objectDigest, objectPath } from "../../../lib/kinds/bpf/object";
import { program } from "../../../lib/kinds/bpf/program";
import type { Place } from "../../../lib/synth";
import { KernelObject } from "../../../lib/synth";
import type { ShapingPoint } from "../shaper";
import type { Classification } from "../shaping-tree";
import { CLASSIFIER, classifierSources } from "./classifier-sources";

/** A map of bpf/shaper: hosts are found by hash, networks by the longest prefix. */
interface Table {
  readonly map: string;
  readonly key: { readonly name: string; readonly type: string };
  readonly has: (prefix: string) => boolean;
}

const isIpv6 = (prefix: string) => prefix.includes(":");
const isNetwork = (prefix: string) => prefix.includes("/");

const TABLES: readonly Table[] = [
  {
    map: "shaper_hosts4",
    key: { name: "address", type: "ipv4" },
    has: (prefix) => !isIpv6(prefix) && !isNetwork(prefix),
  },
  {
    map: "shaper_hosts6",
    key: { name: "address", type: "ipv6" },
    has: (prefix) => isIpv6(prefix) && !isNetwork(prefix),
  },
  {
    map: "shaper_nets4",
    key: { name: "network", type: "prefix4" },
    has: (prefix) => !isIpv6(prefix) && isNetwork(prefix),
  },
  {
    map: "shaper_nets6",
    key: { name: "network", type: "prefix6" },
    has: (prefix) => isIpv6(prefix) && isNetwork(prefix),
  },
];

/** Programs and maps are the host's, not a namespace's. */
function onHost({ netns: _, ...host }: Place): Place {
  return host;
}

/** `1:1001` as the kernel has it: the major number in the upper half. */
function classNumber(classid: string): number {
  const [major = "0", minor = "0"] = classid.split(":");
  return parseInt(major, 16) * 0x10000 + parseInt(minor, 16);
}

/** Pins have no dots, and are all in one folder of the host. */
const pinName = (...parts: readonly (string | undefined)[]) =>
  ["shaper", ...parts.filter((part) => part !== undefined)]
    .join("_")
    .replaceAll(/[^A-Za-z0-9_-]/g, "_")
    .slice(0, 48);

/**
 * The program that finds a packet's class by its subscriber's address, on the egress hook of both links, and its
 * tables. It is attached last: until then everything is nobody's traffic.
 *
 * @param after the classes that it leads to
 */
export function classifyByProgram(
  scope: Construct,
  point: ShapingPoint,
  classification: readonly Classification[],
  after: readonly IConstruct[],
): void {
  const { subscriberSide, internetSide } = point;
  const { place } = subscriberSide;
  const host = place && { place: onHost(place) };
  const sources = classifierSources();
  const name = pinName(place?.netns, subscriberSide.name);
  const version = objectDigest({ main: CLASSIFIER, sources });
  const make = (id: string, kind: AnyKind, intent: object, behind: readonly IConstruct[]) => {
    const made = new KernelObject(scope, id, { kind, ...host, intent: { ...intent } });
    if (behind.length > 0) made.node.addDependency(...behind);
    return made;
  };
  const built = make("classifier-object", object, { name: "classify", main: CLASSIFIER, sources }, []);
  const loaded = make(
    "classifier",
    program,
    {
      name,
      object: objectPath("classify", version),
      version,
      programs: ["shape_download", "shape_upload"],
    },
    [built],
  );
  const tables = TABLES.flatMap(({ map, key, has }) => {
    const entries = Object.fromEntries(
      classification
        .filter(({ prefix }) => has(prefix))
        .map(({ prefix, classid }) => {
          const number = classNumber(classid);
          return [prefix, { download: number, upload: number }];
        }),
    );
    if (Object.keys(entries).length === 0) return [];
    const value = ["download", "upload"].map((field) => ({ name: field, type: "u32" }));
    return [make(map, mapEntries, { program: name, map, version, key: [key], value, entries }, [loaded])];
  });
  const sides = [
    { id: "classify-download", link: subscriberSide, entry: "shape_download" },
    { id: "classify-upload", link: internetSide, entry: "shape_upload" },
  ];
  for (const { id, link, entry } of sides) {
    const made = new KernelObject(scope, id, {
      kind: attachment,
      ...(link.place !== undefined && { place: link.place }),
      intent: { link: link.name, hook: "egress", program: programPin(name, entry), version },
    });
    made.node.addDependency(link.owner, loaded, ...tables, ...after);
  }
}
