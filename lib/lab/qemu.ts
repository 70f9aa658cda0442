import { createHash } from "node:crypto";

import { dataNics } from "./links";

/** The machine's program. */
export const qemuProgram = "qemu-system-x86_64";

/** The name of the saved state inside its disk file. */
export const savedTag = "ready";

/** What a machine is started from and where its disk and sockets are. */
export interface MachineSpec {
  /** Shown in the process list. */
  readonly title: string;
  /** The image: kernel, initrd (a kernel with everything built in has none) and the disk that all clones share. */
  readonly image: { readonly kernel: string; readonly initrd?: string; readonly base: string };
  /** The machine's own disk, and the saved state inside it to wake up from (none: boot). */
  readonly disk: string;
  readonly wakeFrom?: string;
  /** The machine's folder, for its sockets, process id and console log. */
  readonly folder: string;
  /** The port on 127.0.0.1 that leads to its ssh. */
  readonly sshPort: number;
  /** One hardware address for each data interface. */
  readonly macs: readonly string[];
}

/** File names inside a machine's folder. */
export const machineFiles = {
  qmp: "qmp.sock",
  pid: "pid",
  console: "console.log",
  disk: "disk.qcow2",
  /** Where a data interface receives. */
  socket: (nic: number): string => `eth${nic}.sock`,
  /** Where a data interface sends: a symbolic link to the other end's socket, so that cables can be moved. */
  peer: (nic: number): string => `eth${nic}.peer`,
} as const;

/** Everything about the hardware that a saved state depends on: with other hardware it could not be loaded. */
export const hardware: readonly string[] = [
  ...["-machine", "pc", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1024"],
  ...["-nodefaults", "-no-user-config", "-display", "none"],
];

const kernelArguments = [
  "root=/dev/vda rw net.ifnames=0 console=ttyS0 loglevel=4 systemd.show_status=false",
  // The machine is emulated and short-lived: mitigations and self-tests would only slow it down. A panic reboots it.
  "mitigations=off cryptomgr.notests panic=5",
].join(" ");

/**
 * The arguments that start a machine. Nothing in them reaches beyond this computer: the management interface forwards
 * one port of 127.0.0.1 inwards and `restrict=on` lets nothing out, the data interfaces are unix datagram sockets.
 * Nor does it announce itself as a router (`ipv6=off`): the machine's routes are the user's alone.
 */
export function qemuArguments(spec: MachineSpec): string[] {
  const at = (file: string) => `${spec.folder}/${file}`;
  return [
    ...["-name", escaped(spec.title)],
    ...hardware,
    ...bootOptions(spec.image),
    ...["-drive", driveOption(spec)],
    ...["-device", "virtio-blk-pci,drive=disk0", "-device", "virtio-rng-pci"],
    ...["-serial", `file:${escaped(at(machineFiles.console))}`],
    ...["-qmp", `unix:${escaped(at(machineFiles.qmp))},server=on,wait=off`],
    ...["-netdev", `user,id=mgmt,restrict=on,ipv6=off,hostfwd=tcp:127.0.0.1:${spec.sshPort}-10.0.2.15:22`],
    ...["-device", "virtio-net-pci,netdev=mgmt,mac=52:54:00:12:34:56,romfile="],
    ...Array.from({ length: dataNics }, (_, index) => dataNic(spec, index + 1)).flat(),
    ...["-daemonize", "-pidfile", at(machineFiles.pid)],
    ...(spec.wakeFrom === undefined ? [] : ["-loadvm", spec.wakeFrom]),
  ];
}

function bootOptions({ kernel, initrd }: MachineSpec["image"]): string[] {
  if (initrd !== undefined) return ["-kernel", kernel, "-initrd", initrd, "-append", kernelArguments];
  // The modules that are loaded at boot are built in.
  return ["-kernel", kernel, "-append", `${kernelArguments} systemd.mask=systemd-modules-load.service`];
}

function driveOption(spec: MachineSpec): string {
  return [
    "if=none,id=disk0,format=qcow2,cache=unsafe",
    `file=${escaped(spec.disk)}`,
    // Said here and not in the file, so that the cache folder can move.
    `backing.driver=raw,backing.file.filename=${escaped(spec.image.base)}`,
  ].join(",");
}

function dataNic(spec: MachineSpec, nic: number): string[] {
  const local = escaped(`${spec.folder}/${machineFiles.socket(nic)}`);
  const remote = escaped(`${spec.folder}/${machineFiles.peer(nic)}`);
  return [
    "-netdev",
    `dgram,id=data${nic},local.type=unix,local.path=${local},remote.type=unix,remote.path=${remote}`,
    "-device",
    `virtio-net-pci,id=eth${nic},netdev=data${nic},mac=${spec.macs[nic - 1]},romfile=`,
  ];
}

/** QEMU ends an option's value at a comma, and takes two for one. */
const escaped = (value: string): string => value.replaceAll(",", ",,");

/** The hardware addresses of a machine's data interfaces: the same each time, others for each machine of each lab. */
export function macsOf(lab: string, machine: string): string[] {
  const bytes = createHash("sha256").update(`${lab}/${machine}`).digest("hex");
  return Array.from(
    { length: dataNics },
    (_, index) => `52:54:${bytes.slice(0, 2)}:${bytes.slice(2, 4)}:${bytes.slice(4, 6)}:0${index + 1}`,
  );
}
