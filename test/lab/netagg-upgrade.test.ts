import { setTimeout as sleep } from "node:timers/promises";
import { AggregationLab, type Received } from "../../bench/support/netagg";
import { Host, NetAggPair, Testing } from "../../lib";
import { executable } from "../../lib/kinds/executable";
import { kernelModule } from "../../lib/kinds/kernel-module";
import { netaggRules } from "../../lib/kinds/netagg-rules";
import { withLab } from "../support/lab";
import { labObjects } from "../support/lab-objects";
import { labRelease } from "../support/lab-runner";

const machines = withLab(["edge"], [], { release: labRelease });
const { apply, remove } = labObjects(machines);
// The module is built twice, which takes a while on an emulated processor.
const whenAsked = process.env.NETLOOM_MODULES === undefined ? test.skip : test;

/** What a NetAggPair makes on one of its hosts. */
function installation() {
  const app = Testing.app();
  const [a, b] = [new Host(app, "a"), new Host(app, "b")];
  const paths = [1, 2].map((nth) => ({ interface: `b${nth}`, address: `10.0.${nth}.2/24`, weight: 1 }));
  new NetAggPair(app, "agg", { sender: { host: a }, receiver: { host: b, paths }, port: 2000 });
  const specs = new Map(Testing.synth(app).map(({ path, spec }) => [path, spec]));
  const [tool, module] = [specs.get("a/netagg/tool"), specs.get("a/netagg/kernel/module")];
  return { tool: tool!, module: module as typeof kernelModule.schema._zod.output };
}

whenAsked(
  "a new version of netagg takes the place of the old one under a connection, which goes on, and the rules are there again",
  async () => {
    const lab = new AggregationLab(machines.lab, "edge");
    await lab.tools();
    await lab.sh("topology 2; wire 2");
    for (const path of [1, 2]) await lab.shape(path, { kbit: 2000, delayMs: 5 });

    const { tool, module } = installation();
    await apply(executable, tool, { create: true });
    await apply(kernelModule, module, { create: true });
    await lab.sh("ln -s /var/lib/netloom/executables/*/netagg /usr/local/bin/netagg");
    const [state = ""] = Object.keys(module.sources).filter((name) => name.endsWith("state.h"));
    const source = module.sources[state] ?? "";
    const [, version] = /NETAGG_VERSION\s+"([^"]+)"/.exec(source) ?? [];
    const loaded = () => lab.sh("cat /sys/module/netagg/version");
    expect(await loaded()).toBe(version);

    // An address that the receiver does not have, and one on another of its links, is refused before there is a rule.
    const named = (netns: string, role: string, ...devs: readonly (readonly [string, string])[]) => ({
      ...{ netns, name: "agg" },
      rules: [{ role, paths: devs.map(([address, dev]) => ({ address, port: 2999, weight: 1, dev })) }],
    });
    const right = ["10.0.1.2", "b1"] as const;
    await expect(
      apply(netaggRules, named("b", "receiver", right, ["10.0.2.9", "b2"]), { create: true }),
    ).rejects.toThrow(/path 2, 10\.0\.2\.9: is no address of this host; b2 has 10\.0\.2\.2\/24/);
    await expect(
      apply(netaggRules, named("b", "receiver", right, ["10.0.2.2", "b1"]), { create: true }),
    ).rejects.toThrow(/path 2, 10\.0\.2\.2: is on b2, not on b1; b1 has 10\.0\.1\.2\/24/);
    expect(await lab.rules("b")).toEqual([]);

    const port = await lab.aggregate([1, 1]);
    await lab.alive(true, true);
    const written = () => lab.sh("for ns in a b; do ip netns exec $ns netagg -W; done");
    const rules = await written();
    await expect(remove(kernelModule, module)).rejects.toThrow(
      /netagg is in use and stays loaded: 2 references/,
    );

    await lab.sh(`ip netns exec b stream serve 10.0.1.2 ${port} >/run/got 2>/run/served </dev/null &
      until grep -q listening /run/served; do sleep 0.1; done
      ip netns exec a stream send 10.0.1.2 ${port} 3600000 >/dev/null 2>/run/sent </dev/null & echo $! >/run/sender`);
    const next = { ...module, sources: { ...module.sources, [state]: source.replace(version!, "9.9.9") } };
    await apply(kernelModule, next);
    expect([await loaded(), await written()]).toEqual(["9.9.9", rules]);

    // Its bytes go by both paths again.
    await lab.alive(true, true);
    const carried = async () => (await lab.rules("a"))[0]!.paths.map(({ txBytes }) => txBytes);
    const before = await carried();
    for (let tries = 0; tries < 100; tries++) {
      if ((await carried()).every((bytes, path) => bytes > before[path]! + 100_000)) break;
      await sleep(200);
    }
    const after = await carried();
    for (const [path, bytes] of after.entries()) expect(bytes).toBeGreaterThan(before[path]! + 100_000);
    await lab.sh("kill $(cat /run/sender)");
    for (let tries = 0; tries < 300 && (await lab.sh("cat /run/got")) === ""; tries++) await sleep(100);
    const received = JSON.parse(await lab.sh("cat /run/got")) as Received;
    expect(received).toMatchObject({ intact: true, error: "" });
    expect(await lab.sh("cat /run/sent")).toBe("");

    await lab.flush();
    expect(await remove(kernelModule, next)).toBe("removed");
    expect(await remove(executable, tool)).toBe("removed");
    await lab.sh("! ls /sys/module/netagg /lib/modules/*/updates /var/lib/netloom/modules 2>/dev/null");
  },
);
