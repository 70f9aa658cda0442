import fc from "fast-check";
import { assignNumbers, numberSubscribers, ownNumber } from "../../../../constructs/isp/numbers";
import { cpuTimeOf } from "./helpers";
import type { Numbered } from "../../../../constructs/isp/numbers";

const limit = (capacity: number) => [{ what: "the pool", capacity }];
const id = fc.oneof(
  fc.string({ minLength: 1, maxLength: 12 }),
  fc.nat(3_000).map((n) => `pi-${n}`),
  fc.nat(90_000).map(String),
);
const subscribers = (least = 0) =>
  fc.uniqueArray(
    fc.record({ id, number: fc.option(fc.integer({ min: 1, max: 61_439 }), { nil: undefined }) }),
    { selector: (one) => one.id, minLength: least, maxLength: 60 },
  );

describe("A line number", () => {
  it.each<[Numbered, number]>([
    [{ id: "pi-17", number: 5 }, 5],
    [{ id: "17" }, 17],
    [{ id: "pi-17" }, 17],
    [{ id: "AB0064" }, 64],
  ])("of %j is %i", (subscriber, number) => {
    expect(ownNumber(subscriber, 64)).toBe(number);
  });

  it("is hashed, the same in every release, for an id without a number in range", () => {
    expect(ownNumber({ id: "shop" }, 61_439)).toBe(36_085);
    for (const other of ["pi-0", "pi-65", "pi-999999", "shop"]) {
      const number = ownNumber({ id: other }, 64);
      expect(number).toBeGreaterThanOrEqual(1);
      expect(number).toBeLessThanOrEqual(64);
    }
  });

  it("does not change when others come, go or are listed in another order", () => {
    fc.assert(
      fc.property(subscribers(1), fc.infiniteStream(fc.boolean()), (all, stays) => {
        const before = numberSubscribers(all);
        const rest = all.filter(() => stays.next().value as boolean).reverse();
        const after = numberSubscribers(rest);
        // Contested numbers are an error; whoever has one in both sets has the same.
        for (const [who, number] of after.numbers) {
          if (before.numbers.has(who)) expect(number).toBe(before.numbers.get(who));
        }
        if (before.findings.length === 0) {
          expect(after.findings).toEqual([]);
          for (const one of rest) expect(after.numbers.get(one.id)).toBe(before.numbers.get(one.id));
        }
      }),
    );
  });

  it("is never given twice", () => {
    fc.assert(
      fc.property(subscribers(), (all) => {
        const { numbers, findings } = numberSubscribers(all);
        expect(new Set(numbers.values()).size).toBe(numbers.size);
        expect(numbers.size + findings.length).toBe(all.length);
      }),
    );
  });

  it("that two want is an error that offers a free one", () => {
    const { numbers, findings } = numberSubscribers(
      [{ id: "b-2" }, { id: "a-2" }, { id: "x", number: 3 }],
      limit(4),
    );
    expect([...numbers]).toEqual(
      expect.arrayContaining([
        ["a-2", 2],
        ["x", 3],
      ]),
    );
    expect(findings).toEqual([
      {
        path: 'subscriber "b-2"',
        message: 'its number would be 2, which is "a-2"\'s; write down "number" for it: 4 is free',
      },
    ]);
  });

  it("that is written down goes before one that an id leads to", () => {
    const { numbers } = numberSubscribers([{ id: "2" }, { id: "z", number: 2 }], limit(4));
    expect(numbers.get("z")).toBe(2);
    expect(numbers.has("2")).toBe(false);
  });

  it("beyond the pool is an error", () => {
    expect(numberSubscribers([{ id: "a", number: 5 }], limit(4)).findings).toEqual([
      {
        path: 'subscriber "a"',
        message: "number 5 is beyond the pool, which has room for the numbers 1 to 4",
      },
    ]);
  });

  it("cannot be had by more subscribers than there are numbers", () => {
    const many = Array.from({ length: 5 }, (_, i) => ({ id: `s${i}` }));
    expect(numberSubscribers(many, limit(4)).findings).toEqual([
      { message: "the pool fits 4 subscribers and there are 5" },
    ]);
  });
});

describe("Numbers to be written down", () => {
  it("are different for everybody, keep what is fixed, and settle everything once they are written", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(id, { maxLength: 64 }),
        fc.uniqueArray(fc.integer({ min: 1, max: 64 }), { maxLength: 64 }),
        fc.infiniteStream(fc.boolean()),
        (ids, fixed, stays) => {
          const all = ids.map((one, i): Numbered =>
            i < fixed.length / 2 ? { id: one, number: fixed[i] } : { id: one },
          );
          const numbers = assignNumbers(all, limit(64));
          expect([...numbers.keys()].sort()).toEqual([...ids].sort());
          expect(new Set(numbers.values()).size).toBe(ids.length);
          for (const one of all) if (one.number !== undefined) expect(numbers.get(one.id)).toBe(one.number);
          const written = ids.map((one): Numbered => ({ id: one, number: numbers.get(one) }));
          const some = written.filter(() => stays.next().value as boolean);
          for (const set of [written, some]) {
            const again = numberSubscribers(set, limit(64));
            expect(again.findings).toEqual([]);
            for (const one of set) expect(again.numbers.get(one.id)).toBe(one.number);
          }
        },
      ),
    );
  });

  it("fill a pool to the last number, in no time", () => {
    const all = Array.from({ length: 61_439 }, (_, i) => ({ id: `subscriber ${i} of many` }));
    const time = cpuTimeOf(() => {
      expect(new Set(assignNumbers(all).values()).size).toBe(61_439);
    });
    expect(time).toBeLessThan(3_000);
    expect(() => assignNumbers([...all, { id: "one more" }])).toThrow(RangeError);
  });
});
