import type { Facts, Query } from "../kinds/step";

const key = "kernel/random/boot_id";

/** Which life of the host this is: another value after every start. */
export const bootQuery: Query = { tool: "sysctl", keys: [key] };

/** The answer to {@link bootQuery}; undefined on a kernel that has none. */
export function bootOf(facts: Facts): string | undefined {
  const fact = facts.get(bootQuery);
  const value = fact.ok ? (fact.value as Record<string, unknown>)[key] : undefined;
  return typeof value === "string" ? value : undefined;
}
