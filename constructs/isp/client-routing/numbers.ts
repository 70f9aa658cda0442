import { hash32 } from "../../../lib/synth";
import type { ClientRoutingProps } from "./props";

/** Most policy rules of one use of a tunnel: the next one begins behind them. */
export const RULES = 32;

/** The kernel's rule for the main table is at 32766 (fib4_rules_init in net/ipv4/fib_rules.c). */
const CHOSEN = { first: 10_000, slots: 500 };
const DEFAULT = { first: 26_000, slots: 200 };
const TABLES = { first: 10_000, count: 50_000 };

/** The numbers by which the kernel knows one use of a tunnel. */
export interface Numbers {
  /** Routing table. */
  readonly table: number;
  /** Priority of the first rule. */
  readonly priority: number;
}

/**
 * Numbers that depend on the host and the construct's path alone, so that nothing else in the program moves them. A
 * default route is asked after all that is more particular.
 */
export function numbersOf(
  { mode, table, priority }: ClientRoutingProps,
  host: string,
  path: string,
): Numbers {
  const { first, slots } = mode === "default" ? DEFAULT : CHOSEN;
  return {
    table: table ?? TABLES.first + (hash32("client-routing table", host, path) % TABLES.count),
    priority: priority ?? first + (hash32("client-routing priority", host, path) % slots) * RULES,
  };
}
