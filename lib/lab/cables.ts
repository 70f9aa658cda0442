import { readlinkSync, rmSync, symlinkSync } from "node:fs";
import { basename, dirname, join } from "node:path";

import { LabError } from "./errors";
import { dataNics, endText, linkText, type LabLink, type LinkEnd } from "./links";
import { foldersIn } from "./owners";
import { labFolder, machineFolder } from "./paths";
import { machineFiles } from "./qemu";

// A data interface sends to whatever its `.peer` names at that moment. So a cable is two symbolic links, one at each
// end, and can be plugged while the machines run; where there is none the kernel finds nobody and the frame is gone.

/** Plugs a cable; refuses an end that another cable is in. */
export function plug(lab: string, link: LabLink): void {
  for (const [from, to] of bothWays(link)) {
    const there = peerOf(lab, from);
    if (there && endText(there) !== endText(to)) {
      throw new LabError(`link ${linkText(link)}: ${endText(from)} is linked to ${endText(there)} already`);
    }
  }
  for (const [from, to] of bothWays(link)) {
    const peer = peerFile(lab, from);
    rmSync(peer, { force: true });
    symlinkSync(join("..", to[0], machineFiles.socket(to[1])), peer);
  }
}

/** Pulls a cable out of both ends. */
export function unplug(lab: string, link: LabLink): void {
  for (const [from, to] of bothWays(link)) {
    const there = peerOf(lab, from);
    if (there && endText(there) === endText(to)) rmSync(peerFile(lab, from), { force: true });
  }
}

/** Pulls every cable that leads to a machine. */
export function unplugAll(lab: string, machine: string): void {
  for (const link of cablesOf(lab)) {
    if (link.a[0] === machine || link.b[0] === machine) unplug(lab, link);
  }
}

/** The cables of a lab, each once. */
export function cablesOf(lab: string): LabLink[] {
  const links = new Map<string, LabLink>();
  for (const folder of foldersIn(labFolder(lab))) {
    for (let nic = 1; nic <= dataNics; nic++) {
      const end: LinkEnd = [basename(folder), nic];
      const other = peerOf(lab, end);
      if (!other) continue;
      const [a, b] = [end, other].sort((x, y) => (endText(x) < endText(y) ? -1 : 1)) as [LinkEnd, LinkEnd];
      links.set(linkText({ a, b }), { a, b });
    }
  }
  return [...links.values()];
}

const bothWays = ({ a, b }: LabLink): [LinkEnd, LinkEnd][] => [
  [a, b],
  [b, a],
];

const peerFile = (lab: string, [machine, nic]: LinkEnd): string =>
  join(machineFolder(lab, machine), machineFiles.peer(nic));

function peerOf(lab: string, end: LinkEnd): LinkEnd | undefined {
  let target: string;
  try {
    target = readlinkSync(peerFile(lab, end));
  } catch {
    return undefined;
  }
  const nic = /^eth(\d+)\.sock$/.exec(basename(target));
  return nic ? [basename(dirname(target)), Number(nic[1])] : undefined;
}
