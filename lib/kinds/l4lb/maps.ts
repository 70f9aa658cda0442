import { hex } from "../bpf/fields";
import { deleteStep, updateStep } from "../bpf/map-entries";
import { mapPin } from "../bpf/names";
import { found } from "../found";
import type { Facts, Query, Step } from "../step";
import { bytesOf, SIZES } from "./lines";

/** Maps of bpf/l4lb that are written and read here, and the bytes of a value. */
export const MAPS = {
  lb_vips: 4,
  lb_control: SIZES.control,
  lb_services: SIZES.service,
  lb_backends: SIZES.backend,
  lb_ring: SIZES.ringLine,
  lb_health: 4,
  lb_reported: 4,
  lb_active: SIZES.active,
  lb_service_stats: SIZES.stat,
  lb_backend_stats: SIZES.stat,
} as const;
export type MapName = keyof typeof MAPS;

/** Asks for all of a map's entries. */
export const dumpQuery = (program: string, map: MapName): Query => ({
  tool: "bpftool",
  args: ["map", "dump", "pinned", mapPin(program, map)],
});

/** How bpftool says that there is no such pin. */
const ABSENT = /bpf obj get .*No such file or directory/;

interface Entry {
  readonly key: readonly string[];
  readonly value?: readonly string[];
  /** Of a map with a value for each CPU. */
  readonly values?: readonly { readonly value: readonly string[] }[];
}

/** Entries of a map: key and value, of each CPU where it has one for each, as hexadecimal digits. */
export type Dump = readonly { readonly key: string; readonly values: readonly string[] }[];

/**
 * What is in a map; undefined when it is not pinned.
 *
 * @throws Error when its values are of another size than bpf/l4lb has
 */
export function readDump(facts: Facts, program: string, map: MapName): Dump | undefined {
  const entries = found(facts, dumpQuery(program, map), ABSENT) as readonly Entry[] | undefined;
  return entries?.map(({ key, value, values = [] }) => {
    const all = (value === undefined ? values.map((one) => one.value) : [value]).map(digitsOf);
    const strange = all.find((digits) => digits.length !== 2 * MAPS[map]);
    if (strange !== undefined)
      throw new Error(
        `the map ${map} of ${program} has values of ${strange.length / 2} bytes, not ${MAPS[map]}: it is not of this balancer's program`,
      );
    return { key: digitsOf(key), values: all };
  });
}

const digitsOf = (words: readonly string[]) => words.map((word) => word.slice(2).padStart(2, "0")).join("");

/** The index that a key of four bytes is. */
export const indexOf = (key: string) => bytesOf(key).reduceRight((sum, byte) => sum * 256 + byte, 0);

/** A number as four bytes. */
export const u32 = (value: number) => [0, 8, 16, 24].map((shift) => hex((value >>> shift) & 255)).join("");

/** Writes an entry. */
export const writeEntry = (program: string, map: MapName, key: number | string, value: string): Step =>
  updateStep(mapPin(program, map), bytesOf(typeof key === "number" ? u32(key) : key), bytesOf(value));

/** Makes an entry of an array what it is at first, on every CPU. */
export const clearEntry = (program: string, map: MapName, index: number): Step =>
  writeEntry(program, map, index, "00".repeat(MAPS[map]));

/** Removes an entry of a hash. */
export const removeEntry = (program: string, map: MapName, key: string): Step =>
  deleteStep(mapPin(program, map), bytesOf(key));
