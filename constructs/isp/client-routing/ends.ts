import { KernelObject, parseCidr } from "../../../lib/synth";
import type { ILink } from "../../link-handle";
import { listOf, versionOf } from "./way";

/** An address as the network of it alone. */
export const hostPrefix = (address: string) => `${address}/${versionOf(address) === 6 ? 128 : 32}`;

/** Text that is an address; undefined for a name, a value that is not known yet, `any`. */
function literalAddress(address: unknown): string | undefined {
  if (typeof address !== "string" || address.includes("/")) return undefined;
  return parseCidr(address) === undefined ? undefined : address;
}

/** The outer addresses of a tunnel, as far as the construct that makes it knows them. */
function endsOf({ link: { owner } }: ILink): { readonly local?: string; readonly remote?: string } {
  if (!KernelObject.isKernelObject(owner)) return {};
  const { intent } = owner.kernelObject;
  const { local, remote } = typeof intent === "function" ? intent() : intent;
  const [own, other] = [literalAddress(local), literalAddress(remote)];
  return { ...(own !== undefined && { local: own }), ...(other !== undefined && { remote: other }) };
}

interface Ended {
  readonly tunnel: ILink;
  readonly endpoint?: string | readonly string[];
}

/** Where outer packets go: what the props say, else what the tunnel does. */
export function endpointsOf({ tunnel, endpoint }: Ended): readonly string[] {
  const given = listOf(endpoint);
  return [...new Set(given.length > 0 ? given : listOf(endsOf(tunnel).remote))];
}

/** The addresses under which the host is reached from outside. */
export function ownAddressesOf(
  { tunnel, ownAddresses = [] }: { readonly tunnel: ILink; readonly ownAddresses?: readonly string[] },
  hostAddress: unknown,
): readonly string[] {
  return [
    ...new Set([...ownAddresses, ...listOf(literalAddress(hostAddress)), ...listOf(endsOf(tunnel).local)]),
  ];
}
