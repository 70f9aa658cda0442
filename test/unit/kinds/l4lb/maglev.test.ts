import { maglevTable, type MaglevMember } from "../../../../lib/kinds/l4lb/maglev";

const members = (count: number, weight: (index: number) => number = () => 1): MaglevMember[] =>
  Array.from({ length: count }, (_, index) => ({
    name: `10.0.${index >> 8}.${index & 255}`,
    weight: weight(index),
  }));

const shares = (table: readonly number[], count: number) => {
  const places = new Array<number>(count).fill(0);
  for (const index of table) places[index]! += 1;
  return places;
};

/** The part of the table that names another member than before. */
const moved = (before: readonly string[], after: readonly string[]) =>
  before.filter((name, place) => name !== after[place]).length / before.length;

const named = (list: readonly MaglevMember[], size: number) =>
  maglevTable(list, size).map((index) => list[index]!.name);

test("every place of the table has a member", () => {
  const table = maglevTable(members(5), 1009);
  expect(table).toHaveLength(1009);
  expect(shares(table, 5).every((places) => places > 0)).toBe(true);
});

test("equal members have shares that differ by one place", () => {
  for (const count of [1, 2, 3, 7, 100]) {
    const places = shares(maglevTable(members(count), 65_537), count);
    expect(Math.max(...places) - Math.min(...places)).toBeLessThanOrEqual(1);
  }
});

test("a hundred members of 65,537 places are even within 1 percent", () => {
  const places = shares(maglevTable(members(100), 65_537), 100);
  for (const one of places) expect(Math.abs(one / (65_537 / 100) - 1)).toBeLessThan(0.01);
});

test("weights are shares, within 1 percent", () => {
  const weights = [1, 2, 3, 5, 10];
  const places = shares(
    maglevTable(
      members(5, (index) => weights[index]!),
      65_537,
    ),
    5,
  );
  weights.forEach((weight, index) => {
    expect(Math.abs(places[index]! / ((65_537 * weight) / 21) - 1)).toBeLessThan(0.01);
  });
});

test("the order in which members are written changes nothing", () => {
  const list = members(9, (index) => 1 + (index % 3));
  expect(named([...list].reverse(), 4099)).toEqual(named(list, 4099));
});

test("a member that goes moves its own places and few others", () => {
  const list = members(10);
  const [before, after] = [named(list, 65_537), named(list.slice(1), 65_537)];
  const gone = list[0]!.name;
  expect(after).not.toContain(gone);
  const others =
    before.filter((name, place) => name !== gone && name !== after[place]).length / before.length;
  // The paper's figure 12: a few percent where one of ten goes.
  expect(others).toBeLessThan(0.05);
});

test("a member that comes takes its share and moves few other places", () => {
  const list = members(10);
  const share = 1 / 11;
  const part = moved(named(list, 65_537), named([...list, { name: "10.9.9.9", weight: 1 }], 65_537));
  expect(part).toBeGreaterThan(share * 0.99);
  expect(part).toBeLessThan(share + 0.05);
});

test("a weight that changes moves little beyond the difference", () => {
  const list = members(10, () => 10);
  const heavier = list.map((member, index) => (index === 3 ? { ...member, weight: 20 } : member));
  const part = moved(named(list, 65_537), named(heavier, 65_537));
  expect(part).toBeGreaterThan(20 / 110 - 10 / 100 - 0.01);
  expect(part).toBeLessThan(0.25);
});

test("no members make an empty table, one member has all of it", () => {
  expect(maglevTable([], 101)).toEqual(new Array(101).fill(-1));
  expect(new Set(maglevTable(members(1), 101))).toEqual(new Set([0]));
});
