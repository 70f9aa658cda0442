import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { basename, join } from "node:path";

import { cablesOf, plug, unplug, unplugAll } from "./cables";
import { LabError } from "./errors";
import { imageOf } from "./image";
import { checkLinks, dataNics, type LabLink } from "./links";
import { withLock } from "./lock";
import {
  consoleOf,
  restartMachine,
  runningMachine,
  setMachineCarrier,
  startMachine,
  stopMachine,
  type MachineRecord,
} from "./machine";
import { claim, foldersIn, sweepOrphans } from "./owners";
import { checkedName, labFolder, machineFolder, runFolder } from "./paths";
import { step, type Progress } from "./progress";
import { defaultRelease, digest, type Release } from "./recipe";
import { savedStateOf } from "./snapshot";
import { sshOptions, sshRun, type SshResult } from "./ssh";

/** A machine of a lab, as whoever connects to it needs it. */
export interface LabHost {
  readonly name: string;
  readonly address: "127.0.0.1";
  readonly port: number;
  readonly user: "root";
  /** `ssh-ed25519 AAAA...`; all machines of one image have the same. */
  readonly hostKey: string;
  readonly privateKeyFile: string;
  /** The text of the private key. It also lets in `admin` (passwordless sudo) and `guest` (no sudo). */
  readonly privateKey: string;
  readonly release: Release;
  /** It was up already. */
  readonly reused: boolean;
}

/** What {@link Lab.up} brings up. */
export interface LabOptions {
  /** The machines. */
  readonly names: readonly string[];
  /** Cables between their data interfaces; 1 is eth1. */
  readonly links?: readonly LabLink[];
  /** Debian release. @default 12, or whatever a machine that is up already has */
  readonly release?: Release;
  /** Which lab; labs know nothing of each other. @default "default" */
  readonly lab?: string;
  /** The lab ends when this process does, even when it is killed. @default false */
  readonly ephemeral?: boolean;
  /** Told of builds that take a while. @default standard error */
  readonly progress?: Progress;
}

/** What {@link Lab.run} and {@link Lab.ssh} take beside the command. */
export interface CommandOptions {
  /** What the command reads from its standard input. @default nothing */
  readonly input?: string;
  /** @default "root" */
  readonly user?: "root" | "admin" | "guest";
  /** How long it may take. @default as long as it likes */
  readonly timeoutMs?: number;
}

/** The lab that the command line uses when none is named. */
export const defaultLab = "default";

/** Local virtual machines and the cables between them. */
export class Lab {
  private constructor(
    readonly name: string,
    readonly hosts: readonly LabHost[],
  ) {}

  /** Brings machines up, or takes those that are up already; builds the image when the cache has none. */
  static async up(options: LabOptions): Promise<Lab> {
    const lab = checkedName("lab", options.lab ?? defaultLab);
    const names = [...new Set(options.names)];
    if (names.length === 0) throw new LabError("no machine is named");
    const folders = new Map(names.map((name) => [name, machineFolder(lab, name)] as const));
    checkLinks(options.links ?? [], names);
    await sweepOrphans();
    return withLock(lockFile(lab), async () => {
      if (options.ephemeral) claim(labFolder(lab));
      else mkdirSync(labFolder(lab), { recursive: true, mode: 0o700 });
      const hosts = await bringUp(lab, folders, options);
      for (const link of options.links ?? []) plug(lab, link);
      return new Lab(lab, hosts);
    });
  }

  /** A lab that is up, with all its machines; it starts nothing. */
  static open(lab = defaultLab): Lab {
    const records = recordsOf(checkedName("lab", lab));
    return new Lab(
      lab,
      records.map((record) => hostOf(record, true)),
    );
  }

  /** One of the machines. */
  host(name: string): LabHost {
    const host = this.hosts.find((one) => one.name === name);
    if (!host) throw notUp(this.name, name);
    return host;
  }

  /** Runs an argument vector on a machine and returns what it prints; a failure is an error with its words. */
  async ssh(name: string, argv: readonly string[], options: CommandOptions = {}): Promise<string> {
    const result = await this.run(name, argv, options);
    if (result.exitCode !== 0) {
      const said = (result.stderr || result.stdout).trim();
      throw new LabError(`${name}: ${argv.join(" ")}: exit ${result.exitCode}${said ? `: ${said}` : ""}`);
    }
    return result.stdout;
  }

  /** Runs an argument vector on a machine; its failure is a result like any other. */
  run(name: string, argv: readonly string[], options: CommandOptions = {}): Promise<SshResult> {
    return sshRun(this.record(name), argv, options);
  }

  /** The arguments of `ssh` that lead to a machine, for whoever runs it with a terminal. */
  sshArguments(name: string, user = "root"): string[] {
    return [...sshOptions(this.record(name), user), `${user}@127.0.0.1`];
  }

  /** Reboots a machine in good order and waits until its ssh is back. */
  reboot(name: string): Promise<void> {
    return restartMachine(this.record(name), "reboot");
  }

  /** Restarts a machine as if its power had failed, and waits until its ssh is back. */
  reset(name: string): Promise<void> {
    return restartMachine(this.record(name), "reset");
  }

  /** Plugs a cable between machines that are up. */
  connect(link: LabLink): void {
    checkLinks([link], this.names());
    plug(this.name, link);
  }

  /** Pulls a cable; neither end's carrier changes, frames are just lost. */
  disconnect(link: LabLink): void {
    checkLinks([link], this.names());
    unplug(this.name, link);
  }

  /** Takes the carrier from a data interface, or gives it back. */
  async setCarrier(name: string, nic: number, up: boolean): Promise<void> {
    if (!Number.isInteger(nic) || nic < 1 || nic > dataNics) throw new LabError(`no data interface ${nic}`);
    await setMachineCarrier(this.record(name).folder, nic, up);
  }

  /** What a machine's console has shown since it was started: its kernel's warnings among it. */
  console(name: string): string {
    return consoleOf(this.record(name).folder);
  }

  /** Ends machines, all by default, and forgets what was on their disks. */
  async down(names?: readonly string[]): Promise<void> {
    await withLock(lockFile(this.name), async () => {
      const folder = labFolder(this.name);
      const chosen = names ?? foldersIn(folder).map((one) => basename(one));
      await Promise.all(chosen.map((name) => this.end(name)));
      if (existsSync(folder) && foldersIn(folder).length === 0)
        rmSync(folder, { recursive: true, force: true });
    });
  }

  private async end(name: string): Promise<void> {
    const folder = machineFolder(this.name, name);
    unplugAll(this.name, name);
    await stopMachine(folder);
  }

  private names(): string[] {
    return recordsOf(this.name).map((record) => record.name);
  }

  private record(name: string): MachineRecord {
    const record = runningMachine(machineFolder(this.name, name));
    if (!record) throw notUp(this.name, name);
    return record;
  }
}

/** A lab as `netloom lab status` shows it. */
export interface LabStatus {
  readonly lab: string;
  readonly machines: readonly { readonly name: string; readonly release: Release; readonly port: number }[];
  readonly links: readonly LabLink[];
}

/** The labs that are up on this computer. */
export function labsUp(): LabStatus[] {
  if (!existsSync(runFolder())) return [];
  return readdirSync(runFolder(), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => ({
      lab: name,
      machines: recordsOf(name).map((record) => ({
        name: record.name,
        release: record.release,
        port: record.port,
      })),
      links: cablesOf(name),
    }))
    .filter(({ machines }) => machines.length > 0);
}

/** The image folders that machines run on. */
export const imagesInUse = (): Set<string> =>
  new Set(labsUp().flatMap(({ lab }) => recordsOf(lab).map((record) => record.imageFolder)));

/** Some labs share a lock: they then wait for one another, and no file is left for every lab there ever was. */
const lockFile = (lab: string): string => join(runFolder(), `.lock-${digest(lab).slice(0, 1)}`);

async function bringUp(
  lab: string,
  folders: ReadonlyMap<string, string>,
  options: LabOptions,
): Promise<readonly LabHost[]> {
  const found = new Map([...folders].map(([name, folder]) => [name, runningMachine(folder)] as const));
  for (const [name, record] of found) {
    if (record && options.release !== undefined && record.release !== options.release) {
      throw new LabError(
        `${name} is up with Debian ${record.release}: take it down first, or give another name`,
      );
    }
  }
  const missing = [...folders].filter(([name]) => !found.get(name));
  const started = missing.length === 0 ? [] : await startAll(lab, missing, options);
  const records = new Map(started.map((record) => [record.name, record] as const));
  return [...folders.keys()].map((name) => {
    const record = found.get(name) ?? records.get(name);
    if (!record) throw new LabError(`${name} did not start`);
    return hostOf(record, found.get(name) !== undefined);
  });
}

async function startAll(
  lab: string,
  machines: readonly (readonly [name: string, folder: string])[],
  options: LabOptions,
): Promise<readonly MachineRecord[]> {
  const progress = options.progress ?? step;
  const image = await imageOf(options.release ?? defaultRelease, progress);
  const saved = await savedStateOf(image, progress);
  const outcomes = await Promise.allSettled(
    machines.map(([name, folder]) => startMachine(lab, name, folder, image, saved)),
  );
  const failed = outcomes.find((outcome) => outcome.status === "rejected");
  if (!failed) return outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
  await Promise.all(machines.map(([, folder]) => stopMachine(folder)));
  throw failed.reason;
}

function notUp(lab: string, name: string): LabError {
  const others = recordsOf(lab).map((record) => record.name);
  return new LabError(
    `no machine ${name} is up in lab ${lab} (${others.length > 0 ? others.join(", ") : "none is"})`,
  );
}

const recordsOf = (lab: string): MachineRecord[] =>
  foldersIn(labFolder(lab)).flatMap((folder) => runningMachine(folder) ?? []);

const hostOf = (record: MachineRecord, reused: boolean): LabHost => ({
  name: record.name,
  address: "127.0.0.1",
  port: record.port,
  user: "root",
  hostKey: record.hostKey,
  privateKeyFile: record.privateKeyFile,
  privateKey: readFileSync(record.privateKeyFile, "utf8"),
  release: record.release,
  reused,
});
