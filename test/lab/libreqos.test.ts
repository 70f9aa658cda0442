import { delimiter } from "node:path";
import {
  App,
  Bridge,
  Host,
  LibreQoSShaper,
  type LibreQoSShaperProps,
  Namespace,
  Subscribers,
  type SubscriberProps,
  TunnelAllocation,
  VethPair,
} from "../../lib";
import { commandPluginFolder } from "../support/command-plugin";
import { engineStack, type TestStack } from "../support/engine";
import { withLab } from "../support/lab";
import { registered } from "../unit/synth/mocks";

const machines = withLab(["edge"]);
const plugin = commandPluginFolder();
let stack: TestStack;

const sh = async (script: string) => (await machines.lab.ssh("edge", ["sh", "-ec", script])).trim();

/** Stands in for a LibreQoS that a package has installed: services and a command that note each of their starts. */
const INSTALLED = `
  mkdir -p /opt/libreqos/src /run/starts
  for unit in lqosd lqos_scheduler; do
    printf '%s\\n' '[Unit]' 'After=local-fs.target' '[Service]' 'Type=exec' \\
      "ExecStartPre=/bin/sh -c 'cat /etc/lqos.conf /opt/libreqos/src/ShapedDevices.csv >/dev/null && echo x >>/run/starts/$unit'" \\
      'ExecStart=/bin/sleep infinity' '[Install]' 'WantedBy=multi-user.target' >/usr/lib/systemd/system/$unit.service
  done
  printf '%s\\n' '#!/bin/sh' 'test -f ShapedDevices.csv && echo x >>/run/starts/command' >/opt/libreqos/src/LibreQoS.sh
  chmod 755 /opt/libreqos/src/LibreQoS.sh
  systemctl daemon-reload`;

/** How often each was started; 0 for what never was. */
async function starts(): Promise<Readonly<Record<string, number>>> {
  const names = ["lqosd", "lqos_scheduler", "command"];
  const lines = await sh(names.map((name) => `cat /run/starts/${name} 2>/dev/null | wc -l`).join("\n"));
  const counts = lines.split("\n").map(Number);
  return Object.fromEntries(names.map((name, index) => [name, counts[index] ?? -1]));
}

/** What is there of it besides the package: files, and the state of its services. */
const traces = () =>
  sh(`find /opt/libreqos /etc/lqos.conf /etc/systemd/system /var/lib/netloom-units 2>/dev/null | sort
      systemctl show -P ActiveState,UnitFileState lqosd lqos_scheduler; ip -br link | grep -c '^br0\\|^down0' || :`);

const ANN: SubscriberProps = { id: "ann", plan: { downloadMax: 20, uploadMax: 10 } };
const BOB: SubscriberProps = { id: "bob", plan: { downloadMax: 50, uploadMax: 50 } };

const build = (subscribers: readonly SubscriberProps[], shaper: LibreQoSShaperProps) => {
  const { address, port, user, hostKey, privateKey } = machines.lab.host("edge");
  const app = new App({ privateKey });
  const edge = new Host(app, "edge", { address, port, user, hostKey });
  const [ns1, ns2] = [new Namespace(edge, "ns1"), new Namespace(edge, "ns2")];
  const pair = (name: string, far: Namespace) =>
    new VethPair(edge, name, {
      a: { namespace: edge, name },
      b: { namespace: far, name: "shaped" },
      queues: 2,
    });
  const [down, up] = [pair("down0", ns1), pair("up0", ns2)];
  new Bridge(edge, "br0", { ports: [down.a, up.a] });
  const checked = Subscribers.of(subscribers);
  const allocation = TunnelAllocation.of(checked.all, { ipv4: "192.168.11.0/24" });
  const uplink = { download: 100, upload: 100 };
  const point = { subscriberSide: down.a, internetSide: up.a, bridge: "linux", uplink } as const;
  new LibreQoSShaper(shaper).attach(edge, point, { subscribers: checked, allocation });
  return app;
};

const program =
  (subscribers: readonly SubscriberProps[], shaper: LibreQoSShaperProps = {}) =>
  () =>
    Promise.resolve(build(subscribers, shaper).deploy() as Record<string, unknown>);

beforeAll(async () => {
  await sh(INSTALLED);
  if (plugin !== undefined) process.env.PATH = `${plugin}${delimiter}${process.env.PATH ?? ""}`;
  stack = await engineStack({ program: program([ANN, BOB]) });
});

afterAll(() => stack?.remove());

test("its services are restarted once for a change of any of its files, and not at all for none", async () => {
  const before = await traces();
  await stack.up();
  expect(await starts()).toEqual({ lqosd: 1, lqos_scheduler: 1, command: 0 });
  expect(await sh("grep -c '' /opt/libreqos/src/ShapedDevices.csv; systemctl is-enabled lqosd")).toBe(
    "3\nenabled",
  );

  await stack.up({ expectNoChanges: true });
  await stack.up({ program: program([BOB, ANN]), expectNoChanges: true });
  expect(await starts()).toEqual({ lqosd: 1, lqos_scheduler: 1, command: 0 });

  const faster = { ...ANN, plan: { downloadMax: 30, uploadMax: 10 } };
  const { changes } = await stack.up({ program: program([faster, BOB]) });
  expect(changes.map(({ op, name }) => `${op} ${name}`).sort()).toEqual([
    "update edge/libreqos/lqos_scheduler.service",
    "update edge/libreqos/lqosd.service",
    "update edge/libreqos/plans",
  ]);
  expect(await starts()).toEqual({ lqosd: 2, lqos_scheduler: 2, command: 0 });

  const settings = { settings: { sqm: "fq_codel" } };
  await stack.up({ program: program([faster, BOB], settings) });
  expect(await starts()).toEqual({ lqosd: 3, lqos_scheduler: 3, command: 0 });
  await stack.refresh();
  await stack.up({ expectNoChanges: true });
  expect(await starts()).toEqual({ lqosd: 3, lqos_scheduler: 3, command: 0 });

  await stack.destroy();
  expect(await starts()).toEqual({ lqosd: 3, lqos_scheduler: 3, command: 0 });
  expect(await traces()).toBe(before);
});

const byCommand = { reload: "command", units: ["lqosd.service"], reloadCommand: ["./LibreQoS.sh"] } as const;

test("the command line of its own command runs it in its folder, by any login that may", async () => {
  const { resources } = await registered(() => build([ANN], byCommand).deploy());
  const line = resources.find(({ name }) => name === "edge/libreqos/reload")?.inputs["create"] as string;
  const there = Number((await starts()).command);
  await sh("touch /opt/libreqos/src/ShapedDevices.csv");
  for (const user of ["root", "admin"] as const)
    await machines.lab.ssh("edge", ["bash", "-c", line], { user });
  expect((await starts()).command).toBe(there + 2);
  await sh("rm /opt/libreqos/src/ShapedDevices.csv");
});

// Where @pulumi/command's plugin is not to be had, this is counted as skipped.
(plugin === undefined ? test.skip : test)(
  "its own command is run once for a change of any of its files, and its service is left alone",
  async () => {
    const there = await starts();
    const ran = async () => {
      const now = await starts();
      return [Number(now.lqosd) - Number(there.lqosd), Number(now.command) - Number(there.command)];
    };
    await stack.up({ program: program([ANN, BOB], byCommand) });
    expect(await ran()).toEqual([1, 1]);
    await stack.up({ expectNoChanges: true });
    expect(await ran()).toEqual([1, 1]);
    await stack.up({ program: program([ANN], byCommand) });
    expect(await ran()).toEqual([1, 2]);
    await stack.destroy();
    expect(await ran()).toEqual([1, 2]);
  },
);
