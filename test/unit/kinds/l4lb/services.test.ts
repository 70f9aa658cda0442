import { l4lbServices } from "../../../../lib/kinds/l4lb-services";
import { queryKey, type Fact, type Facts, type Query, type Step } from "../../../../lib/kinds/step";

const capacity = { services: 4, backends: 8, ringLines: 128 };
const SIZES = {
  lb_control: [1, 64],
  lb_services: [4, 32],
  lb_backends: [8, 64],
  lb_ring: [128, 64],
} as const;

/** The maps as the steps leave them: what bpftool does to arrays and hashes. */
class Maps {
  readonly #maps = new Map<string, Map<string, string[]>>();
  own = ["198.51.100.1"];

  constructor() {
    for (const [name, [entries, size]] of Object.entries(SIZES)) {
      const map = new Map<string, string[]>();
      for (let index = 0; index < entries; index += 1)
        map.set(
          [index & 255, index >> 8, 0, 0].map((byte) => byte.toString(16).padStart(2, "0")).join(" "),
          new Array<string>(size).fill("00"),
        );
      this.#maps.set(name, map);
    }
  }

  apply(steps: readonly Step[]): void {
    for (const step of steps) {
      if (step.tool !== "bpftool") throw new Error(`a step of ${step.tool}`);
      const [, verb, , pin = ""] = step.args;
      const [key, value] = [step.args.indexOf("key"), step.args.indexOf("value")];
      const name = pin.split("/").at(-1) ?? "";
      const map = this.#maps.get(name) ?? this.#maps.set(name, new Map()).get(name)!;
      const words = step.args.slice(key + 2, value < 0 ? undefined : value).join(" ");
      if (verb === "delete") map.delete(words);
      else map.set(words, [...step.args.slice(value + 2)]);
    }
  }

  facts(): Facts {
    const hex = (word: string) => `0x${word}`;
    return {
      get: (query: Query): Fact => {
        if (query.tool === "ip")
          return { ok: true, value: [{ ifname: "eth0", addr_info: this.own.map((local) => ({ local })) }] };
        if (query.tool !== "bpftool") throw new Error(queryKey(query));
        const entries =
          this.#maps.get(query.args.at(-1)?.split("/").at(-1) ?? "") ?? new Map<string, string[]>();
        const value = [...entries].map(([key, words]) => ({
          key: key.split(" ").map(hex),
          value: words.map(hex),
        }));
        return { ok: true, value };
      },
    };
  }
}

const specOf = (services: object, more: object = {}) =>
  l4lbServices.schema.parse({ program: "lb", capacity, services, ...more });
const forward = { form: "ipip" };
const context = { owner: "netloom:test" };

const two = specOf({
  "tcp 192.0.2.80:80": {
    policy: "maglev",
    forward,
    backends: { "10.0.0.1": {}, "10.0.0.2": { weight: 2 }, "10.0.0.3": {} },
  },
  "udp [2001:db8::53]:0": {
    policy: "weighted",
    forward: { form: "gue", source: "flow", address: "2001:db8::1", mtu: 1500, dscp: 46, noChecksum: true },
    backends: { "2001:db8:1::1": { weight: 3 }, "2001:db8:1::2": { weight: 2, state: "draining" } },
  },
});

/** The other specs that a change may lead to and from. */
const others = [
  specOf({
    "tcp 192.0.2.80:80": { policy: "maglev", forward, backends: { "10.0.0.1": {}, "10.0.0.3": {} } },
  }),
  specOf({
    "tcp 192.0.2.80:80": {
      policy: "round-robin",
      forward: { form: "mac", next: "mac" },
      backends: { "10.0.0.9": { mac: "02:00:00:00:00:09", state: "down" } },
    },
    "tcp 192.0.2.80:443": { policy: "least-flows", forward, backends: { "10.0.0.1": {}, "10.0.0.2": {} } },
  }),
  specOf(
    { "udp 192.0.2.81:53": { policy: "least-bytes", forward, backends: { "10.0.0.1": { weight: 256 } } } },
    { echo: false, timeouts: { tcp: 60 }, decay: 9, hold: 50 },
  ),
];
type Spec = typeof two;

const observed = (maps: Maps, ...specs: [Spec, ...Spec[]]) => l4lbServices.observe(maps.facts(), specs);
function change(maps: Maps, desired: Spec | undefined, from: Spec): readonly Step[] {
  const steps = l4lbServices.plan(observed(maps, desired ?? from, from), desired, context);
  maps.apply(steps);
  return steps;
}
function expectThere(maps: Maps, spec: Spec): void {
  const there = observed(maps, spec);
  expect({ ...there, tables: undefined }).toEqual({ ...spec, tables: undefined });
  expect(l4lbServices.plan(there, spec, context)).toEqual([]);
}

test.each(others.map((_, index) => index))("goes to another state and back: %d", (index) => {
  const maps = new Maps();
  change(maps, two, two);
  expectThere(maps, two);
  change(maps, others[index], two);
  expectThere(maps, others[index]!);
  change(maps, two, others[index]!);
  expectThere(maps, two);
});

test("gets there from wherever it was interrupted", () => {
  for (const other of others) {
    const whole = new Maps();
    change(whole, two, two);
    const steps = l4lbServices.plan(observed(whole, other, two), other, context);
    for (let length = 0; length < steps.length; length += 7) {
      const maps = new Maps();
      change(maps, two, two);
      const again = l4lbServices.plan(observed(maps, other, two), other, context);
      maps.apply(again.slice(0, length));
      change(maps, other, two);
      expectThere(maps, other);
    }
  }
});

test("is gone when it is removed, with nothing left that leads to a backend", () => {
  const maps = new Maps();
  change(maps, two, two);
  change(maps, undefined, two);
  expect(observed(maps, two)).toBeUndefined();
  change(maps, two, two);
  expectThere(maps, two);
});

const mapsOf = (steps: readonly Step[]) =>
  steps.map((step) => ("args" in step ? (step.args[3] ?? "").split("/").at(-1) : step.tool));

describe("what changes is a few entries:", () => {
  const changed = (props: object) => {
    const maps = new Maps();
    change(maps, two, two);
    const web = two.services["tcp 192.0.2.80:80"]!;
    const spec = specOf({ ...two.services, "tcp 192.0.2.80:80": { ...web, ...props } });
    return mapsOf(change(maps, spec, two));
  };
  const { backends } = two.services["tcp 192.0.2.80:80"]!;

  test("draining one is one entry", () => {
    const draining = { ...backends, "10.0.0.1": { weight: 1, state: "draining" } };
    expect(changed({ backends: draining })).toEqual(["lb_backends"]);
  });

  test("one more is its entry, and lines of the ring", () => {
    const steps = changed({ backends: { ...backends, "10.0.0.4": {} } });
    expect(steps.filter((map) => map === "lb_backends")).toHaveLength(1);
    expect(steps.filter((map) => map === "lb_services")).toEqual([]);
    expect(steps.filter((map) => map === "lb_ring").length).toBeLessThanOrEqual(32);
    expect(steps.indexOf("lb_backends")).toBeLessThan(steps.indexOf("lb_ring"));
  });

  test("one fewer leaves the ring before its entry is cleared", () => {
    const steps = changed({ backends: { "10.0.0.2": backends["10.0.0.2"], "10.0.0.3": {} } });
    expect(steps.at(-1)).toBe("lb_backends");
    expect(steps.filter((map) => map === "lb_backends")).toHaveLength(1);
  });
});

test("a backend that comes takes an index under another generation, and is up until it is asked", () => {
  const maps = new Maps();
  change(maps, two, two);
  const steps = change(maps, others[1], two);
  const fresh = mapsOf(steps);
  expect(fresh).toEqual(expect.arrayContaining(["lb_health", "lb_reported", "lb_backend_stats"]));
  const generations = (there: ReturnType<typeof observed>) =>
    Object.values(there?.tables?.backends ?? {}).map((digits) => digits.slice(2 * 37, 2 * 38));
  expect(new Set(generations(observed(maps, others[1]!)))).toEqual(new Set(["01"]));
  change(maps, two, others[1]!);
  expect(generations(observed(maps, two))).toContain("02");
});

test("the seed is drawn once and kept", () => {
  const maps = new Maps();
  change(maps, two, two);
  const seed = observed(maps, two)?.tables?.control.slice(0, 16);
  expect(seed).not.toBe("0".repeat(16));
  change(maps, specOf(two.services, { timeouts: { udp: 5 } }), two);
  expect(observed(maps, two)?.tables?.control.slice(0, 16)).toBe(seed);
});

describe("refuses", () => {
  const problems = (spec: Spec) =>
    (l4lbServices.check?.(spec) ?? []).map(({ path, message }) => `${path.join(".")}: ${message}`);

  test("a VIP that is the host's own, before anything is written", () => {
    const maps = new Maps();
    maps.own = ["192.0.2.80"];
    expect(() => observed(maps, two)).toThrow(
      /^192\.0\.2\.80 of the service tcp 192\.0\.2\.80:80 is an address of this host's own, on eth0/,
    );
    maps.own = [];
    change(maps, two, two);
    // One that is served already can still be looked at, and removed.
    maps.own = ["192.0.2.80"];
    change(maps, undefined, two);
    expect(() => observed(maps, two)).toThrow();
  });

  test("more than there is room for, by name and number", () => {
    const many = Object.fromEntries(Array.from({ length: 9 }, (_, nth) => [`10.0.0.${nth + 1}`, {}]));
    expect(
      problems(specOf({ "tcp 192.0.2.80:80": { policy: "least-flows", forward, backends: many } })),
    ).toEqual(["services: have 9 backends together, and the balancer is built for 8"]);
    const services = Array.from({ length: 5 }, (_, nth) => [
      `tcp 192.0.2.80:${nth + 1}`,
      { policy: "least-flows", forward, backends: { "10.0.0.1": {} } },
    ]);
    expect(problems(specOf(Object.fromEntries(services) as object))).toEqual([
      "services: are 5, and the balancer is built for 4",
    ]);
    const wide = { "10.0.0.1": { weight: 1 }, "10.0.0.2": { weight: 256 } };
    expect(problems(specOf({ "tcp 192.0.2.80:80": { policy: "maglev", forward, backends: wide } }))).toEqual([
      expect.stringMatching(/^services: need tables of 2049 lines, and the balancer is built for 128/),
    ]);
  });

  test("families that do not go together, and a MAC that is missing", () => {
    const mixed = (more: object) =>
      problems(specOf({ "tcp 192.0.2.80:80": { forward: more, backends: { "2001:db8::1": {} } } }));
    expect(mixed({ form: "ipip" })).toEqual([
      expect.stringMatching(/from IPv4 .* to IPv6 .*: give a source$/),
    ]);
    expect(mixed({ form: "ipip", source: "own", address: "2001:db8::9" })).toEqual([]);
    expect(mixed({ form: "ipip", source: "own", address: "192.0.2.9" })).toEqual([
      expect.stringMatching(/the outer source 192\.0\.2\.9 is IPv4, and the backend 2001:db8::1 is IPv6/),
    ]);
    expect(mixed({ form: "mac", next: "mac" })).toEqual([expect.stringMatching(/mac: is missing/)]);
  });
});
