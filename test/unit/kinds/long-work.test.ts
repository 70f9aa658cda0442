import { longWork } from "../../../lib/kinds/long-work";

const object = {
  files: {},
  object: "/var/lib/netloom/x/netagg.ko",
  record: "/var/lib/netloom/x/netagg.record",
};

test("what is built and installed is told, in its order", () => {
  expect(
    longWork([
      { tool: "apt-get", args: ["update"] },
      { tool: "apt-get", args: ["--no-remove", "install", "--", "gcc", "make"] },
      { tool: "cc", args: ["netagg.c"], ...object, object: "/var/lib/netloom/x/netagg" },
      { tool: "kbuild", module: "netagg", ...object },
      { tool: "module-load", module: "netagg", object: object.object },
    ]),
  ).toBe("fetching package lists, installing gcc make, building netagg, building netagg.ko");
});

test("what is done at once is not worth a word", () => {
  expect(longWork([{ tool: "ip", args: ["link", "add", "x", "type", "dummy"] }])).toBeUndefined();
  expect(longWork([])).toBeUndefined();
});
