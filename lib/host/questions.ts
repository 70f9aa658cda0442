import { type Fact, type Facts, type Query, queryKey } from "../kinds/step";
import type { Answer } from "./exchange";
import { type RenderedQuery, renderQuery } from "./render-query";

/** The queries of a batch: equal ones are asked once. */
export class Questions {
  readonly #rendered = new Map<string, RenderedQuery>();

  constructor(queries: Iterable<Query>) {
    for (const query of queries) {
      const key = queryKey(query);
      if (!this.#rendered.has(key)) this.#rendered.set(key, renderQuery(query));
    }
  }

  /** Programs that the host must have to answer. */
  get needs(): string[] {
    return [...this.#rendered.values()].flatMap(({ needs }) => needs);
  }

  get scripts(): string[] {
    return [...this.#rendered.values()].flatMap(({ scripts }) => scripts);
  }

  /** The facts by query, from one answer for each of {@link scripts}. */
  read(answers: readonly (Answer | undefined)[]): Map<string, Fact> {
    let from = 0;
    return new Map(
      [...this.#rendered].map(([key, query]) => {
        const own = answers.slice(from, (from += query.scripts.length));
        return [key, query.read(own)];
      }),
    );
  }
}

/** The facts that one operation asked for, out of all that were found. */
export function factsFor(queries: readonly Query[], found: ReadonlyMap<string, Fact>): Facts {
  const asked = new Map(queries.map((query) => [queryKey(query), found.get(queryKey(query))]));
  return {
    get(query) {
      const fact = asked.get(queryKey(query));
      if (!fact) throw new Error(`not among the queries asked for: ${queryKey(query)}`);
      return fact;
    },
  };
}
