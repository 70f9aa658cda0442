import { deleteStep, updateStep } from "../bpf/map-entries";
import { mapPin } from "../bpf/names";
import type { Step } from "../step";
import {
  ARRAYS,
  bytesOf,
  isZero,
  MAPS,
  TOMB,
  TOMB_LINE,
  TOMB_SLOT6,
  u32,
  type MapName,
  type Tables,
} from "./layout";

/** Of maps that are searched: what a deleted entry is, and where the digits of its scope are. */
const SEARCHED: Partial<Record<MapName, { readonly tomb: string; readonly scope: number }>> = {
  mux_ends: { tomb: TOMB_LINE, scope: 16 },
  mux_v6: { tomb: TOMB_SLOT6, scope: 0 },
};

/**
 * The writes that lead from what the maps hold to what they are to hold. First what is referred to, then what refers to
 * it; what goes goes in the other order, and last.
 */
export function writes(program: string, now: Tables, wanted: Tables): Step[] {
  const update = (map: MapName, key: string, value: string) =>
    updateStep(mapPin(program, map), bytesOf(key), bytesOf(value));
  const added: Step[] = [];
  const removed: Step[] = [];
  for (const map of MAPS) {
    const { tomb, scope = 0 } = SEARCHED[map] ?? {};
    for (const [key, value] of Object.entries(wanted[map])) {
      const before = now[map][key];
      if (before === value) continue;
      if (value === tomb) {
        removed.unshift(update(map, key, value));
        continue;
      }
      // What is new is not found before it is whole.
      const isSearched = tomb !== undefined && !isZero(value.slice(scope, scope + 8));
      if (isSearched && (before === undefined || before === tomb))
        added.push(update(map, key, value.slice(0, scope) + u32(TOMB) + value.slice(scope + 8)));
      added.push(update(map, key, value));
    }
    for (const [key, value] of Object.entries(now[map])) {
      if (wanted[map][key] !== undefined) continue;
      const gone = ARRAYS.has(map)
        ? update(map, key, "00".repeat(value.length / 2))
        : deleteStep(mapPin(program, map), bytesOf(key));
      removed.unshift(gone);
    }
  }
  return [...added, ...removed];
}
