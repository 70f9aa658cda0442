import * as pulumi from "@pulumi/pulumi";
import { Host, NetAggPair, Testing, type App, type NetAggPairProps } from "../../../lib";
import { refusals } from "../synth/support";

/** What a program that is not checked by a compiler may give. */
type Loose = Record<string, unknown>;

const paths = [
  { interface: "eth1", address: "10.0.1.11/24", gateway: "10.0.1.1", weight: 1 },
  { interface: "eth2", address: "10.0.2.11/24", gateway: "10.0.2.1", weight: 1 },
] as const;

interface Hosts {
  readonly a: Host;
  readonly b: Host;
}

const right = ({ a, b }: Hosts): Loose => ({ sender: { host: a }, receiver: { host: b, paths }, port: 1234 });

/** The lines of the error, and what was made of a pair of these props. */
function outcome(props: (hosts: Hosts) => unknown): { lines: string[]; pair: NetAggPair; app: App } {
  const app = Testing.app();
  const hosts = { a: new Host(app, "a"), b: new Host(app, "b") };
  const pair = new NetAggPair(app, "agg", props(hosts) as NetAggPairProps);
  return { lines: refusals(app), pair, app };
}

type Change = Loose | ((props: Loose, hosts: Hosts) => unknown);

const changed = (change: Change, backend: string) => (hosts: Hosts) => {
  const props = { backend, ...right(hosts) };
  return typeof change === "function" ? change(props, hosts) : { ...props, ...change };
};

/** Another first path, second path, or number of them. */
const receiver =
  (...changes: Loose[]) =>
  (props: Loose, { b }: Hosts) => ({
    ...props,
    receiver: { host: b, paths: paths.map((path, index) => ({ ...path, ...changes[index] })) },
  });
const list =
  (count: number) =>
  (props: Loose, { b }: Hosts) => ({
    ...props,
    receiver: {
      host: b,
      paths: Array.from({ length: count }, (_, nth) => ({
        ...{ interface: `eth${nth}`, address: `10.0.${nth}.11/24`, weight: 1 },
      })),
    },
  });
const without =
  (name: string) =>
  ({ [name]: _, ...rest }: Loose) =>
    rest;

const WEIGHT = "must be a whole number from 1 to 1000000";
const PORT = "must be a whole number from 1 to 65535";
const COUNT = "must be a list of 2 to 8 paths";

const wrong: [what: string, change: Change, line: string][] = [
  ["no props", () => undefined, "is required: an object"],
  ["props of null", () => null, "must be an object of sender, receiver and port; found null"],
  ["no sender", without("sender"), "sender: is required: an object"],
  ["a sender that is text", { sender: "a" }, 'sender: must be an object such as { host }; found "a"'],
  ["a sender without a host", { sender: {} }, "sender.host: is required: a Host"],
  ["a host by its name", { sender: { host: "a" } }, 'sender.host: must be a Host; found "a"'],
  ["no receiver", without("receiver"), "receiver: is required: an object"],
  ["no paths", (p, { b }) => ({ ...p, receiver: { host: b } }), "receiver.paths: is required: an array"],
  [
    "paths that are text",
    (p, { b }) => ({ ...p, receiver: { host: b, paths: "eth1" } }),
    `receiver.paths: ${COUNT}; found "eth1"`,
  ],
  ["one path", list(1), `receiver.paths: ${COUNT}; found a list of 1`],
  ["nine paths", list(9), `receiver.paths: ${COUNT}; found a list of 9`],
  [
    "a path that is text",
    (p, { b }) => ({ ...p, receiver: { host: b, paths: [paths[0], "eth2"] } }),
    'receiver.paths[1]: must be an object such as { interface: "eth1", address: "10.0.1.11/24", weight: 1 }; found "eth2"',
  ],
  ["one host at both ends", (p, { b }) => ({ ...p, sender: { host: b } }), "receiver.host: is the sender's"],
  ["no weight", receiver({ weight: undefined }), "receiver.paths[0].weight: is required: a number"],
  ["a weight of 0", receiver({ weight: 0 }), `receiver.paths[0].weight: ${WEIGHT}; found 0`],
  ["a weight of a half", receiver({ weight: 0.5 }), `receiver.paths[0].weight: ${WEIGHT}; found 0.5`],
  [
    "a weight of 1000001",
    receiver({}, { weight: 1000001 }),
    `receiver.paths[1].weight: ${WEIGHT}; found 1000001`,
  ],
  ["a weight that is no number", receiver({ weight: NaN }), `receiver.paths[0].weight: ${WEIGHT}; found NaN`],
  ["a weight as text", receiver({ weight: "1" }), `receiver.paths[0].weight: ${WEIGHT}; found "1"`],
  ["no port", without("port"), "port: is required: a number"],
  ["port 0", { port: 0 }, `port: ${PORT}; found 0`],
  ["port 65536", { port: 65536 }, `port: ${PORT}; found 65536`],
  ["a path's port 0", receiver({ port: 0 }), `receiver.paths[0].port: ${PORT}; found 0`],
  ["no address", receiver({ address: undefined }), "receiver.paths[0].address: is required: a string"],
  [
    "an address that is none",
    receiver({ address: "10.0.1.300" }),
    'receiver.paths[0].address: "10.0.1.300" is not an IP address',
  ],
  ["an address as a number", receiver({ address: 5 }), "receiver.paths[0].address: must be text; found 5"],
  [
    "a prefix length of 33",
    receiver({ address: "10.0.1.11/33" }),
    'receiver.paths[0].address: "10.0.1.11/33" has no prefix length of 0 to 32',
  ],
  ["a prefix length of 0", receiver({ address: "10.0.1.11/0" }), "receiver.paths[0].address: "],
  [
    "a multicast address",
    receiver({ address: "224.0.0.1/24" }),
    'receiver.paths[0].address: "224.0.0.1" is the address of many',
  ],
  [
    "the address of nobody",
    receiver({ address: "0.0.0.0/24" }),
    'receiver.paths[0].address: "0.0.0.0" is no address that another host can reach',
  ],
  [
    "an address of the host itself",
    receiver({ address: "::1" }),
    'receiver.paths[0].address: "::1" is no address that',
  ],
  [
    "one address twice",
    receiver({}, { address: "10.0.1.11/24", gateway: undefined }),
    "receiver.paths[1].address: 10.0.1.11 is that of receiver.paths[0], too",
  ],
  [
    "one address in two spellings",
    receiver(
      { address: "2001:db8::1/64", gateway: undefined },
      { address: "2001:db8:0::1/64", gateway: undefined },
    ),
    "receiver.paths[1].address: 2001:db8::1 is that of receiver.paths[0], too",
  ],
  [
    "two families",
    receiver({}, { address: "2001:db8::1/64", gateway: undefined }),
    "receiver.paths[1].address: 2001:db8::1 is an IPv6 address, and the first path's is an IPv4 one",
  ],
  [
    "no way back",
    receiver({ address: "10.0.1.11", gateway: undefined }),
    'receiver.paths[0].address: has neither prefix length nor gateway: how the path leads back is not known; write "10.0.1.11/24"',
  ],
  [
    "a network of one address, without a gateway",
    receiver({ address: "10.0.1.11/32", gateway: undefined }),
    'receiver.paths[0].address: "10.0.1.11/32" is a network of one address',
  ],
  ["no interface", receiver({ interface: undefined }), "receiver.paths[0].interface: is required: a string"],
  [
    "an interface's name of 16 bytes",
    receiver({ interface: "enp0s31f6.123456" }),
    'receiver.paths[0].interface: "enp0s31f6.123456" has 16 bytes',
  ],
  [
    "an interface's name for a shell",
    receiver({ interface: "$(reboot)" }),
    'receiver.paths[0].interface: "$(reboot)" cannot be',
  ],
  [
    "a gateway that is none",
    receiver({ gateway: "10.0.1" }),
    'receiver.paths[0].gateway: "10.0.1" is not an IP address',
  ],
  [
    "a gateway with a prefix length",
    receiver({ gateway: "10.0.1.1/24" }),
    'receiver.paths[0].gateway: "10.0.1.1/24" is not',
  ],
  [
    "a gateway of the other family",
    receiver({ gateway: "2001:db8::1" }),
    "receiver.paths[0].gateway: is an IPv6 address, and the path's is an IPv4 one",
  ],
  [
    "a gateway in another network",
    receiver({ gateway: "10.0.9.1" }),
    "receiver.paths[0].gateway: 10.0.9.1 is not in 10.0.1.0/24",
  ],
  [
    "the path's own address as its gateway",
    receiver({ gateway: "10.0.1.11" }),
    "receiver.paths[0].gateway: 10.0.1.11 is the path's own",
  ],
  ["a prop that there is not", { wieghts: [1, 2] }, "wieghts: there is no such property"],
  [
    "a path's prop that there is not",
    receiver({ wieght: 5 }),
    "receiver.paths[0].wieght: there is no such property",
  ],
  [
    "a sender's prop that there is not",
    (p, { a }) => ({ ...p, sender: { host: a, paths } }),
    "sender.paths: there is no such property",
  ],
  ["MPTCP sockets as text", { mptcpSockets: "yes" }, 'mptcpSockets: must be true or false; found "yes"'],
  ["encapsulation as text", { encapsulated: "yes" }, 'encapsulated: must be true or false; found "yes"'],
  ["adaptation as a number", { adaptive: 1 }, "adaptive: must be true or false; found 1"],
  [
    "a schedule that there is not",
    { schedule: "random" },
    'schedule: must be "packet" or "flowlet"; found "random"',
  ],
  [
    "a pause of 0",
    { schedule: "flowlet", flowletMs: 0 },
    "flowletMs: must be a number of milliseconds from 0.1 to 10000; found 0",
  ],
  [
    "a pause of 11 s",
    { schedule: "flowlet", flowletMs: 11000 },
    "flowletMs: must be a number of milliseconds from 0.1 to 10000; found 11000",
  ],
  [
    "a hold of 3 s",
    { maxHoldMs: 3000 },
    "maxHoldMs: must be a number of milliseconds from 0 to 2000; found 3000",
  ],
  [
    "a hold without end",
    { maxHoldMs: Infinity },
    "maxHoldMs: must be a number of milliseconds from 0 to 2000; found Infinity",
  ],
  [
    "probes that are true",
    { probes: true },
    "probes: must be false, or an object such as { intervalMs: 25 }; found true",
  ],
  [
    "a prop of probes that there is not",
    { probes: { interval: 5 } },
    "probes.interval: there is no such property",
  ],
  [
    "probes of port 0",
    { probes: { port: 0 } },
    `probes.port: ${PORT}; without probes it is probes: false; found 0`,
  ],
  [
    "probes each millisecond",
    { probes: { intervalMs: 1 } },
    "probes.intervalMs: must be a number of milliseconds from 5 to 1000; found 1",
  ],
  [
    "a silence of 5 ms",
    { probes: { deadAfterMs: 5 } },
    "probes.deadAfterMs: must be a number of milliseconds from 10 to 10000; found 5",
  ],
  ["packages as text", { packages: "gcc" }, 'packages: must be a list of packages; found "gcc"'],
  [
    "a package for a shell",
    { packages: ["gcc", "$(reboot)"] },
    'packages[1]: "$(reboot)" is no name of a package',
  ],
  [
    "no package",
    (p, { a }) => ({ ...p, sender: { host: a, packages: [] } }),
    "sender.packages: names no package",
  ],
  [
    "a signature without a certificate",
    { sign: { key: "/etc/key.pem" } },
    "sign.certificate: is required: a string",
  ],
  [
    "a key that is no file's path",
    { sign: { key: "key", certificate: "/etc/c" } },
    'sign.key: "key" is not the absolute path',
  ],
  ["adoption as text", { adopt: "yes" }, 'adopt: must be true or false; found "yes"'],
  ["a timeout as a number", { timeouts: { create: 5 } }, "timeouts.create: must be text; found 5"],
  [
    "a timeout without a unit",
    { timeouts: { create: "5" } },
    'timeouts.create: must be a duration such as "30s" or "20m"; found "5"',
  ],
  [
    "table 0",
    { firstTable: 0 },
    "firstTable: must be a whole number from 1 to 32764, as the rules must come before",
  ],
  [
    "a table by name",
    { firstTable: "main" },
    'firstTable: must be a whole number from 1 to 32764, as the rules must come before that of the table main, 32766; found "main"',
  ],
  [
    "a table whose rule nothing gets to",
    { firstTable: 32765 },
    "firstTable: must be a whole number from 1 to 32764",
  ],
  [
    "a table of the kernel's",
    { firstTable: 252 },
    "firstTable: 252 and what follows is a table of the kernel's own, 253 to 255",
  ],
  [
    "a weight that is known later",
    receiver({ weight: pulumi.output(5) }),
    "receiver.paths[0].weight: is known only when",
  ],
];

describe.each(["module", "mptcp", "auto"])("by %s", (backend) => {
  test.each(wrong)("%s is one error under the pair's own prop, and nothing is made", (_, change, line) => {
    const { lines, pair, app } = outcome(changed(change, backend));
    expect(lines).toEqual([expect.stringContaining(`[agg] ${line}`)]);
    expect(lines[0]).toMatch(/^\[agg\] /);
    expect(pair.node.children).toEqual([]);
    expect(app.node.findAll().map(({ node }) => node.path)).toEqual(["", "a", "b", "agg"]);
  });
});

test.each(["best", "MPTCP", 1, null])("%p is no backend", (backend) => {
  const { lines } = outcome((hosts) => ({ ...right(hosts), backend }));
  expect(lines).toEqual([
    `[agg] backend: must be "module", "mptcp" or "auto"; found ${JSON.stringify(backend)}`,
  ]);
});

const odd: [what: string, change: Loose, line: string][] = [
  [
    "a pause without flowlets",
    { flowletMs: 20 },
    '[agg] flowletMs: is for schedule: "flowlet": set that, too, or leave it out',
  ],
  [
    "a silence of less than two intervals",
    { probes: { intervalMs: 100, deadAfterMs: 150 } },
    "[agg] probes.deadAfterMs: must be at least twice intervalMs, which is 100; found 150",
  ],
  [
    "a silence of less than two intervals that nobody named",
    { probes: { deadAfterMs: 40 } },
    "[agg] probes.deadAfterMs: must be at least twice intervalMs, which is 25 where it is left out; found 40",
  ],
  [
    "encapsulation without probes",
    { probes: false, encapsulated: true },
    "[agg] encapsulated: travels by the port of the probes, and probes: false has none",
  ],
];
test.each(odd)("%s is one error in milliseconds", (_, change, line) => {
  expect(outcome(changed(change, "module")).lines).toEqual([line]);
});

const moduleOnly: [prop: string, change: Change][] = [
  ["encapsulated", { encapsulated: true }],
  ["adaptive", { adaptive: true }],
  ["schedule", { schedule: "packet" }],
  ["maxHoldMs", { maxHoldMs: 0 }],
  ["probes", { probes: false }],
  ["a port for each path", receiver({}, { port: 1235 })],
];
test.each(moduleOnly)("%s is nothing that MPTCP can do", (prop, change) => {
  expect(outcome(changed(change, "mptcp")).lines).toEqual([
    `[agg] backend: MPTCP has none of this: ${prop}. Leave it out, or write "module"`,
  ]);
});

const fine: [what: string, change: Change][] = [
  ["eight paths", list(8)],
  ["a gateway outside a network of one address", receiver({ address: "10.0.1.11/32", gateway: "10.0.9.1" })],
  [
    "a gateway of an address without a prefix length",
    receiver({ address: "10.0.1.11", gateway: "10.0.9.1" }),
  ],
  [
    "a link-local gateway of IPv6",
    receiver(
      { address: "2001:db8:1::b/64", gateway: "fe80::1" },
      { address: "2001:db8:2::b/64", gateway: "2001:db8:2::1" },
    ),
  ],
  ["the largest weight", receiver({ weight: 1_000_000 })],
  ["two addresses of one interface", receiver({}, { interface: "eth1" })],
  ["a table of its own", { firstTable: 32764 }],
];
describe.each(["module", "mptcp"])("by %s", (backend) => {
  test.each(fine)("%s is right", (_, change) => {
    expect(outcome(changed(change, backend)).lines).toEqual([]);
  });
});

test("two mistakes are two errors", () => {
  const { lines } = outcome(changed({ port: 0, schedule: "random" }, "module"));
  expect(lines).toEqual([
    `[agg] port: ${PORT}; found 0`,
    '[agg] schedule: must be "packet" or "flowlet"; found "random"',
  ]);
});
