import type { Claim } from "../kind";
import { familyOfKind } from "./families";
import { keysOf } from "./gre";
import type { EndSpec, LinkSpec } from "./schema";
import { bornIn } from "./transit";

type Path = readonly (string | number)[];

/** What a link takes up: its name and addresses, a port of its master, and the tunnel that it is. */
export function linkClaims(spec: LinkSpec): Claim[] {
  return [
    ...endClaims(spec, spec, []),
    ...(spec.kind === "veth" && spec.peer !== undefined ? endClaims(spec, spec.peer, ["peer"]) : []),
    ...tunnelClaim(spec),
  ];
}

function endClaims(
  { kind }: LinkSpec,
  end: EndSpec & { readonly netns?: string | undefined; readonly name: string },
  path: Path,
): Claim[] {
  const { name, mtu, addresses = [], master = "" } = end;
  const within = end.netns === undefined ? {} : { netns: end.netns };
  return [
    { claim: "interface", ...within, name, kind, ...(mtu !== undefined && { mtu }), path: [...path, "name"] },
    ...(master === ""
      ? []
      : [{ claim: "port" as const, ...within, name, master, path: [...path, "master"] }]),
    ...addresses.map((address, index) => ({
      claim: "address" as const,
      ...within,
      interface: name,
      address,
      path: [...path, "addresses", index],
    })),
  ];
}

function tunnelClaim(spec: LinkSpec): Claim[] {
  const overhead = familyOfKind(spec.kind).overhead?.(spec);
  if (overhead === undefined || spec.external === true) return [];
  const { name, kind, local = "any", remote = "any", link, mtu } = spec;
  const { netns } = bornIn(spec) ?? spec;
  const { input } = keysOf(spec);
  const key = spec.vni ?? spec.vlanId ?? (typeof input === "number" ? input : undefined);
  return [
    {
      claim: "tunnel",
      ...(netns !== undefined && { netns }),
      name,
      protocol: kind,
      ...(local !== "any" && { local }),
      ...(remote !== "any" && { remote }),
      ...(key !== undefined && { key }),
      ...(link !== undefined && { link }),
      overhead,
      ...(mtu !== undefined && { mtu }),
      path: [spec.remote === undefined ? "name" : "remote"],
    },
  ];
}
