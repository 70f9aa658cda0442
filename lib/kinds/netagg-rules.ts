import { isDeepStrictEqual } from "node:util";
import { found } from "./found";
import { defineKind, inPlace, replace } from "./kind";
import { addressesIn, type Addresses } from "./link/addresses";
import { linksQuery } from "./link/iproute";
import { addressProblems } from "./netagg-rules/problems";
import { ruleKey, ruleProblems, schema, sortRules, type Rule } from "./netagg-rules/schema";
import { canonicalAddress } from "./schemas";
import type { Query, Step } from "./step";

const SEGMENT = "netagg";

const query = (netns: string | undefined): Query => ({
  tool: "netagg",
  ...(netns !== undefined && { netns }),
  args: ["-L"],
});

/** A rule of `netagg -L`, with its statistics; `kmod/netagg/README.md` says what is in it. */
type ListedRule = Rule & { readonly family: string };

/** The link of each path is looked for where it was asked for. */
function withLinks(rule: Rule, asked: Rule, addresses: Addresses): Rule {
  const devs = new Map(asked.paths.map(({ address, dev }) => [address, dev]));
  const paths = rule.paths.map((path) => {
    const wanted = devs.get(path.address);
    const dev = wanted === undefined ? undefined : addresses.linkOf(path.address, wanted);
    return { ...path, ...(dev !== undefined && { dev }) };
  });
  return { ...rule, paths };
}

/** A listed rule in our words: what was asked for, without what is counted. */
function parseRule(listed: ListedRule): Rule {
  const { role, mode, flowletUs, maxHoldUs, probePort, probeUs, deadUs, adapt, encap } = listed;
  const paths = listed.paths.map(({ address, port, weight }) => ({
    address: canonicalAddress(address),
    port,
    weight,
  }));
  return { role, paths, mode, flowletUs, maxHoldUs, probePort, probeUs, deadUs, adapt, encap };
}

const endpoint = ({ address, port }: Rule["paths"][number]) =>
  address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;

/** A rule as the tool takes it, every option said. */
function words(rule: Rule): string[] {
  const [primary, ...others] = rule.paths;
  return [
    rule.role,
    ...["-P", primary === undefined ? "" : endpoint(primary)],
    ...others.flatMap((path) => ["-S", endpoint(path)]),
    ...["-R", rule.paths.map(({ weight }) => weight).join(":")],
    ...["-m", rule.mode],
    ...["--flowlet", String(rule.flowletUs)],
    ...["--max-hold", String(rule.maxHoldUs)],
    ...["--probe-port", String(rule.probePort)],
    ...["--probe-interval", String(rule.probeUs)],
    ...["--dead-after", String(rule.deadUs)],
    ...(rule.adapt ? ["--adapt"] : []),
    ...(rule.encap ? ["--encap"] : []),
  ];
}

/** A named set of rules of the module netagg in one namespace. Rules of others stay as they are. */
export const netaggRules = defineKind({
  token: "netloom:netagg:Rules",
  description:
    "A named set of rules of the kernel module netagg, by which TCP connections use several paths.",
  schema,
  policy: {
    netns: replace("a rule cannot move to another namespace"),
    name: replace("the set is known by its name"),
    rules: inPlace(),
    module: inPlace(),
  },
  ownership: "object",
  identity: ({ netns, name }) => [...(netns === undefined ? [] : [netns]), SEGMENT, name],
  // Which rules belong together is written nowhere on the host.
  locate: () => undefined,
  check: ({ rules }) => ruleProblems(rules),
  queries: ({ netns }) => [query(netns), linksQuery(netns)],
  observe(facts, specs) {
    const { netns, name = "", module } = specs[0];
    const listed = (found(facts, query(netns)) ?? []) as readonly ListedRule[];
    const addresses = addressesIn(facts, netns);
    // The most wanted last, which then counts.
    const rules = [...specs].reverse().flatMap((spec) => spec.rules ?? []);
    const asked = new Map(rules.map((rule) => [ruleKey(rule), rule]));
    const there = listed.map(parseRule).flatMap((rule) => {
      const wanted = asked.get(ruleKey(rule));
      return wanted === undefined ? [] : [withLinks(rule, wanted, addresses)];
    });
    if (there.length === 0) return undefined;
    return {
      ...(netns !== undefined && { netns }),
      name,
      rules: sortRules(there),
      ...(module !== undefined && { module }),
    };
  },
  plan(current, desired, { facts }) {
    const netns = desired?.netns ?? current?.netns;
    const step = (...args: string[]): Step => ({
      tool: "netagg",
      ...(netns !== undefined && { netns }),
      args,
    });
    const remove = (rule: Rule) => step("-D", rule.role, "-P", endpoint(rule.paths[0]!));
    if (facts !== undefined && desired !== undefined) {
      const problems = addressProblems(desired.rules, addressesIn(facts, netns));
      if (problems.length > 0)
        throw new Error(
          `rules of netagg for addresses that are not where they should be: ${problems.join("; ")}. ` +
            `Give the link the address (ip address show lists them), or name the one it has (set of rules ${desired.name}).`,
        );
    }
    const there = new Map((current?.rules ?? []).map((rule) => [ruleKey(rule), rule]));
    const wanted = new Map((desired?.rules ?? []).map((rule) => [ruleKey(rule), rule]));
    const gone = [...there].filter(([key]) => !wanted.has(key)).map(([, rule]) => rule);
    const changed = [...wanted].filter(
      ([key, rule]) => there.has(key) && !isDeepStrictEqual(there.get(key), rule),
    );
    const added = [...wanted].filter(([key]) => !there.has(key));
    // What goes may hold a path that is wanted elsewhere.
    return [
      ...gone.map(remove),
      ...changed.map(([, rule]) => step("-C", ...words(rule))),
      ...added.map(([, rule]) => step("-A", ...words(rule))),
    ];
  },
  explain(error, { name, netns, rules }) {
    const set = `(set of rules ${name})`;
    if (/no netagg tool on this host/.test(error))
      return `${error}. Build it first: an Executable of the package's kmod/netagg/tool/netagg.c ${set}.`;
    if (/the module is not loaded/.test(error))
      return `${error}. A KernelModule of the package's kmod/netagg loads it ${set}.`;
    if (/there is no such rule/.test(error))
      return `${error}. Somebody deleted it meanwhile: run the update again, with --refresh ${set}.`;
    if (/the probe port is taken/.test(error)) {
      const ports = [...new Set(rules.map(({ probePort }) => probePort).filter((port) => port !== 0))];
      const within = netns === undefined ? "" : `ip netns exec ${netns} `;
      return (
        `${error}: UDP port ${ports.join(" or ")}. "${within}ss -lup" names the program: end it, or give the probes ` +
        `another port on both hosts (probePort, which is probes.port of a NetAggPair) ${set}.`
      );
    }
    if (/File exists/.test(error))
      return `${error}. A path of the set ${name} belongs to a rule of somebody else's: netagg -L lists them all.`;
    return undefined;
  },
});
