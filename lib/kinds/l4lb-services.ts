import { defineKind, inPlace, replace, type Finding } from "./kind";
import { familyOf, isMulticast } from "./schemas";
import { observe, queries } from "./l4lb/observe";
import { plan } from "./l4lb/plan";
import { linesOf, ringOf } from "./l4lb/ring";
import { parseEndpoint, schema, type Forward, type Service, type Spec } from "./l4lb/schema";
import { statistics } from "./l4lb/statistics";

export { formatEndpoint, parseEndpoint, POLICIES, type Endpoint } from "./l4lb/schema";

function* serviceFindings(name: string, service: Service): Iterable<Finding> {
  const at = ["services", name];
  const vip = parseEndpoint(name)?.vip ?? "";
  if (isMulticast(vip))
    yield { path: at, message: `${vip} is a multicast address: a service has one of its own` };
  for (const [address, backend] of Object.entries(service.backends)) {
    const path = [...at, "backends", address];
    if (isMulticast(address)) yield { path, message: `${address} is a multicast address` };
    if (address === vip) yield { path, message: `${address} is the virtual address itself` };
    const forward = backend.forward ?? service.forward;
    const where = backend.forward === undefined ? [...at, "forward"] : [...path, "forward"];
    if (forward.next === "mac" && backend.mac === undefined)
      yield { path: [...path, "mac"], message: 'is missing: packets go to a MAC address (next is "mac")' };
    for (const message of familyProblems(forward, vip, address)) yield { path: where, message };
  }
}

/** What does not go together by IP family. */
function* familyProblems(forward: Forward, vip: string, address: string): Iterable<string> {
  const [inner, outer] = [familyOf(vip), familyOf(address)];
  const { form, source, address: own } = forward;
  if (form === "mac") {
    if (inner !== outer && forward.next === "route")
      yield `${address} is IPv${outer} and ${vip} IPv${inner}: without encapsulation both are of one family`;
    return;
  }
  if (source === "client" && inner !== outer)
    yield `the client's address cannot be the outer source from IPv${inner} (${vip}) to IPv${outer} (${address}): give a source`;
  if (source !== "client" && own === undefined) yield "an outer source needs an address";
  if (source !== "client" && own !== undefined && familyOf(own) !== outer)
    yield `the outer source ${own} is IPv${familyOf(own)}, and the backend ${address} is IPv${outer}`;
}

function* capacityFindings({ services, capacity }: Spec): Iterable<Finding> {
  const names = Object.keys(services);
  if (names.length > capacity.services)
    yield {
      path: ["services"],
      message: `are ${names.length}, and the balancer is built for ${capacity.services}`,
    };
  const backends = Object.values(services).map((service) => Object.entries(service.backends));
  const count = backends.reduce((sum, { length }) => sum + length, 0);
  if (count > capacity.backends) {
    const message = `have ${count} backends together, and the balancer is built for ${capacity.backends}`;
    yield { path: ["services"], message };
    return;
  }
  const lines = Object.values(services).map(({ policy }, nth) => {
    const members = (backends[nth] ?? []).map(([name, { weight, state }], index) => ({
      ...{ name, weight, index },
      isUp: state === "up",
    }));
    return linesOf(ringOf(policy, members).length);
  });
  const needed = lines.reduce((sum, one) => sum + one, 0);
  if (needed > capacity.ringLines) {
    const message = `need tables of ${needed} lines, and the balancer is built for ${capacity.ringLines}: give it more capacity for backends`;
    yield { path: ["services"], message };
  }
}

/** The services of a load balancer: who serves which virtual address, and how they share it. */
export const l4lbServices = defineKind({
  token: "netloom:l4lb:Services",
  description:
    "Services of the load balancer bpf/l4lb: virtual addresses and their backends, in the program's maps. What changes " +
    "is written while packets flow, and nothing is loaded anew.",
  schema,
  policy: {
    program: replace("the services of another program are other services"),
    version: inPlace(),
    netns: inPlace(),
    services: inPlace(),
    echo: inPlace(),
    timeouts: inPlace(),
    decay: inPlace(),
    hold: inPlace(),
    capacity: inPlace(),
    tables: inPlace(),
  },
  ownership: "object",
  identity: ({ program }) => [program],
  // How much the program was built for, and what its source addresses mean, only a program says.
  locate: () => undefined,
  check(spec) {
    const findings: Finding[] = [];
    if (spec.tables !== undefined)
      findings.push({ path: ["tables"], message: "is reported: it cannot be set" });
    for (const [name, service] of Object.entries(spec.services)) {
      if (service.ring !== undefined)
        findings.push({ path: ["services", name, "ring"], message: "is reported: it cannot be set" });
      for (const finding of serviceFindings(name, service))
        if (findings.push(finding) === 20) return findings;
    }
    findings.push(...capacityFindings(spec));
    return findings;
  },
  queries,
  observe,
  plan,
  statistics,
  explain(error, { program }) {
    if (/bpf obj get .*No such file/.test(error))
      return `${error}. The program ${program} is not loaded, or is no load balancer's: its Program must be made first.`;
    return undefined;
  },
});
