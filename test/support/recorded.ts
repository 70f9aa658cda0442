import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { z } from "zod";
import type { Kind, Located } from "../../lib/kinds/kind";
import { queryKey, type Fact, type Facts, type Query } from "../../lib/kinds/step";

/** A fixture of `test/fixtures/<kind>/`: what a real host printed, and the state that a person judged it to be. */
interface Recorded<Schema extends z.ZodObject> {
  readonly recordedFrom: string;
  readonly specs: readonly [Located<Schema>, ...Located<Schema>[]];
  readonly facts: readonly { readonly query: Query; readonly fact: Fact }[];
  readonly state: z.output<Schema> | null;
  /** False where others have made what no spec can ask for. */
  readonly canonical?: false;
}

/** Facts by query, as a host session gives them. */
export function factsOf(facts: readonly { readonly query: Query; readonly fact: Fact }[]): Facts {
  const found = new Map(facts.map(({ query, fact }) => [queryKey(query), fact]));
  return {
    get(query) {
      const fact = found.get(queryKey(query));
      if (fact === undefined) throw new Error(`not recorded: ${queryKey(query)}`);
      return fact;
    },
  };
}

/** The facts of a host where everything that is asked for is found to be `value`. */
export const factsThatAre = (value: unknown): Facts => ({ get: () => ({ ok: true, value }) });

/** The facts of a host where every look fails. */
export const factsThatFail = (error: string): Facts => ({ get: () => ({ ok: false, error }) });

/**
 * Holds a kind's `observe` against every fixture of a folder below `test/fixtures`, and its `plan` against what it
 * observed: nothing is to be done for a state that is there.
 */
export function observesWhatWasRecorded<Schema extends z.ZodObject>(
  kind: Kind<Schema>,
  folder: string,
): void {
  const path = join(__dirname, "../fixtures", folder);
  const files = existsSync(path) ? readdirSync(path).filter((file) => file.endsWith(".json")) : [];
  const fixtures = files.map((file): [string, Recorded<Schema>] => [
    file.replace(".json", "").replaceAll("-", " "),
    JSON.parse(readFileSync(join(path, file), "utf8")) as Recorded<Schema>,
  ]);

  test.each(fixtures)("%s", (_, { facts, specs, state }) => {
    expect(kind.observe(factsOf(facts), specs) ?? null).toEqual(state);
  });

  test.each(fixtures)("%s: it asks for what was recorded and no more", (_, { facts, specs }) => {
    const asked = new Set(specs.flatMap((spec) => kind.queries(spec)).map(queryKey));
    expect([...asked].sort()).toEqual(facts.map(({ query }) => queryKey(query)).sort());
  });

  const ours = fixtures.filter(
    ([, { state, canonical }]) =>
      state !== null && canonical !== false && !JSON.stringify(state).includes(`"unrecognised":["`),
  );
  test.each(ours)("%s: nothing is to be done for what is there", (_, { state }) => {
    expect(kind.plan(state ?? undefined, state ?? undefined, { owner: "netloom:test" })).toEqual([]);
  });

  test.each(ours)("%s: the state is canonical, and a program may ask for it", (_, { state }) => {
    const parsed = kind.schema.safeParse(state);
    expect(parsed.error?.issues ?? []).toEqual([]);
    expect(parsed.data).toEqual(state);
  });
}
