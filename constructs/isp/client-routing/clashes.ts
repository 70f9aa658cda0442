import type { Construct, IConstruct } from "constructs";
import type { Finding } from "../../../lib/kinds/kind";
import { routes } from "../../../lib/kinds/routes";
import { rules } from "../../../lib/kinds/rules";
import { KernelObject, placeOf, type Place } from "../../../lib/synth";
import type { Numbers } from "./numbers";

/** The kernel's own tables by name are nobody's alone. */
const SHARED: readonly unknown[] = [undefined, "main", "local", "default", 253, 254, 255];

interface Member {
  readonly priority?: unknown;
  readonly table?: unknown;
}

/** Sets of routes and of rules in one namespace that are not inside a construct. */
function others(self: Construct, place: Place): KernelObject[] {
  const inside = new Set<IConstruct>(self.node.findAll());
  return self.node.root.node.findAll().filter((one): one is KernelObject => {
    if (inside.has(one) || !KernelObject.isKernelObject(one)) return false;
    const { kind } = one.kernelObject;
    if (kind.token !== routes.token && kind.token !== rules.token) return false;
    const there = one.kernelObject.place ?? placeOf(one);
    return there?.host.name === place.host.name && there.netns === place.netns;
  });
}

/**
 * Whoever else uses the numbers: rules of one priority would be one rule, and routes of two uses in one table would
 * send packets of one into the tunnel of the other.
 */
export function clashes(self: Construct, place: Place, numbers: Numbers, count: number): Finding[] {
  const findings: Finding[] = [];
  for (const other of others(self, place)) {
    const { kind, intent } = other.kernelObject;
    const members = (typeof intent === "function" ? intent() : intent)[
      kind.token === rules.token ? "rules" : "routes"
    ];
    if (!Array.isArray(members)) continue;
    const list = members as readonly Member[];
    if (kind.token === routes.token) {
      if (!list.some(({ table }) => !SHARED.includes(table) && table === numbers.table)) continue;
      const message = `routing table ${numbers.table} is that of ${other.node.path}, too: give one of them another table`;
      findings.push({ path: ["table"], message });
      continue;
    }
    const { priority } = numbers;
    const taken = list.find(
      (rule) =>
        typeof rule.priority === "number" && rule.priority >= priority && rule.priority < priority + count,
    );
    if (taken === undefined) continue;
    const range = count === 1 ? `${priority}` : `${priority} to ${priority + count - 1}`;
    const message = `rules ${range} are in the way of ${other.node.path}, which has ${String(taken.priority)}: give one of them another priority`;
    findings.push({ path: ["priority"], message });
  }
  return findings;
}
