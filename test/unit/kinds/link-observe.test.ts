import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { link, type LinkSpec } from "../../../lib/kinds/link";
import { queryKey, type Fact, type Facts, type Query } from "../../../lib/kinds/step";

interface Recorded {
  readonly recordedFrom: string;
  readonly specs: readonly [Partial<LinkSpec>, ...Partial<LinkSpec>[]];
  readonly facts: readonly { readonly query: Query; readonly fact: Fact }[];
  readonly state: LinkSpec | null;
}

const folder = join(__dirname, "../../fixtures/link");

/** The recordings of a folder by the name of their case. */
const recordings = (of: string) =>
  readdirSync(join(folder, of)).map((file): [string, Recorded] => [
    file.replace(".json", "").replaceAll("-", " "),
    JSON.parse(readFileSync(join(folder, of, file), "utf8")) as Recorded,
  ]);

/** Debian 12's iproute2 has every case, others those where they may differ. */
const fixtures = recordings("observe");
const others = ["observe-debian-11", "observe-debian-13"].flatMap((of) =>
  recordings(of).map(([name, recorded]): [string, Recorded] => [
    `${name}, ${recorded.recordedFrom}`,
    recorded,
  ]),
);

function factsOf({ facts }: Recorded): Facts {
  const found = new Map(facts.map(({ query, fact }) => [queryKey(query), fact]));
  return {
    get(query) {
      const fact = found.get(queryKey(query));
      if (fact === undefined) throw new Error(`not recorded: ${queryKey(query)}`);
      return fact;
    },
  };
}

describe("what a real host printed is read", () => {
  test.each([...fixtures, ...others])("%s", (_, recorded) => {
    expect(link.observe(factsOf(recorded), recorded.specs) ?? null).toEqual(recorded.state);
  });

  test.each(fixtures)("%s: it asks for no more than was recorded", (_, { specs, facts }) => {
    const asked = new Set(specs.flatMap((spec) => link.queries(spec)).map(queryKey));
    expect([...asked].sort()).toEqual(facts.map(({ query }) => queryKey(query)).sort());
  });

  const read = fixtures.filter(([, { state }]) => state !== null);

  test.each(read)("%s: the state is canonical", (_, { state }) => {
    // The kind of a peer may be cut to what the program speaks of; its `up` is always there.
    expect(link.schema.parse(state)).toEqual(state);
  });
});

describe("what is there can be imported as it is", () => {
  // A veth whose other end is in an unknown namespace has to be told which.
  const importable = fixtures.filter(([name, { state }]) => state !== null && name !== "veth peer elsewhere");

  test.each(importable)("%s", (_, { state }) => {
    const spec = link.schema.parse(state);
    expect(link.check?.(spec)).toEqual([]);
    expect(link.plan(spec, spec, { owner: "netloom:p/s" })).toEqual([]);
  });
});

describe("what cannot be read is no absence", () => {
  test("an ip that fails in the initial namespace is an error", () => {
    const facts: Facts = { get: () => ({ ok: false, error: "ip: not found" }) };
    expect(() => link.observe(facts, [{ name: "t0" }])).toThrow("ip address show: ip: not found");
  });
});

describe("what a tunnel adds to a packet is what its driver takes off the MTU", () => {
  // With an explicit MTU, without a route to the other end (geneve), or in 6.1's sit the driver does not work it out.
  const settled = [
    "gre everything",
    "sit gue",
    "gre external",
    "ipip external",
    "gre checksum one way",
    "gre input key only",
  ];
  const tunnels = fixtures.flatMap(([name, { state }]): [string, LinkSpec][] =>
    state === null || settled.includes(name) || !/^(gre|ip6gre|ipip|vxlan)/.test(name) ? [] : [[name, state]],
  );

  test.each(tunnels.filter(([name]) => !/^vxlan( external| ipv6)$/.test(name)))("%s", (_, state) => {
    const claim = link.claims?.(state).find((one) => one.claim === "tunnel");
    expect(claim?.claim === "tunnel" && claim.overhead).toBe(1500 - (state.mtu ?? 0));
  });
});
