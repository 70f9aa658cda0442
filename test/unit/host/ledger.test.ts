import fc from "fast-check";
import type { LedgerEntry, LedgerRecord } from "../../../lib/host/operation";
import { Journal } from "../../../lib/host/ledger";
import { hostFolders, ledgerPlace } from "../../../lib/host/lock";

const record = (key: string, n = 0): LedgerRecord => ({ key, urn: "urn", how: "created", specs: [{ n }] });
const set = (key: string, n = 0): LedgerEntry => ({ op: "set", record: record(key, n) });
const forget = (key: string): LedgerEntry => ({ op: "forget", key });
const text = (entries: readonly LedgerEntry[]) =>
  entries.map((entry) => `${JSON.stringify(entry)}\n`).join("");

test("the last entry about a key holds", () => {
  const journal = Journal.parse(text([set("a", 1), set("b"), set("a", 2), forget("b")]));
  expect(journal.list()).toEqual([record("a", 2)]);
  expect(journal.get("b")).toBeUndefined();
});

test.each(['{"op":"set","rec', '{"op":"set","record":{"key":"b"}}\n', "\0\0\0\0", "\0\0\n"])(
  "a last line cut short (%j) is passed over, and the next write makes the file whole",
  (tail) => {
    const journal = Journal.parse(text([set("a")]) + tail);
    expect(journal.list()).toEqual([record("a")]);
    expect(journal.present).toBe(true);
    const { write } = journal.with([set("c")]);
    expect(write).toEqual({
      how: "rewrite",
      lines: [set("a"), set("c")].map((entry) => JSON.stringify(entry)),
    });
  },
);

test("a line without a meaning that is not the last is an error", () => {
  expect(() => Journal.parse(`${text([set("a")])}gibberish\n${text([set("b")])}`)).toThrow(
    "line 2 of the ledger",
  );
});

test("an entry costs one line, until the file has twice as many lines as records and a hundred", () => {
  let { journal } = Journal.empty.with([set("a")]);
  const kinds = Array.from({ length: 120 }, (_, n) => {
    const next = journal.with([set("a", n)]);
    journal = next.journal;
    return next.write.how;
  });
  expect(kinds.indexOf("rewrite")).toBe(101);
  expect(kinds.filter((how) => how === "rewrite")).toHaveLength(1);
  expect(journal.list()).toEqual([record("a", 119)]);
});

test("without a record there is no file", () => {
  const { journal, write } = Journal.parse(text([set("a")])).with([forget("a")]);
  expect(write).toEqual({ how: "drop" });
  expect(journal.present).toBe(false);
});

test("what is written is what is read, through any number of entries", () => {
  const key = fc.constantFrom("a", "b", "c", "d");
  const entry = fc.oneof(
    fc.tuple(key, fc.nat(9)).map(([k, n]) => set(k, n)),
    key.map(forget),
  );
  fc.assert(
    fc.property(fc.array(fc.array(entry, { minLength: 1, maxLength: 80 }), { maxLength: 12 }), (batches) => {
      let journal = Journal.empty;
      let file = "";
      for (const entries of batches) {
        const next = journal.with(entries);
        const lines = "lines" in next.write ? next.write.lines.map((line) => `${line}\n`).join("") : "";
        file = next.write.how === "append" ? file + lines : lines;
        journal = next.journal;
        expect(Journal.parse(file).list()).toEqual(journal.list());
        expect(Journal.parse(file).present).toBe(journal.present);
      }
    }),
  );
});

test("a stack's folder cannot leave the ledgers', nor be another stack's", () => {
  expect(ledgerPlace(hostFolders, "gre-lab/dev")).toEqual({
    file: "/var/lib/netloom/gre-lab/dev/ledger.jsonl",
    folders: ["/var/lib/netloom/gre-lab/dev", "/var/lib/netloom/gre-lab", "/var/lib/netloom"],
  });
  const files = ["../../etc", "a/..", "a/.", "a//b", "a b/c", "a%20b/c", "ä/ö", "a\nb", "/"].map(
    (stack) => ledgerPlace(hostFolders, stack).file,
  );
  for (const file of files)
    expect(file).toMatch(/^\/var\/lib\/netloom(\/(?!\.+\/)[A-Za-z0-9_.%-]+)+\/ledger\.jsonl$/);
  expect(new Set(files).size).toBe(files.length);
});
