import { App, Host, NetAggPair } from "../../lib";
import { openLocalStack } from "../../lib/cli/local-stack";
import { hostState, stateDifferences } from "../../lib/lab/host-state";
import { temporaryFolder } from "../support/folder";
import { withLab } from "../support/lab";
import { labRelease } from "../support/lab-runner";
import { openPair, pairLinks, pairNames, type PairName } from "../support/netagg-stack";

const machines = withLab(pairNames, pairLinks, { release: labRelease });
const folder = temporaryFolder();

/** A shell script on a machine. */
const sh = async (machine: PairName, script: string) =>
  (await machines.lab.ssh(machine, ["sh", "-ec", script])).trim();

const PORT = 5201;
/** Megabytes that go over one connection. */
const MEGABYTES = 4;

const receive = `import hashlib, socket
listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("", ${PORT}))
listener.listen(1)
print("ready", flush=True)
connection = listener.accept()[0]
digest, size = hashlib.sha256(), 0
while True:
    data = connection.recv(1 << 16)
    if not data:
        break
    digest.update(data)
    size += len(data)
print(size, digest.hexdigest())
`;

const send = `import hashlib, os, socket, time
data = os.urandom(${MEGABYTES} << 20)
connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
connection.connect(("10.10.1.11", ${PORT}))
connection.sendall(data[:1000])
time.sleep(1)
connection.sendall(data[1000:])
connection.close()
print(len(data), hashlib.sha256(data).hexdigest())
`;

/** What the links of the sender have sent. */
const sent = async () =>
  (await sh("sender", "cat /sys/class/net/eth[12]/statistics/tx_bytes")).split("\n").map(Number);

/** One connection by MPTCP sockets on both ends: what each says of it, and what each link of the sender carried. */
async function transfer() {
  await sh(
    "receiver",
    `python3 - >/tmp/got 2>&1 <<'END' &\n${receive}END\nuntil grep -q ready /tmp/got; do sleep 0.1; done`,
  );
  const before = await sent();
  const told = await sh("sender", `python3 - <<'END'\n${send}END`);
  const got = await sh(
    "receiver",
    "while pgrep -x python3 >/dev/null; do sleep 0.1; done; tail -n1 /tmp/got",
  );
  const after = await sent();
  return { told, got, carried: after.map((bytes, index) => bytes - before[index]!) };
}

const endpoints = () => sh("receiver", "ip mptcp endpoint show");
const limits = (machine: PairName) => sh(machine, "ip mptcp limits show | grep -o 'subflows [0-9]*'");

test("the preview says what carries the connections, and why", async () => {
  for (const [config, told] of [
    [{}, "module: the applications open plain TCP sockets, which MPTCP does not carry"],
    [{ backend: "mptcp" }, "mptcp: it is asked for"],
    [
      { backend: "auto", mptcpSockets: "true" },
      "mptcp: the applications open MPTCP sockets, and nothing is asked for that it lacks",
    ],
    [
      { backend: "auto", mptcpSockets: "true", weights: "[3, 1]" },
      "module: only the module does this: unequal weights",
    ],
  ] as const) {
    // Each with the defaults of what it does not say.
    const all = { backend: "auto", mptcpSockets: "false", weights: "[1, 1]", ...config };
    const { stdout } = await (await openPair(machines.lab, folder.path, all)).preview();
    expect(stdout).toContain(told);
  }
});

test("an address that the receiver does not have is refused before anything is built or loaded", async () => {
  const program = () => {
    const app = new App({ privateKey: machines.lab.host("sender").privateKey });
    const [a, b] = pairNames.map((name) => {
      const { address, port, user, hostKey } = machines.lab.host(name);
      return new Host(app, name, { address, port, user, hostKey });
    });
    const paths = [1, 2].map((nth) => ({ interface: `eth${nth}`, address: `10.10.${nth}.11/24`, weight: 1 }));
    new NetAggPair(app, "agg", { sender: { host: a! }, receiver: { host: b!, paths }, port: PORT });
    return Promise.resolve({ outputs: app.deploy() });
  };
  await sh(
    "receiver",
    "ip address add 10.10.1.11/24 dev eth1; ip address add 10.10.2.12/24 dev eth2; ip link set eth1 up; ip link set eth2 up",
  );
  const stack = await openLocalStack({ project: "refused", stack: "test", folder: folder.path, program });
  try {
    await expect(stack.up()).rejects.toThrow(
      /netloom:net:Routes \(agg\/routes\)[^]*agg\/routes on receiver: [^]*: 10\.10\.2\.11 is no address of this host; eth2 has 10\.10\.2\.12\/24/,
    );
    for (const name of pairNames)
      await sh(
        name,
        "! ls /sys/module/netagg /var/lib/netloom/modules /var/lib/netloom/executables 2>/dev/null",
      );
  } finally {
    await stack.destroy();
  }
  await sh(
    "receiver",
    "ip address flush dev eth1; ip address flush dev eth2; ip link set eth1 down; ip link set eth2 down",
  );
});

test("by MPTCP one connection is on both paths, drift is repaired, and what was before is put back", async () => {
  const states = () =>
    Promise.all(pairNames.map((name) => hostState((argv) => machines.lab.ssh(name, argv))));
  const [before, limitsBefore] = [await states(), await Promise.all(pairNames.map(limits))];
  const stack = await openPair(machines.lab, folder.path, {
    backend: "mptcp",
    mptcpSockets: "false",
    weights: "[1, 1]",
    rates: "[8000, 8000]",
  });
  await stack.up();
  expect(await endpoints()).toMatch(/^10\.10\.2\.11 id 1 signal dev eth2\s*$/);
  expect(await Promise.all(pairNames.map(limits))).toEqual(["subflows 1", "subflows 1"]);

  const { told, got, carried } = await transfer();
  expect(got).toBe(told);
  for (const bytes of carried) expect(bytes).toBeGreaterThan(0.2 * (MEGABYTES << 20));
  expect(await sh("sender", "nstat -asz MPTcpExtMPCapableSYNTX MPTcpExtMPJoinSynAckRx | tail -n2")).toMatch(
    /MPCapableSYNTX +1 [^]*MPJoinSynAckRx +1 /,
  );
  await stack.up({ expectNoChanges: true, refresh: true });

  await sh("receiver", "ip mptcp endpoint flush; sysctl -qw net.mptcp.enabled=0");
  await sh("sender", "ip mptcp limits set subflows 0");
  await stack.up({ refresh: true });
  expect(await endpoints()).toMatch(/^10\.10\.2\.11 id 1 signal dev eth2\s*$/);
  expect(await sh("receiver", "sysctl -n net.mptcp.enabled")).toBe("1");
  expect(await limits("sender")).toBe("subflows 1");

  await stack.destroy();
  await sh("receiver", "rm -f /tmp/got");
  expect([await endpoints(), await Promise.all(pairNames.map(limits))]).toEqual(["", limitsBefore]);
  const after = await states();
  expect(pairNames.flatMap((_, index) => stateDifferences(before[index]!, after[index]!))).toEqual([]);
});
