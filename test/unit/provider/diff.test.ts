import { difference } from "../../../lib/provider/diff";
import { formatPath } from "../../../lib/provider/paths";
import { UNKNOWN } from "../../../lib/provider/properties";
import { noteKind } from "../../support/note-kind";

const kind = noteKind("/notes");
const host = { name: "edge", address: "192.0.2.1" };
const whole = {
  host,
  name: "a",
  text: "x",
  key: 7,
  colour: "red",
  lines: ["1", "2"],
  labels: { a: "1", b: "2" },
  peer: { name: "p", addresses: ["10.1", "10.2"] },
};

/** `path -> what`, with a star where it replaces. */
function diff(olds: object, news: object, ignore: string[] = []): Record<string, string> {
  const { changes } = difference(kind, olds as never, news as never, ignore);
  return Object.fromEntries(
    changes.map(({ path, change, replace }) => [formatPath(path), change + (replace ? "*" : "")]),
  );
}
const changed = (news: object, ignore: string[] = []) => diff(whole, { ...whole, ...news }, ignore);
const without = (property: string) =>
  diff(whole, Object.fromEntries(Object.entries(whole).filter(([key]) => key !== property)));

describe("a difference", () => {
  test.each<[string, object, Record<string, string>]>([
    ["nothing", {}, {}],
    [
      "the order of keys",
      { peer: { addresses: ["10.1", "10.2"], name: "p" }, labels: { b: "2", a: "1" } },
      {},
    ],
    ["a value", { text: "y" }, { text: "update" }],
    ["a secret value", { key: 8 }, { key: "update" }],
    ["a value that replaces", { colour: "blue" }, { colour: "update*" }],
    ["the name", { name: "b" }, { name: "update*" }],
    ["another host", { host: { name: "core" } }, { "host.name": "update*" }],
    [
      "another way to the host",
      { host: { name: "edge", address: "192.0.2.9", port: 2222, hostKey: "ssh-ed25519 AAAA", user: "u" } },
      {},
    ],
    ["the host's address not known yet", { host: { name: "edge", address: UNKNOWN } }, {}],
    ["the host not known yet", { host: UNKNOWN }, { host: "update*" }],
    ["adopt", { adopt: true, deleteAdopted: true }, {}],
    [
      "a value in a nested list",
      { peer: { name: "p", addresses: ["10.1", "10.3"] } },
      { "peer.addresses[1]": "update" },
    ],
    ["a member more, before the others", { lines: ["0", "1", "2"] }, { "lines[0]": "add" }],
    ["a member less", { lines: ["2"] }, { "lines[0]": "delete" }],
    ["a member for another", { lines: ["2", "3"] }, { "lines[0]": "delete", "lines[1]": "add" }],
    ["a key more", { labels: { a: "1", b: "2", "c/d": "3" } }, { 'labels["c/d"]': "add" }],
    ["a key less", { labels: { a: "1" } }, { "labels.b": "delete" }],
    ["a value not known yet", { text: UNKNOWN }, { text: "update" }],
    ["a replacing value not known yet", { colour: UNKNOWN }, { colour: "update*" }],
    ["a name not known yet", { name: UNKNOWN }, { name: "update*" }],
    ["an unknown inside a list", { lines: ["1", UNKNOWN] }, { "lines[1]": "update" }],
  ])("by %s", (_, news, expected) => {
    expect(changed(news)).toEqual(expected);
  });

  test("a default that was filled in since is none", () => {
    expect(diff({ ...whole, colour: undefined }, whole)).toEqual({});
  });

  test("a spelling of an earlier version is none", () => {
    expect(diff({ ...whole, lines: ["02", "1"] }, whole)).toEqual({});
  });

  test("a property taken out is one where the host changes by it, and none where the host keeps what it has", () => {
    expect(without("lines")).toEqual({ lines: "delete" });
    expect(without("text")).toEqual({});
    expect(without("colour")).toEqual({});
    expect(without("name")).toEqual({ name: "delete*" });
    expect(diff({ ...whole, lines: [] }, { ...whole, lines: undefined })).toEqual({});
  });

  test("a property that is new is one", () => {
    expect(diff({ ...whole, text: undefined }, whole)).toEqual({ text: "add" });
  });

  test.each<[string[], Record<string, string>]>([
    [[], { text: "update", "peer.addresses[1]": "update" }],
    [["text"], { "peer.addresses[1]": "update" }],
    [["peer"], { text: "update" }],
    [["peer.addresses[*]", "text"], {}],
    [["peer.addresses[0]"], { text: "update", "peer.addresses[1]": "update" }],
  ])("ignoreChanges %j leaves %j", (ignore, expected) => {
    expect(changed({ text: "y", peer: { name: "p", addresses: ["10.1", "10.9"] } }, ignore)).toEqual(
      expected,
    );
  });

  test("names are taken, so what is replaced goes first", () => {
    expect(difference(kind, whole, { ...whole, colour: "blue" }).deleteBeforeReplace).toBe(true);
    expect(difference(kind, whole, { ...whole, text: "y" }).deleteBeforeReplace).toBe(false);
    expect(difference(kind, whole, { ...whole, colour: "blue" }, ["colour"])).toEqual({
      changes: [],
      deleteBeforeReplace: false,
    });
  });
});
