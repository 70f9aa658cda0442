import type { z } from "zod";
import { namespace } from "../../../lib/kinds/namespace";
import type { Facts, FileFact } from "../../../lib/kinds/step";

type Input = z.input<typeof namespace.schema>;
type State = z.output<typeof namespace.schema>;

const spec = (given: Partial<Input> = {}) => namespace.schema.parse({ name: "n", ...given });
const plan = (current: State | undefined, desired: State | undefined) =>
  namespace.plan(current, desired, { owner: "" });
const problems = (given: object) =>
  (namespace.schema.safeParse({ name: "n", ...given }).error?.issues ?? []).map(
    ({ path, message }) => `${path.join(".")}: ${message}`,
  );

const path = "/etc/netns/n/resolv.conf";
const add = { tool: "ip", args: ["netns", "add", "n"] };
const del = { tool: "ip", args: ["netns", "del", "n"] };
const up = { tool: "ip", netns: "n", args: ["link", "set", "dev", "lo", "up"] };
const write = (content: string) => ({
  tool: "write",
  path,
  file: { content, mode: "0644", owner: "root:root" },
});
const remove = { tool: "remove", path, prune: ["/etc/netns/n", "/etc/netns"] };

describe("plans", () => {
  const conf = { resolvConf: { nameservers: ["192.0.2.53", "::1"], search: ["a.example", "b.example"] } };

  test.each<[string, State | undefined, State | undefined, object[]]>([
    ["a namespace with its loopback", undefined, spec(), [add, up]],
    ["one whose loopback stays down", undefined, spec({ loopback: false }), [add]],
    [
      "settings and name servers",
      undefined,
      spec({ sysctls: { "net.ipv4.ip_forward": "1" }, ...conf }),
      [
        add,
        up,
        { tool: "sysctl", netns: "n", values: { "net/ipv4/ip_forward": "1" } },
        write("search a.example b.example\nnameserver 192.0.2.53\nnameserver ::1\n"),
      ],
    ],
    ["nothing for what is there", spec(conf), spec(conf), []],
    ["a loopback that is down", spec({ loopback: false }), spec(), [up]],
    [
      "a namespace that a reboot took: what is in the file stays",
      { name: "n", resolvConf: spec(conf).resolvConf } as State,
      spec(conf),
      [add, up],
    ],
    [
      "settings that others added to stay",
      spec({ sysctls: { "net/ipv4/x": "1", "net/ipv4/y": "1" } }),
      spec({ sysctls: { "net/ipv4/x": "1" } }),
      [],
    ],
    ["no name servers any more", spec(conf), spec({ resolvConf: { nameservers: [] } }), [remove]],
    ["the end: the file before the namespace", spec(conf), undefined, [remove, del]],
    ["the end of one without a file", spec(), undefined, [del]],
    [
      "the end of a file that a reboot left",
      { name: "n", resolvConf: spec(conf).resolvConf } as State,
      undefined,
      [remove],
    ],
  ])("%s", (_, current, desired, steps) => {
    expect(plan(current, desired)).toEqual(steps);
  });
});

describe("what is refused", () => {
  test.each<[object, RegExp]>([
    [{ name: "a b" }, /^name: /],
    [{ name: "../x" }, /^name: /],
    [{ name: "$(id)" }, /^name: /],
    [{ loopback: "yes" }, /^loopback: must be true or false/],
    [{ resolvConf: { nameservers: ["dns.example"] } }, /^resolvConf\.nameservers\.0: .*not an IP address/],
    [{ resolvConf: { nameservers: [], search: ["a b"] } }, /^resolvConf\.search\.0: must be a domain name/],
    [{ resolvConf: { nameservers: [], search: ["x\nnameserver 192.0.2.66"] } }, /^resolvConf\.search\.0: /],
    [{ sysctls: { "/etc/passwd": "1" } }, /^sysctls/],
  ])("%j", (given, message) => {
    expect(problems(given).join("\n")).toMatch(message);
  });
});

describe("resolv.conf is read", () => {
  const facts = (file: Partial<FileFact> | undefined): Facts => ({
    get(query) {
      if (query.tool === "file") {
        return {
          ok: true,
          value:
            file === undefined ? {} : { [path]: { mode: "0644", owner: "root:root", content: "", ...file } },
        };
      }
      return {
        ok: true,
        value:
          query.tool === "ip" && query.args[0] === "netns"
            ? [{ name: "n", id: 3 }]
            : [{ flags: ["LOOPBACK", "UP"] }],
      };
    },
  });
  const read = (file: Partial<FileFact> | undefined) =>
    namespace.observe(facts(file), [spec({ resolvConf: { nameservers: ["192.0.2.1"] } })])?.resolvConf;

  test.each<[string, Partial<FileFact> | undefined, object]>([
    ["none", undefined, { nameservers: [], search: [] }],
    [
      "ours",
      { content: "search a b\nnameserver 192.0.2.1\nnameserver ::1\n" },
      { nameservers: ["192.0.2.1", "::1"], search: ["a", "b"] },
    ],
    [
      "comments and blanks",
      { content: "# by hand\n\n;x\n  nameserver\t192.0.2.1  \n" },
      { nameservers: ["192.0.2.1"], search: [] },
    ],
    ["the last search counts", { content: "search a\nsearch b\n" }, { nameservers: [], search: ["b"] }],
    [
      "options",
      { content: "nameserver 192.0.2.1\noptions rotate\n" },
      { nameservers: ["192.0.2.1"], search: [], unrecognised: ["options rotate"] },
    ],
    [
      "another mode and owner",
      { content: "nameserver 192.0.2.1\n", mode: "0600", owner: "nobody:root" },
      { nameservers: ["192.0.2.1"], search: [], unrecognised: ["mode 0600", "owner nobody:root"] },
    ],
    [
      "an empty file is not none",
      { content: "" },
      { nameservers: [], search: [], unrecognised: ["an empty file"] },
    ],
  ])("%s", (_, file, expected) => {
    expect(read(file)).toEqual(expected);
  });

  test("one that is not asked for is not looked at", () => {
    expect(namespace.queries(spec()).map((query) => query.tool)).toEqual(["ip", "ip"]);
    expect(namespace.observe(facts({ content: "nameserver 192.0.2.9\n" }), [spec()])).toEqual(spec());
  });
});

test("a namespace claims its name", () => {
  expect(namespace.claims?.(spec())).toEqual([{ claim: "netns", netns: "n" }]);
  expect(namespace.locate(namespace.identity(spec()))).toEqual({ name: "n" });
  expect(namespace.locate(["n", "x"])).toBeUndefined();
});

test("what `ip` says is explained", () => {
  expect(namespace.explain?.("ip netns failed: unshare failed: Operation not permitted", spec())).toMatch(
    /CAP_SYS_ADMIN/,
  );
  expect(
    namespace.explain?.('ip netns failed: Cannot create namespace file "/run/netns/n": File exists', spec()),
  ).toMatch(/run the update again/);
  expect(namespace.explain?.("setting net/ipv4/x in netns n failed: no such kernel setting", spec())).toMatch(
    /no net\/ipv4\/x/,
  );
});
