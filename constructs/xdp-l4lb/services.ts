import type { Finding } from "../../lib/kinds/kind";
import { formatEndpoint } from "../../lib/kinds/l4lb-services";
import { canonicalAddress, familyOf } from "../../lib/kinds/schemas";
import type { PropertyPath } from "../../lib/synth";
import { LbForward } from "./forward";
import { LbPolicy } from "./policy";
import type { L4LbService } from "./props";

/** What a service is known by on the host: `tcp 192.0.2.1:80`. */
export const endpointOf = ({ protocol, vip, port }: L4LbService) =>
  formatEndpoint({ protocol, vip: canonicalAddress(vip), port });

/** The services as the kind takes them: by endpoint, backends by address. */
export function servicesIntent(services: readonly L4LbService[]) {
  return Object.fromEntries(
    services.map((service) => {
      const { policy = LbPolicy.leastLoad(), forward = LbForward.ipip(), backends } = service;
      const byAddress = backends.map(
        ({ address, weight, state, mac }) => [canonicalAddress(address), { weight, state, mac }] as const,
      );
      return [
        endpointOf(service),
        { policy: policy.rule, forward, backends: Object.fromEntries(byAddress) },
      ] as const;
    }),
  );
}

/** The prop that a property of the kind's spec comes from. */
export function serviceOrigin(services: readonly L4LbService[]) {
  return (path: PropertyPath): PropertyPath => {
    const [first, endpoint, second, address, ...rest] = path;
    if (first !== "services" || endpoint === undefined) return path;
    const at = services.findIndex((service) => endpointOf(service) === endpoint);
    if (at < 0) return ["services"];
    if (second !== "backends" || address === undefined) return ["services", at, ...path.slice(2)];
    const nth = services[at]?.backends.findIndex((one) => canonicalAddress(one.address) === address) ?? -1;
    return ["services", at, "backends", nth, ...rest];
  };
}

/** What is wrong with services that are right one by one. */
export function servicesFindings(
  services: readonly L4LbService[],
  own: ReadonlyMap<string, string>,
): Finding[] {
  const findings: Finding[] = [];
  const endpoints = new Map<string, number>();
  services.forEach((service, index) => {
    const at = ["services", index] as const;
    const endpoint = endpointOf(service);
    const twin = endpoints.get(endpoint);
    if (twin !== undefined) {
      const message = `${endpoint} is services[${twin}], too: give one of them another port or address`;
      findings.push({ path: [...at, "port"], message });
    }
    endpoints.set(endpoint, twin ?? index);
    const vip = canonicalAddress(service.vip);
    const holder = own.get(vip);
    if (holder !== undefined) {
      const message = `${vip} is ${holder}: what is sent to the host itself would go to the backends. Take an address of its own for the service`;
      findings.push({ path: [...at, "vip"], message });
    }
    const addresses = new Map<string, number>();
    service.backends.forEach(({ address, healthCheck = service.healthCheck }, nth) => {
      const path = [...at, "backends", nth];
      const canonical = canonicalAddress(address);
      const other = addresses.get(canonical);
      if (other !== undefined) {
        const message = `${canonical} is backends[${other}], too: a weight says how much it gets`;
        findings.push({ path: [...path, "address"], message });
      }
      addresses.set(canonical, other ?? nth);
      if (
        service.port === 0 &&
        healthCheck !== undefined &&
        healthCheck !== false &&
        healthCheck.port === undefined
      ) {
        const message = "has no port to ask: the service is for every port";
        findings.push({ path: [...at, "healthCheck", "port"], message });
      }
      const [vipFamily, family] = [familyOf(vip), familyOf(canonical)];
      if (vipFamily !== family && service.forward === undefined) {
        const message = `${canonical} is IPv${family} and the VIP ${vip} IPv${vipFamily}: give forward a source, LbForward.ipip({ source: … })`;
        findings.push({ path: [...path, "address"], message });
      }
    });
  });
  return findings;
}
