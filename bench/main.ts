import { Command } from "commander";
import pc from "picocolors";
import { controlPlane } from "./control-plane/main";
import { geneveMux } from "./geneve-mux/main";
import { ispFlood } from "./isp/flood";
import { isp } from "./isp/main";
import { l4lb } from "./l4lb/main";
import { netagg } from "./netagg/main";
import { shaper } from "./shaper/main";

/** Every benchmark by name: what it measures, and the run that returns whether its targets held. */
const benchmarks: Record<string, { summary: string; run: (runs: number) => Promise<boolean> }> = {
  "control-plane": {
    summary: "applying 200 links over ssh, against what else applies them",
    run: controlPlane,
  },
  "geneve-mux": {
    summary: "encapsulation and decapsulation in XDP, by the number of tunnels",
    run: geneveMux,
  },
  isp: {
    summary: "10,000 subscribers: their tunnels in the kernel, and the whole engine",
    run: isp,
  },
  "isp-flood": {
    summary: "one subscriber floods: what the others keep of rate and latency",
    run: ispFlood,
  },
  netagg: {
    summary: "one TCP flow over two paths, against MPTCP and each path alone",
    run: netagg,
  },
  l4lb: {
    summary: "the load balancer in XDP, by the number of flows",
    run: l4lb,
  },
  shaper: {
    summary: "finding a packet's subscriber, by the number of subscribers",
    run: shaper,
  },
};

const program = new Command("bench")
  .description("Measures both sides of each comparison in the same run and prints their ratio.")
  .argument("[name...]", "which benchmarks (all when none is named)")
  .option("--runs <n>", "runs of each side", "3")
  .option("--list", "list the benchmarks and stop")
  .action(async (names: string[], options: { runs: string; list?: boolean }) => {
    if (options.list) {
      for (const [name, { summary }] of Object.entries(benchmarks))
        console.log(`${name.padEnd(16)} ${summary}`);
      return;
    }
    const runs = Number(options.runs);
    if (!Number.isInteger(runs) || runs < 1)
      program.error(`--runs takes a whole number from 1, not ${options.runs}`);
    const unknown = names.filter((name) => !(name in benchmarks));
    if (unknown.length > 0)
      program.error(`no benchmark ${unknown.join(", ")}; there are ${Object.keys(benchmarks).join(", ")}`);
    let held = true;
    for (const name of names.length > 0 ? names : Object.keys(benchmarks))
      held = (await benchmarks[name]!.run(runs)) && held;
    if (!held) console.log(pc.yellow("\nat least one target was missed"));
    process.exitCode = held ? 0 : 1;
  });

program.parseAsync().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
