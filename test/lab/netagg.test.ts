import { setTimeout as sleep } from "node:timers/promises";
import { hostState, stateDifferences } from "../../lib/lab/host-state";
import { temporaryFolder } from "../support/folder";
import { withLab } from "../support/lab";
import { labRelease } from "../support/lab-runner";
import { openPair, pairLinks, pairNames, type PairName } from "../support/netagg-stack";

const machines = withLab(pairNames, pairLinks, { release: labRelease });
const folder = temporaryFolder();
// The module is built on both machines, which takes minutes on emulated processors.
const whenAsked = process.env.NETLOOM_MODULES === undefined ? test.skip : test;

/** A shell script on a machine. */
const sh = async (machine: PairName, script: string) =>
  (await machines.lab.ssh(machine, ["sh", "-ec", script])).trim();

interface Rule {
  readonly role: string;
  readonly paths: readonly { readonly alive: boolean; readonly txBytes: number }[];
}
const TOOL = "netagg";
const listed = async (machine: PairName) => JSON.parse(await sh(machine, `${TOOL} -L`)) as Rule[];

/** Sends a file over one connection to the receiver's first address; both ends' digests of it. */
async function transfer(megabytes: number): Promise<readonly [string, string]> {
  await sh("receiver", "rm -f /tmp/got; nc -l 1234 </dev/null >/tmp/got 2>/dev/null & sleep 0.5");
  const sent = await sh(
    "sender",
    `head -c ${megabytes}M /dev/urandom >/tmp/sent; sha256sum </tmp/sent; nc -N 10.10.1.11 1234 </tmp/sent`,
  );
  const got = await sh("receiver", "while pgrep -x nc >/dev/null; do sleep 0.1; done; sha256sum </tmp/got");
  return [sent, got];
}

/** Sends a file once both paths are in use; how much of it went by the first. */
async function shareOf(megabytes: number): Promise<number> {
  const paths = async () => (await listed("sender"))[0]?.paths ?? [];
  for (let tries = 0; tries < 300 && !(await paths()).every(({ alive }) => alive); tries++) await sleep(100);
  const before = await paths();
  const [sent, got] = await transfer(megabytes);
  expect(got).toBe(sent);
  const carried = (await paths()).map(({ txBytes }, index) => txBytes - before[index]!.txBytes);
  const all = carried.reduce((sum, bytes) => sum + bytes, 0);
  expect(all).toBeGreaterThan(megabytes << 20);
  return carried[0]! / all;
}

whenAsked(
  "one connection is on both paths by weight, drift is repaired, and nothing is left behind",
  async () => {
    const states = () =>
      Promise.all(pairNames.map((name) => hostState((argv) => machines.lab.ssh(name, argv))));
    const before = await states();
    const stack = await openPair(machines.lab, folder.path, { weights: "[3, 1]", applicationPort: "1234" });
    const told: string[] = [];
    const { outputs } = await stack.up({
      onEvent: ({ diagnosticEvent }) => void told.push(diagnosticEvent?.message ?? ""),
    });
    expect(told.join("\n")).toMatch(/building netagg\.ko on sender/);
    expect(JSON.stringify(outputs.outputs?.value)).toContain(
      "module: the applications open plain TCP sockets",
    );

    // A machine that has to wait for its processor takes a path for dead: one transfer over both is enough.
    let share = 1;
    for (let tries = 0; tries < 4 && Math.abs(share - 0.75) > 0.05; tries++) {
      share = await shareOf(8);
    }
    expect(share).toBeCloseTo(0.75, 1);

    await stack.up({ expectNoChanges: true, refresh: true });

    // Rules, a setting, a route and the module itself, changed behind our back.
    await sh("sender", `${TOOL} -F; rmmod netagg`);
    await sh("receiver", `${TOOL} -F; sysctl -qw net.ipv4.conf.eth2.rp_filter=1; ip route flush table 7482`);
    await stack.up({ refresh: true });
    expect((await listed("sender")).map(({ role }) => role)).toEqual(["sender"]);
    expect((await listed("receiver")).map(({ role }) => role)).toEqual(["receiver"]);
    expect(
      await sh("receiver", "sysctl -n net.ipv4.conf.eth2.rp_filter; ip -o route show table 7482 | wc -l"),
    ).toBe("2\n2");

    await stack.destroy();
    await sh("sender", "rm -f /tmp/sent");
    const after = await states();
    expect(pairNames.flatMap((_, index) => stateDifferences(before[index]!, after[index]!))).toEqual([]);
    for (const name of pairNames)
      expect(
        await sh(name, "lsmod | grep netagg || :; find /lib/modules -path '*netloom*' -o -name 'netagg*'"),
      ).toBe("");
  },
);
