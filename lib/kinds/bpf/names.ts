import { quoted, text } from "../schemas";

/** Where the pins of all programs are: the bpf file system that systemd mounts, in a folder of our own. */
export const PINS = "/sys/fs/bpf/netloom";

/** Where objects are built. */
export const OBJECTS = "/var/lib/netloom/bpf";

const LONGEST = 48;

/** A name that can be a pin: the bpf file system keeps names with a dot for itself (kernel/bpf/inode.c). */
export const pinName = text((name) => {
  if (name === "" || name.length > LONGEST) return `must have 1 to ${LONGEST} characters`;
  return /^[A-Za-z0-9_][A-Za-z0-9_-]*$/.test(name)
    ? undefined
    : `${quoted(name)} cannot be the name of a pin: only letters, digits, "_" and "-" are allowed`;
});

/** The name of a program or map in C. */
export const symbol = text((name) =>
  /^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(name) ? undefined : `${quoted(name)} is not a name in C`,
);

/** What a version of a program is told apart by: a digest, mostly. */
export const version = text((word) =>
  /^[A-Za-z0-9]{1,40}$/.test(word) ? undefined : `${quoted(word)} is not 1 to 40 letters and digits`,
);

/** The folder of a program's pins. */
export const folderOf = (program: string) => `${PINS}/${program}`;

/** The pin of a program that was loaded from an object: a path that stays the same from version to version. */
export const programPin = (program: string, name: string) => `${folderOf(program)}/current/programs/${name}`;

/** The pin of a map, likewise. */
export const mapPin = (program: string, name: string) => `${folderOf(program)}/current/maps/${name}`;
