import type { z } from "zod";
import { disagreements } from "../../../lib/kinds/agree";
import { packages } from "../../../lib/kinds/packages";
import { queryKey, type Fact, type Facts, type Step } from "../../../lib/kinds/step";
import { afterDelete, claim } from "../../../lib/provider/ownership";

type Spec = z.output<typeof packages.schema>;

const spec = (names: readonly string[], more: object = {}): Spec =>
  packages.schema.parse({
    packages: Object.fromEntries(names.map((name) => [name, "installed"])),
    ...more,
  });

const problems = (given: object) =>
  (packages.schema.safeParse(given).error?.issues ?? [])
    .map(({ path, message }) => `${path.join(".")}: ${message}`)
    .join("\n");

const words = (step: Step) => ("args" in step ? `${step.tool} ${step.args.join(" ")}` : step.tool);
const plan = (current: Spec | undefined, desired: Spec) =>
  packages.plan(current, desired, { owner: "" }).map(words);

/** A host's dpkg: packages by name with their state. */
function dpkg(states: Readonly<Record<string, string>>, specs: readonly Spec[]): Facts {
  const facts = new Map<string, Fact>();
  for (const query of specs.flatMap((one) => packages.queries(one))) {
    const [name = ""] = query.tool === "dpkg-query" ? query.args : [];
    const state = states[name];
    const value = state === undefined ? {} : { [name]: { state, version: "1" } };
    facts.set(queryKey(query), { ok: true, value });
  }
  return {
    get(query) {
      const fact = facts.get(queryKey(query));
      if (fact === undefined) throw new Error(`not asked for: ${queryKey(query)}`);
      return fact;
    },
  };
}

describe("packages in their canonical form", () => {
  test("are sorted by name", () => {
    expect(Object.keys(spec(["b0", "a0"]).packages)).toEqual(["a0", "b0"]);
  });

  test.each<[object, RegExp]>([
    [{ packages: {} }, /^packages: names no package/],
    [{ packages: { "bpftool-": "installed" } }, /no name of a package/],
    [{ packages: { "a; reboot": "installed" } }, /no name of a package/],
    [{ packages: { "--purge": "installed" } }, /no name of a package/],
    [{ packages: { Bpftool: "installed" } }, /no name of a package/],
    [{ packages: { bpftool: "7.1" } }, /must be "installed"/],
    [{ packages: { bpftool: "installed" }, removeOnDelete: false }, /must be true, or left out/],
  ])("%j is refused", (given, message) => {
    expect(problems(given)).toMatch(message);
  });
});

describe("what is read of packages", () => {
  const all = spec(["held", "here", "half", "gone", "broken", "never"]);

  test("is there what dpkg has installed in full, on hold or not", () => {
    const states = { held: "hi ", here: "ii ", half: "iF ", gone: "rc ", broken: "iiR" };
    expect(packages.observe(dpkg(states, [all]), [all])?.packages).toEqual({
      held: "installed",
      here: "installed",
    });
  });

  test("a host of another distribution is told what is supported", () => {
    const get = () => ({ ok: false as const, error: "no dpkg on this host" });
    expect(() => packages.observe({ get }, [all])).toThrow(/Debian, Ubuntu and their like only/);
  });
});

describe("plans of packages", () => {
  test("what is missing is installed in one go, and nothing that is there may give way to it", () => {
    expect(plan(spec(["aa"]), spec(["aa", "bb", "cc"]))).toEqual(["apt-get --no-remove install -- bb cc"]);
    expect(plan(spec(["aa"]), spec(["aa"]))).toEqual([]);
  });

  test("the lists are fetched first where asked, and only when something is missing", () => {
    const desired = spec(["aa", "bb"], { updateLists: true });
    expect(plan(spec(["aa"]), desired)).toEqual(["apt-get update", "apt-get --no-remove install -- bb"]);
    expect(plan(desired, desired)).toEqual([]);
  });
});

/** A set's life in the provider's own words: which steps, and what the ledger keeps. */
function life(states: Record<string, string>, options: object) {
  const key = "k";
  const urn = "urn";
  const first = spec(["aa", "bb", "cc"], options);
  const look = (specs: readonly [Spec, ...Spec[]]) => packages.observe(dpkg(states, specs), specs);
  const current = look([first]);
  const made = claim({ kind: packages, key, urn, desired: first, current, record: undefined });
  const install = plan(current, made.effective as Spec);
  for (const name of ["aa", "bb", "cc"]) states[name] = "ii ";
  const fewer = spec(["aa", "cc"], options);
  const now = look([fewer, first]);
  const changed = claim({
    kind: packages,
    key,
    urn,
    desired: fewer,
    previous: first,
    current: now,
    record: made.done,
  });
  const drop = plan(now, changed.effective as Spec);
  if (drop.length > 0) delete states.bb;
  const last = look([fewer]);
  const aim = afterDelete(packages, changed.done, false) as Spec;
  const remove = plan(last, aim);
  for (const line of remove) for (const name of line.split(" -- ")[1]?.split(" ") ?? []) delete states[name];
  const left = look([aim, fewer, ...(changed.done.specs as Spec[])]);
  return {
    install,
    drop,
    remove,
    disagree: disagreements(aim, left ?? {}),
    left: Object.keys(states).sort(),
  };
}

describe("the life of a set of packages", () => {
  test("leaves what it installed when nothing else was asked", () => {
    expect(life({ aa: "ii " }, {})).toEqual({
      install: ["apt-get --no-remove install -- bb cc"],
      drop: [],
      remove: [],
      disagree: [],
      left: ["aa", "bb", "cc"],
    });
  });

  test("takes what it installed with it when asked, and never what was there before", () => {
    expect(life({ aa: "ii " }, { removeOnDelete: true })).toEqual({
      install: ["apt-get --no-remove install -- bb cc"],
      drop: ["dpkg --no-act --remove -- bb", "dpkg --remove -- bb"],
      remove: ["dpkg --no-act --remove -- cc", "dpkg --remove -- cc"],
      disagree: [],
      left: ["aa"],
    });
  });
});

test.each([
  ["apt-get install failed: E: Unable to locate package nonesuch", /no nonesuch: check the name/],
  ["apt-get install failed: E: Package 'foo' has no installation candidate", /no foo: check/],
  ["apt-get install failed: E: Packages need to be removed but remove is disabled.", /never does/],
  ["dpkg remove failed: dpkg: dependency problems prevent removal of aa:", /Another package needs it/],
  ["apt-get install failed: E: Could not get lock /var/lib/dpkg/lock-frontend", /Another package manager/],
  ["apt-get update failed: E: Failed to fetch http://deb.debian.org/", /cannot reach its package sources/],
])("%s is explained", (said, meant) => {
  expect(packages.explain?.(said, spec(["aa"]))).toMatch(meant);
});
