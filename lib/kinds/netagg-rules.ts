import { isDeepStrictEqual } from "node:util";
import { found } from "./found";
import { defineKind, inPlace, replace } from "./kind";
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
  queries: ({ netns }) => [query(netns)],
  observe(facts, specs) {
    const { netns, name = "", module } = specs[0];
    const listed = (found(facts, query(netns)) ?? []) as readonly ListedRule[];
    const asked = new Set(specs.flatMap((spec) => spec.rules ?? []).map(ruleKey));
    const there = listed.map(parseRule).filter((rule) => asked.has(ruleKey(rule)));
    if (there.length === 0) return undefined;
    return {
      ...(netns !== undefined && { netns }),
      name,
      rules: sortRules(there),
      ...(module !== undefined && { module }),
    };
  },
  plan(current, desired) {
    const netns = desired?.netns ?? current?.netns;
    const step = (...args: string[]): Step => ({
      tool: "netagg",
      ...(netns !== undefined && { netns }),
      args,
    });
    const remove = (rule: Rule) => step("-D", rule.role, "-P", endpoint(rule.paths[0]!));
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
  explain(error, { name }) {
    if (/no netagg tool on this host/.test(error))
      return `${error}. Build it first: an Executable of the package's kmod/netagg/tool/netagg.c (set of rules ${name}).`;
    if (/not loaded|No such file or directory/.test(error))
      return `${error}. The module netagg is not loaded: a KernelModule of the package's kmod/netagg loads it.`;
    if (/File exists/.test(error))
      return `${error}. A path of the set ${name} belongs to a rule of somebody else's: netagg -L lists them all.`;
    return undefined;
  },
});
