import { Command, Option } from "commander";
import { geneve } from "./demo/geneve";
import { greLab } from "./demo/gre-lab";
import { isp } from "./demo/isp";
import { l4lb } from "./demo/l4lb";
import { netagg } from "./demo/netagg";
import { endDemo, startDemo, type Demo } from "./demo/stage";
import { fail } from "./demo/voice";

/** Every demo by name; the first is the one that runs when none is named. */
const demos: Record<string, Demo> = { "gre-lab": greLab, geneve, isp, l4lb, netagg };
const names = Object.keys(demos);

interface Options {
  keep?: boolean;
  destroy?: boolean;
}

new Command("demo")
  .description(
    "Runs one of Netloom's systems on virtual machines of this computer, with the real Pulumi CLI, and shows that it works.",
  )
  .argument("[name]", `which: ${names.join(", ")}`, names[0])
  .addOption(new Option("--keep", "leave the machines and the network up afterwards").conflicts("destroy"))
  .option("--destroy", "only remove what an earlier run with --keep left up")
  .addHelpText(
    "after",
    [
      "",
      "Examples:",
      ...names.map((name) => `  npm run demo -- ${name.padEnd(10)} ${demos[name]!.summary}`),
      "  npm run demo -- --keep     and then: npm run lab -- ssh edge",
      "  npm run demo -- --destroy",
      "",
    ].join("\n"),
  )
  .action(async (name: string, options: Options, command: Command) => {
    const demo = demos[name];
    if (!demo) return command.error(`error: no demo ${name}; there are ${names.join(", ")}`);
    if (options.destroy) await endDemo(name, demo);
    else await startDemo(name, demo, { keep: options.keep === true });
  })
  .parseAsync()
  .catch(fail);
