import { readingOnce } from "../../../lib/kinds/found";
import type { Fact, Facts, Query } from "../../../lib/kinds/step";

const query: Query = { tool: "tc", args: ["class", "show", "dev", "v0"] };
const facts = (fact: Fact): Facts => ({ get: () => fact });

test("a fact is read once for all who ask, and another look is another fact", () => {
  let reads = 0;
  const lines = readingOnce((value) => {
    reads += 1;
    return String(value).split("\n");
  });
  const first: Fact = { ok: true, value: "a\nb" };
  expect([lines(facts(first), query), lines(facts(first), query)]).toEqual([
    ["a", "b"],
    ["a", "b"],
  ]);
  expect(reads).toBe(1);
  expect(lines(facts({ ok: true, value: "a" }), query)).toEqual(["a"]);
  expect(reads).toBe(2);
});

test("what is absent is read as nothing, and any other failure is an error every time", () => {
  const seen = readingOnce((value) => value ?? "nothing");
  const absent = facts({ ok: false, error: "Cannot find device v0" });
  expect(seen(absent, query, /Cannot find device/)).toBe("nothing");
  const failed = facts({ ok: false, error: "Terminated" });
  const again = () => seen(failed, query, /Cannot find device/);
  expect(again).toThrow("Terminated");
  expect(again).toThrow("Terminated");
});
