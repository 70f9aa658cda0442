import { execa } from "execa";
import { atMost, report, spread, timesFaster, type Row } from "../support/report";
import { startSshd } from "../support/sshd";
import { benchEngine } from "./engine";
import { batchLines, linkSpecs } from "./links";
import { ansible, dialForEach, installPeers, oneBatch, pyinfra, type Job } from "./peers";
import { applyCore } from "./core";

const links = 200;

/** Two hundred links with an address over ssh to one host, by each way in turn. */
export async function controlPlane(runs: number): Promise<boolean> {
  await installPeers();
  const sshd = await startSshd();
  try {
    const netns = `nlbench-${process.pid}`;
    const specs = linkSpecs(links, netns);
    const job: Job = { sshd, netns, perLink: specs.map(batchLines) };
    const seconds = async (apply: () => Promise<unknown>) => inNamespace(netns, links, apply);

    const floor: number[] = [];
    const ours: number[] = [];
    let connections = 0;
    for (let run = 0; run < runs; run++) {
      console.log(`core, run ${run + 1} of ${runs}`);
      floor.push(await seconds(() => oneBatch(job)));
      const before = sshd.connections();
      ours.push(await seconds(() => applyCore(sshd, specs)));
      connections = Math.max(connections, sshd.connections() - before);
    }
    const peers: Record<string, number[]> = {};
    for (const [name, apply] of Object.entries({
      "a dial for each": dialForEach,
      "ansible-core": ansible,
      pyinfra,
    })) {
      for (let run = 0; run < runs; run++) {
        console.log(`${name}, run ${run + 1} of ${runs}`);
        (peers[name] ??= []).push(await seconds(() => apply(job)));
      }
    }
    const core = spread(ours);
    const against = (name: string, values: number[] | undefined) => ({ name, value: spread(values ?? []) });
    const rows: Row[] = [
      atMost(2.5, "provider core", "s", core, against("one ip -batch in one ssh session", floor)),
      timesFaster(
        20,
        "provider core",
        "s",
        core,
        against("a fresh ssh dial for each link", peers["a dial for each"]),
      ),
      timesFaster(10, "provider core", "s", core, against("ansible-core, pipelining", peers["ansible-core"])),
      timesFaster(4, "provider core", "s", core, against("pyinfra", peers["pyinfra"])),
    ];
    const engine = await benchEngine(sshd, specs, netns, runs);
    return report(
      "control-plane",
      [...rows, ...engine.rows],
      [
        {
          case: "ssh connections of the core",
          unit: "count",
          value: connections,
          target: "1",
          ok: connections === 1,
        },
        ...engine.figures,
      ],
    );
  } finally {
    sshd.stop();
  }
}

/** Times something in a namespace made for it, and checks that it did make the links. */
async function inNamespace(netns: string, count: number, apply: () => Promise<unknown>): Promise<number> {
  await execa("ip", ["netns", "add", netns]);
  try {
    const began = process.hrtime.bigint();
    await apply();
    const seconds = Number(process.hrtime.bigint() - began) / 1e9;
    const made = JSON.parse((await execa("ip", ["-n", netns, "-j", "addr"])).stdout) as {
      addr_info: { family: string }[];
    }[];
    const addressed = made.filter(({ addr_info }) =>
      addr_info.some(({ family }) => family === "inet"),
    ).length;
    if (addressed !== count) throw new Error(`${addressed} links with an address instead of ${count}`);
    return seconds;
  } finally {
    await execa("ip", ["netns", "del", netns]);
  }
}
