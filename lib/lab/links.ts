import { LabError } from "./errors";
import { checkedName } from "./paths";

/** How many data interfaces (eth1, eth2, ...) each machine has beside the management interface eth0. */
export const dataNics = 4;

/** One end of a cable: the machine, and which of its data interfaces (1 is eth1). */
export type LinkEnd = readonly [machine: string, nic: number];

/** A cable between the data interfaces of two machines. */
export interface LabLink {
  readonly a: LinkEnd;
  readonly b: LinkEnd;
}

/** Writes an end as a person does: `edge:1`. */
export const endText = ([machine, nic]: LinkEnd): string => `${machine}:${nic}`;

/** Writes a link as a person does: `edge:1=core:1`. */
export const linkText = (link: LabLink): string => `${endText(link.a)}=${endText(link.b)}`;

/** Reads `edge:1=core:1`; `edge:eth1=core:eth1` is the same. */
export function parseLink(text: string): LabLink {
  const ends = text.split("=");
  const [a, b] = ends;
  if (ends.length !== 2 || !a || !b) {
    throw new LabError(
      `${JSON.stringify(text)} is not a link: write MACHINE:NIC=MACHINE:NIC, as in edge:1=core:1`,
    );
  }
  return { a: parseEnd(a, text), b: parseEnd(b, text) };
}

function parseEnd(text: string, link: string): LinkEnd {
  const match = /^([^:]+):(?:eth)?([0-9]{1,3})$/.exec(text);
  if (!match) {
    throw new LabError(
      `${JSON.stringify(text)} in ${JSON.stringify(link)}: an end of a link is MACHINE:NIC, as in edge:1`,
    );
  }
  return [checkedName("machine", match[1] ?? ""), Number(match[2])];
}

/** Refuses links that name no machine of the lab, an interface that is not there, or one interface twice. */
export function checkLinks(links: readonly LabLink[], machines: readonly string[]): void {
  const taken = new Map<string, string>();
  for (const link of links) {
    for (const end of [link.a, link.b]) {
      const [machine, nic] = end;
      if (!machines.includes(machine)) {
        throw new LabError(`link ${linkText(link)}: there is no machine ${machine} (${machines.join(", ")})`);
      }
      if (!Number.isInteger(nic) || nic < 1 || nic > dataNics) {
        throw new LabError(`link ${linkText(link)}: data interfaces are 1 to ${dataNics}, not ${nic}`);
      }
      const other = taken.get(endText(end));
      if (other) throw new LabError(`link ${linkText(link)}: ${endText(end)} is taken by ${other}`);
      taken.set(endText(end), linkText(link));
    }
  }
}
