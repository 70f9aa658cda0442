import { checkInputs } from "../../../lib/provider/check";
import { UNKNOWN, type Properties } from "../../../lib/provider/properties";
import { noteKind } from "../../support/note-kind";

const kind = noteKind("/notes");
const check = (values: Record<string, unknown>, secrets: Properties["secrets"] = []) =>
  checkInputs(kind, { values: { host: { name: "edge" }, ...values }, secrets });
const failures = (values: Record<string, unknown>, secrets: Properties["secrets"] = []) =>
  Object.fromEntries(check(values, secrets).failures.map(({ property, reason }) => [property, reason]));

describe("checking inputs", () => {
  test("defaults are filled in and values become canonical", () => {
    const { inputs, failures: wrong } = check({ name: "a", lines: ["010", "2"] });
    expect(wrong).toEqual([]);
    expect(inputs.values).toEqual({ name: "a", colour: "red", lines: ["10", "2"], host: { name: "edge" } });
  });

  test.each([
    ["a missing property", { text: "x" }, "name", "is required: a string"],
    ["a property nobody knows", { name: "a", nmae: "b" }, "nmae", "there is no such property"],
    ["a wrong type", { name: "a", text: 5 }, "text", "Invalid input: expected string, received number"],
    ["a value inside a list", { name: "a", lines: ["1", "x"] }, "lines[1]", "must be a number"],
    [
      "a value inside a list of an object",
      { name: "a", peer: { name: "p", addresses: ["10.1", "x"] } },
      "peer.addresses[1]",
      'Invalid string: must start with "10."',
    ],
    [
      "a value of a map",
      { name: "a", labels: { "net/x": 1 } },
      'labels["net/x"]',
      "Invalid input: expected string, received number",
    ],
    [
      "a property that does not go with another",
      { name: "a", text: "a" },
      "text",
      "must not repeat the name",
    ],
    ["a host without a name", { name: "a", host: { address: "x" } }, "host.name", "is required: a string"],
    [
      "an unknown field of the host",
      { name: "a", host: { name: "e", pass: "x" } },
      "host.pass",
      "there is no such property",
    ],
    [
      "an address that ssh takes for an option",
      { name: "a", host: { name: "e", address: "-oProxyCommand=x" } },
      "host.address",
      expect.stringContaining("must be a host name"),
    ],
    [
      "a user with a shell's characters",
      { name: "a", host: { name: "e", user: "x;reboot" } },
      "host.user",
      "must be a login name",
    ],
    [
      "a host key of two lines",
      { name: "a", host: { name: "e", hostKey: "ssh-ed25519 AAAA\nssh-rsa BBBB" } },
      "host.hostKey",
      expect.stringContaining("public key"),
    ],
    [
      "a jump host with a space",
      { name: "a", host: { name: "e", jumpHost: "a b" } },
      "host.jumpHost",
      expect.stringContaining("[user@]address[:port]"),
    ],
    [
      "adopt that is no boolean",
      { name: "a", adopt: "yes" },
      "adopt",
      "Invalid input: expected boolean, received string",
    ],
  ])("%s fails by its path", (_, values, property, reason) => {
    expect(failures(values)).toEqual({ [property]: reason });
  });

  test("every finding is reported, not only the first", () => {
    expect(Object.keys(failures({ name: "A", text: 5, lines: ["x"], host: {} })).sort()).toEqual([
      "host.name",
      "lines[0]",
      "name",
      "text",
    ]);
  });

  test("a secret is in no reason, in any way of writing it", () => {
    // Nor is the property: the engine prints the value of a property that it is told of, secret or not.
    expect(failures({ name: "a", key: -7345 }, [["key"]])).toEqual({
      "": "key: [secret] must be at least 1",
    });
    expect(failures({ name: "a", key: -7345 })).toEqual({ "": "key: [secret] must be at least 1" });
    expect(JSON.stringify(failures({ name: "a", lines: ["hunter2!"] }, [["lines"]]))).not.toContain(
      "hunter2",
    );
  });

  test("a property that the kind calls secret is one, whatever the program says", () => {
    expect(check({ name: "a", key: 7 }).inputs.secrets).toEqual([["key"]]);
  });
});

describe("checking inputs of which some are not known yet", () => {
  test("unknowns are accepted, and the rest is canonical with its defaults", () => {
    const { inputs, failures: wrong } = check({
      name: UNKNOWN,
      lines: ["010"],
      peer: { name: UNKNOWN, addresses: ["10.1"] },
    });
    expect(wrong).toEqual([]);
    expect(inputs.values).toEqual({
      name: UNKNOWN,
      colour: "red",
      lines: ["10"],
      peer: { name: UNKNOWN, addresses: ["10.1"] },
      host: { name: "edge" },
    });
  });

  test("what is known and wrong still fails, also beside an unknown", () => {
    expect(failures({ name: UNKNOWN, text: 5, peer: { name: UNKNOWN, addresses: ["x"] }, other: 1 })).toEqual(
      {
        text: expect.any(String),
        "peer.addresses[0]": expect.any(String),
        other: "there is no such property",
      },
    );
  });

  test("checks between properties wait until all are known", () => {
    expect(failures({ name: "a", text: "a", key: UNKNOWN })).toEqual({});
    expect(failures({ name: "a", text: "a", key: 7 })).toEqual({ text: "must not repeat the name" });
  });

  test("a host may be known by name only, or not at all", () => {
    expect(failures({ name: "a", host: { name: "e", address: UNKNOWN } })).toEqual({});
    expect(failures({ name: "a", host: UNKNOWN })).toEqual({});
  });
});
