import type { PolicyRule } from "../../policy-rules";
import type { StaticRoute } from "../../static-routes";
import type { Numbers } from "./numbers";
import type { TunnelUseProps } from "./props";

/** A version of IP. */
export type IpVersion = 4 | 6;

/** What leads packets into a tunnel, in the order in which it must be there. */
export interface Way {
  /** Rules for what must never go into the tunnel: there before all else, and gone after it. */
  readonly underlay?: readonly UnnumberedRule[];
  /** The table behind the rules. */
  readonly routes: readonly StaticRoute[];
  /** Rules that send packets to the table. */
  readonly rules: readonly UnnumberedRule[];
}

/** A rule whose place follows from its place in the list. */
export type UnnumberedRule = Omit<PolicyRule, "priority">;

/** Every destination of a version of IP. */
export const ANYWHERE: Readonly<Record<IpVersion, string>> = { 4: "0.0.0.0/0", 6: "::/0" };

/** What ip-rule(8) calls a version of IP. */
export const FAMILY = { 4: "inet", 6: "inet6" } as const;

/** The version of IP of an address or network. */
export const versionOf = (address: string): IpVersion => (address.includes(":") ? 6 : 4);

/** The versions of IP that a use of a tunnel is about. */
export const versionsOf = ({ ipVersions = [4] }: Pick<TunnelUseProps, "ipVersions">): readonly IpVersion[] =>
  [...new Set(ipVersions)].sort();

/** One value or several, as a list. */
export const listOf = <T>(given: T | readonly T[] | undefined): readonly T[] =>
  given === undefined ? [] : Array.isArray(given) ? (given as readonly T[]) : [given as T];

/** Loses to every other route of its table: the kernel takes the lowest metric that is usable. */
const LAST = 0xffff_ffff;

/** Routes of a table into the tunnel, and what is left when the kernel drops them with the link that is down. */
export function into(
  { tunnel, whenDown = "unreachable" }: Pick<TunnelUseProps, "tunnel" | "whenDown">,
  { table }: Pick<Numbers, "table">,
  destinations: readonly string[],
): StaticRoute[] {
  const dev = tunnel.link.name;
  return destinations.flatMap((destination): StaticRoute[] => [
    { destination, dev, table },
    ...(whenDown === "main" ? [] : [{ destination, type: "unreachable" as const, metric: LAST, table }]),
  ]);
}

/** Rules with their priorities, from the first on. */
export const numbered = (rules: readonly UnnumberedRule[], first: number): PolicyRule[] =>
  rules.map((rule, index) => ({ priority: first + index, ...rule }));
