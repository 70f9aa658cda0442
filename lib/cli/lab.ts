import { Command, InvalidArgumentError, Option } from "commander";
import { execa } from "execa";

import {
  defaultLab,
  defaultRelease,
  imageOf,
  Lab,
  labsUp,
  linkText,
  parseLink,
  parseRelease,
  pruneImages,
  releases,
  savedStateOf,
  type LabLink,
  type LabStatus,
  type Release,
} from "../lab";

/** The machine that is meant when none is named. */
const defaultMachine = "edge";

/** How this command was called, for the examples it gives. */
const called = process.env.npm_lifecycle_event === "lab" ? "npm run lab --" : "netloom lab";

/** `netloom lab`: local virtual machines to try things on. */
export function labCommand(): Command {
  return new Command("lab")
    .description("local virtual machines, restored from a snapshot in seconds, and cables between them")
    .addHelpText(
      "after",
      `
Examples:
  ${called} up                                    one machine, named edge
  ${called} ssh edge                              a shell on it
  ${called} ssh edge -- ip -br address            one command
  ${called} up left right --link left:1=right:1   two machines, eth1 to eth1
  ${called} up old --release 11                   Debian 11 (kernel 5.10)
  ${called} status                                what is up
  ${called} down                                  all of it away

Every machine has a management interface (eth0, not to be touched) and four data interfaces (eth1 to eth4).
Users: root, admin (passwordless sudo), guest (no sudo). Nothing outside this computer can be reached from them.`,
    )
    .addCommand(build())
    .addCommand(up())
    .addCommand(ssh())
    .addCommand(status())
    .addCommand(down())
    .addCommand(prune());
}

const labOption = () =>
  new Option("--lab <name>", "which lab; labs know nothing of each other").default(defaultLab);

const releaseOption = () =>
  new Option(
    "--release <number>",
    `Debian release: ${Object.entries(releases)
      .map(([number, { kernel }]) => `${number} (kernel ${kernel})`)
      .join(", ")}`,
  ).argParser(parsed(parseRelease));

/** A value that cannot be read is the user's mistake: Commander then names the option it was given to. */
const parsed =
  <T>(parse: (text: string) => T) =>
  (text: string): T => {
    try {
      return parse(text);
    } catch (error) {
      throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
    }
  };

function build(): Command {
  return new Command("build")
    .description("build the image and its snapshot, unless they are in the cache")
    .addOption(releaseOption().default(defaultRelease))
    .action(async ({ release }: { release: Release }) => {
      const image = await imageOf(release);
      await savedStateOf(image);
      console.log(`Debian ${release}: ${image.folder}`);
    });
}

function up(): Command {
  return new Command("up")
    .description("bring machines up; those that are up already are left as they are")
    .argument("[names...]", "names of the machines", [defaultMachine])
    .addOption(labOption())
    .addOption(releaseOption())
    .addOption(
      new Option("--link <a:nic=b:nic>", "a cable between data interfaces 1 to 4; may be repeated")
        .argParser((text: string, before: LabLink[]) => [...before, parsed(parseLink)(text)])
        .default([], "none"),
    )
    .action(async (names: string[], options: { lab: string; release?: Release; link: LabLink[] }) => {
      const began = Date.now();
      const { lab, release, link: links } = options;
      const brought = await Lab.up({ names, lab, links, ...(release === undefined ? {} : { release }) });
      for (const host of brought.hosts) {
        console.log(
          `${host.name}: Debian ${host.release}, ssh on ${host.address}:${host.port}${host.reused ? ", was up" : ""}`,
        );
      }
      for (const link of links) console.log(`linked ${linkText(link)}`);
      const named = lab === defaultLab ? "" : `--lab ${lab} `;
      console.log(
        `ready in ${((Date.now() - began) / 1000).toFixed(1)} s: ${called} ssh ${named}${brought.hosts[0]?.name}`,
      );
    });
}

function ssh(): Command {
  return new Command("ssh")
    .description("a shell on a machine, or one command after --")
    .argument("<name>", "the machine")
    .argument("[command...]", "what to run there instead of a shell")
    .addOption(labOption())
    .addOption(
      new Option("--user <name>", "root, admin or guest").choices(["root", "admin", "guest"]).default("root"),
    )
    .action(async (name: string, command: string[], options: { lab: string; user: string }) => {
      const terminal = process.stdin.isTTY && process.stdout.isTTY && command.length > 0 ? ["-t"] : [];
      const args = [...terminal, ...Lab.open(options.lab).sshArguments(name, options.user)];
      // Like ssh itself, what follows is a line for the shell over there.
      const result = await execa("ssh", [...args, ...(command.length > 0 ? ["--", ...command] : [])], {
        stdio: "inherit",
        reject: false,
      });
      process.exitCode = result.exitCode ?? 1;
    });
}

function status(): Command {
  return new Command("status")
    .description("the machines that are up, and their cables")
    .option("--json", "for machines to read")
    .action((options: { json?: true }) => {
      const labs = labsUp();
      if (options.json) console.log(JSON.stringify(labs.map(forMachines), null, 2));
      else if (labs.length === 0) console.log("no machine is up");
      else for (const lab of labs) printStatus(lab);
    });
}

const forMachines = ({ lab, machines, links }: LabStatus) => ({ lab, machines, links: links.map(linkText) });

function printStatus({ lab, machines, links }: LabStatus): void {
  console.log(`lab ${lab}`);
  for (const { name, release, port } of machines) {
    console.log(`  ${name.padEnd(16)} Debian ${release}  ssh 127.0.0.1:${port}`);
  }
  for (const link of links) console.log(`  ${linkText(link)}`);
}

function down(): Command {
  return new Command("down")
    .description("end machines, all of the lab's by default, and forget what was on their disks")
    .argument("[names...]", "names of the machines")
    .addOption(labOption())
    .action(async (names: string[], options: { lab: string }) => {
      const lab = Lab.open(options.lab);
      const ended = names.length > 0 ? names : lab.hosts.map((host) => host.name);
      for (const name of names) lab.host(name);
      await lab.down(names.length > 0 ? names : undefined);
      console.log(ended.length > 0 ? `down: ${ended.join(", ")}` : "nothing was up");
    });
}

function prune(): Command {
  return new Command("prune")
    .description("remove images that no current recipe builds")
    .option("--all", "also those that are current, unless a machine runs on them")
    .action((options: { all?: true }) => {
      const removed = pruneImages({ all: options.all === true });
      console.log(
        removed.length > 0 ? removed.map((folder) => `removed ${folder}`).join("\n") : "nothing to remove",
      );
    });
}
