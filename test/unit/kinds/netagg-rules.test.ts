import { netaggRules } from "../../../lib/kinds/netagg-rules";
import type { Fact, Facts } from "../../../lib/kinds/step";

const path = (address: string, weight: number, port = 1234) => ({ address, port, weight });
const paths = [path("10.0.1.11", 7500), path("10.0.2.11", 2500)];
const parse = (...rules: object[]) => netaggRules.schema.parse({ netns: "ns", name: "agg", rules });
const owner = { owner: "x" };
/** The arguments of each step of a plan. */
const plan = (...[current, desired]: readonly (ReturnType<typeof parse> | undefined)[]) =>
  netaggRules.plan(current, desired, owner).map((step) => ("args" in step ? step.args : []));

/** A rule as `netagg -L` lists it, with what it counts. */
const listed = (rule: object) => ({
  ...rule,
  ...{ family: "inet", flows: 1, held: 0, filled: 0, expired: 0, lost: 0, icmp: 0 },
  paths: (rule as { paths: object[] }).paths.map((one) => ({
    ...one,
    ...{ weightInUse: 3, alive: true, txPackets: 10, txBytes: 15000, rxPackets: 5, rxBytes: 260 },
    ...{ retransmits: 0, rttUs: 20100, delayUs: 0, lossPpm: 0 },
  })),
});
/** A host with rules, and links with addresses as `ip address show` has them. */
const hostWith = (links: Readonly<Record<string, readonly string[]>>, ...rules: object[]): Facts => ({
  get: ({ tool }): Fact => ({
    ok: true,
    value:
      tool === "netagg"
        ? rules.map(listed)
        : Object.entries(links).map(([ifname, addresses]) => ({
            ifname,
            addr_info: addresses.map((one) => ({ local: one, prefixlen: one.includes(":") ? 64 : 24 })),
          })),
  }),
});
const facts = (...rules: object[]) => hostWith({}, ...rules);

test("rules are found by role and primary path, without what is counted, and others are left out", () => {
  const spec = parse({ role: "sender", paths });
  const other = parse({ role: "receiver", paths });
  expect(netaggRules.observe(facts(...other.rules, ...spec.rules), [spec])).toEqual(spec);
  expect(netaggRules.observe(facts(...other.rules), [spec])).toBeUndefined();
});

const onLinks = [
  { ...paths[0]!, dev: "eth1" },
  { ...paths[1]!, dev: "eth2" },
];

test("the link of a receiver's path is where the address is, and one that moved or went shows", () => {
  const spec = parse({ role: "receiver", paths: onLinks });
  const rule = { ...spec.rules[0]!, paths };
  const look = (links: Parameters<typeof hostWith>[0]) =>
    netaggRules.observe(hostWith(links, rule), [spec])!.rules[0]!.paths.map(({ dev }) => dev);
  expect(look({ eth1: ["10.0.1.11"], eth2: ["10.0.2.9", "10.0.2.11"] })).toEqual(["eth1", "eth2"]);
  expect(look({ eth1: ["10.0.1.11", "10.0.2.11"], eth2: [] })).toEqual(["eth1", "eth1"]);
  expect(look({ eth1: ["10.0.1.11"] })).toEqual(["eth1", undefined]);
});

const misplaced: [string, object, Parameters<typeof hostWith>[0], RegExp][] = [
  [
    "that the receiver does not have",
    { role: "receiver", paths: onLinks },
    { eth1: ["10.0.1.11"], eth2: ["10.0.2.12"] },
    /path 2, 10\.0\.2\.11: is no address of this host; eth2 has 10\.0\.2\.12\/24\. Give the link the address/,
  ],
  [
    "on another link",
    { role: "receiver", paths: onLinks },
    { eth1: ["10.0.1.11", "10.0.2.11"], eth2: [] },
    /path 2, 10\.0\.2\.11: is on eth1, not on eth2; eth2 has none/,
  ],
  [
    "on a link that is not there",
    { role: "receiver", paths: onLinks },
    { eth1: ["10.0.1.11"] },
    /path 2, 10\.0\.2\.11: is no address of this host; there is no link eth2/,
  ],
  [
    "of no link of the receiver's",
    { role: "receiver", paths },
    { eth1: ["10.0.1.11"] },
    /path 2, 10\.0\.2\.11: is no address of this host\./,
  ],
  [
    "that is the sender's own",
    { role: "sender", paths },
    { eth1: ["10.0.1.11"] },
    /path 1, 10\.0\.1\.11: the sender has this address itself, on eth1/,
  ],
];
test.each(misplaced)("an address %s is refused before any rule is put in", (_, rule, links, message) => {
  const spec = parse(rule);
  expect(() => netaggRules.plan(undefined, spec, { ...owner, facts: hostWith(links) })).toThrow(message);
  expect(netaggRules.plan(spec, undefined, { ...owner, facts: hostWith(links) })).toHaveLength(1);
});

test("addresses that are where they should be are taken, in any spelling", () => {
  const addresses = ["2001:DB8:0::1", "2001:db8::2"];
  const spec = parse({
    role: "receiver",
    paths: addresses.map((address) => ({ ...path(address, 1), dev: "eth1" })),
  });
  const links = { eth1: ["2001:db8:0:0::1", "2001:db8::2"], lo: ["127.0.0.1"] };
  expect(netaggRules.plan(undefined, spec, { ...owner, facts: hostWith(links) })).toHaveLength(1);
});

test("a rule is appended, changed, and deleted by its primary path", () => {
  const spec = parse({ role: "sender", paths, adapt: true });
  const [append] = netaggRules.plan(undefined, spec, owner);
  const words =
    "sender -P 10.0.1.11:1234 -S 10.0.2.11:1234 -R 7500:2500 -m packet --flowlet 20000 --max-hold 300000 " +
    "--probe-port 7481 --probe-interval 25000 --dead-after 125000 --adapt";
  expect(append).toEqual({ tool: "netagg", netns: "ns", args: ["-A", ...words.split(" ")] });
  const one = parse({ role: "sender", paths: [path("10.0.1.11", 1), path("10.0.2.11", 200)], adapt: true });
  const [change, ...rest] = plan(spec, one);
  expect([change?.slice(0, 8), rest]).toEqual([
    ["-C", "sender", "-P", "10.0.1.11:1234", "-S", "10.0.2.11:1234", "-R", "1:200"],
    [],
  ]);
  expect(netaggRules.plan(spec, spec, owner)).toEqual([]);
  expect(netaggRules.plan(spec, undefined, owner)).toEqual([
    { tool: "netagg", netns: "ns", args: ["-D", "sender", "-P", "10.0.1.11:1234"] },
  ]);
});

test("an IPv6 path is in brackets, in its shortest spelling, and encapsulation is asked for", () => {
  const spec = parse({
    role: "receiver",
    encap: true,
    paths: [path("2001:DB8:0::1", 1), path("2001:db8::2", 1)],
  });
  const [args] = plan(undefined, spec);
  expect(args).toEqual(expect.arrayContaining(["[2001:db8::1]:1234", "[2001:db8::2]:1234", "--encap"]));
});

test("what goes makes room before what comes", () => {
  const before = parse({ role: "sender", paths });
  const after = parse({ role: "sender", paths: [paths[1]!, paths[0]!] });
  expect(plan(before, after).map(([verb]) => verb)).toEqual(["-D", "-A"]);
});

const wrong: [string, object, RegExp][] = [
  ["a weight of 0", { paths: [path("10.0.1.11", 0), paths[1]] }, /weight.*whole number from 1 to 1000000/],
  ["no weight", { paths: [{ address: "10.0.1.11", port: 1 }, paths[1]] }, /weight.*whole number from 1/],
  ["port 0", { paths: [path("10.0.1.11", 1, 0), paths[1]] }, /port.*whole number from 1 to 65535/],
  ["port 65536", { paths: [path("10.0.1.11", 1, 65536), paths[1]] }, /port.*whole number from 1 to 65535/],
  ["one path", { paths: [paths[0]] }, /fewer than two paths/],
  [
    "nine paths",
    { paths: Array.from({ length: 9 }, (_, n) => path(`10.0.1.${n + 1}`, 1)) },
    /more than 8 paths/,
  ],
  ["another role", { paths, role: "both" }, /must be "sender" or "receiver"/],
  ["a probe interval of 1 ms", { paths, probeUs: 1000 }, /probeUs.*whole number from 5000/],
  ["text for an address", { paths: [path("$(id)", 1), paths[1]] }, /not an IP address/],
];
test.each(wrong)("%s is refused", (_, rule, message) => {
  const { error } = netaggRules.schema.safeParse({ name: "a", rules: [{ role: "sender", ...rule }] });
  const said = error?.issues.map(({ path, message: text }) => `${path.join(".")} ${text}`).join("\n");
  expect(said).toMatch(message);
});

test("paths that cannot be of one rule are told", () => {
  const problems = (rule: object) =>
    netaggRules
      .check?.(parse({ role: "sender", ...rule }))
      .map(({ path, message }) => `${path.join(".")} ${message}`);
  expect(problems({ paths: [paths[0], paths[0]] })).toEqual([
    "rules.0.paths.1.address 10.0.1.11 port 1234 is another path of the rule, too",
  ]);
  expect(problems({ paths: [paths[0], path("2001:db8::1", 1)] })).toEqual([
    "rules.0.paths.1.address is an IPv6 address, and the first path's is an IPv4 one",
  ]);
  expect(problems({ paths, probeUs: 25000, deadUs: 40000 })).toEqual([
    "rules.0.deadUs must be at least twice probeUs, which is 25000",
  ]);
  expect(problems({ paths: onLinks })).toEqual([
    "rules.0.paths.0.dev is a link of the receiver: leave it out here",
    "rules.0.paths.1.dev is a link of the receiver: leave it out here",
  ]);
  expect(problems({ paths, encap: true, probePort: 0 })).toEqual([
    "rules.0.encap travels by the port of the probes, which is 0",
  ]);
  expect(problems({ paths, adapt: true, probePort: 0 })).toEqual([
    "rules.0.adapt goes by what the probes measure, and their port is 0",
  ]);
});

const refusals: [string, string, RegExp | undefined][] = [
  [
    "a probe port that another program has, with its number and how to find the program",
    "netagg failed: netagg: Address already in use: the probe port is taken by another program",
    /taken by another program: UDP port 7000 or 7481\. "ip netns exec ns ss -lup" names .* another port on both hosts \(probePort, which is probes\.port of a NetAggPair\) \(set of rules agg\)\.$/,
  ],
  [
    "a rule that has gone meanwhile, which says nothing of the module",
    "netagg failed: netagg: No such file or directory: there is no such rule",
    /there is no such rule\. Somebody deleted it meanwhile: run the update again/,
  ],
  [
    "a module that is not loaded",
    "netagg failed: netagg: the module is not loaded (modprobe netagg)",
    /not loaded \(modprobe netagg\)\. A KernelModule of the package's kmod\/netagg loads it/,
  ],
  [
    "a path of somebody else's rule",
    "netagg failed: netagg: File exists: a path belongs to another rule",
    /belongs to a rule of somebody else's: netagg -L/,
  ],
  [
    "a namespace that is not there, which is none of the module's",
    'netagg in netns ns failed: Cannot open network namespace "ns": No such file or directory',
    undefined,
  ],
];
test.each(refusals)("what to do is said of %s", (_, error, said) => {
  const spec = parse(
    { role: "sender", paths },
    { role: "receiver", paths, probePort: 7000 },
    { role: "receiver", paths: paths.map((one) => ({ ...one, port: 99 })), probePort: 0 },
  );
  const explained = netaggRules.explain?.(error, spec);
  if (said === undefined) expect(explained).toBeUndefined();
  else expect(explained).toMatch(said);
});
