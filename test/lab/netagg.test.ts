import { openLocalStack } from "../../lib/cli/local-stack";
import { hostState, stateDifferences } from "../../lib/lab/host-state";
import { temporaryFolder } from "../support/folder";
import { withLab } from "../support/lab";
import { stackProgram } from "../support/program";

const names = ["sender", "receiver"] as const;
const machines = withLab(names, [
  { a: ["sender", 1], b: ["receiver", 1] },
  { a: ["sender", 2], b: ["receiver", 2] },
]);
const folder = temporaryFolder();
// The module is built on both machines, which takes a while on emulated processors.
const whenAsked = process.env.NETLOOM_MODULES === undefined ? test.skip : test;

/** A shell script on a machine. */
const sh = async (machine: (typeof names)[number], script: string) =>
  (await machines.lab.ssh(machine, ["sh", "-ec", script])).trim();

interface Rule {
  readonly role: string;
  readonly paths: readonly { readonly address: string; readonly txBytes: number }[];
}
const TOOL = "/var/lib/netloom/executables/*/netagg";
const listed = async (machine: (typeof names)[number]) =>
  JSON.parse(await sh(machine, `${TOOL} -L`)) as Rule[];

/** Sends a file over one connection to the receiver's first address; both ends' digests of it. */
async function transfer(megabytes: number): Promise<readonly [string, string]> {
  await sh("receiver", "rm -f /tmp/got; nc -l 1234 </dev/null >/tmp/got 2>/dev/null & sleep 0.5");
  const sent = await sh(
    "sender",
    `head -c ${megabytes}M /dev/urandom >/tmp/sent; sha256sum </tmp/sent; nc -N 10.0.1.11 1234 </tmp/sent`,
  );
  const got = await sh("receiver", "while pgrep -x nc >/dev/null; do sleep 0.1; done; sha256sum </tmp/got");
  return [sent, got];
}

whenAsked(
  "one connection is on both paths by weight, drift is repaired, and nothing is left behind",
  async () => {
    const states = () => Promise.all(names.map((name) => hostState((argv) => machines.lab.ssh(name, argv))));
    const reach = (name: string) => {
      const { address, port, user, hostKey } = machines.lab.host(name);
      return { value: JSON.stringify({ address, port, user, hostKey, interfaces: ["eth1", "eth2"] }) };
    };
    const before = await states();
    const stack = await openLocalStack({
      project: "netagg",
      stack: "test",
      folder: folder.path,
      program: stackProgram("netagg"),
      config: {
        "netloom:sender": reach("sender"),
        "netloom:receiver": reach("receiver"),
        "netloom:weights": { value: "[3, 1]" },
        "netloom:applicationPort": { value: "1234" },
        "netloom:privateKey": { value: machines.lab.host("sender").privateKey, secret: true },
      },
    });
    const { outputs } = await stack.up();
    expect(JSON.stringify(outputs.outputs?.value)).toContain(
      "module: the applications open plain TCP sockets",
    );

    const [sent, got] = await transfer(8);
    expect(got).toBe(sent);
    const [rule] = await listed("sender");
    const [first = 0, second = 0] = rule?.paths.map(({ txBytes }) => txBytes) ?? [];
    expect(first + second).toBeGreaterThan(8 << 20);
    expect(first / (first + second)).toBeCloseTo(0.75, 1);

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
    expect(names.flatMap((_, index) => stateDifferences(before[index]!, after[index]!))).toEqual([]);
    for (const name of names)
      expect(
        await sh(name, "lsmod | grep netagg || :; find /lib/modules -path '*netloom*' -o -name 'netagg*'"),
      ).toBe("");
  },
);
