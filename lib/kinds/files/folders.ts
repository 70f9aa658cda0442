const below = (folder: string, names: string) => names.split(" ").map((name) => `${folder}/${name}`);

/** Folders below the first level that a Debian system comes with, apart from the `.d` ones. */
const SYSTEM_FOLDERS = new Set([
  ...below(
    "/etc",
    "apt cron.daily cron.hourly cron.monthly cron.weekly default iproute2 netns network security",
  ),
  ...below("/etc", "ssh ssl systemd systemd/network systemd/system systemd/user udev"),
  ...below("/usr", "bin games include lib libexec local sbin share src"),
  ...below("/usr", "lib/modules lib/systemd lib/systemd/network lib/systemd/system"),
  ...below("/usr/local", "bin etc games include lib libexec sbin share src"),
  ...below("/var", "backups cache lib local log mail opt spool tmp www"),
]);

/**
 * Whether a folder stays though nothing is left in it: one that comes with the system was there before us and must
 * be there after us, empty or not. A unit's own `.d` belongs to the files in it.
 */
export function stays(folder: string): boolean {
  const depth = folder.split("/").length - 1;
  return (
    depth === 1 ||
    (depth === 2 && folder.startsWith("/home/")) ||
    (depth <= 3 && /^\/(etc|usr)\/.*\.d$/.test(folder)) ||
    SYSTEM_FOLDERS.has(folder)
  );
}

/** The folders that a relative path goes through, the innermost first. */
export function foldersOf(path: string): string[] {
  const parts = path.split("/").slice(0, -1);
  return parts.map((_, index) => parts.slice(0, parts.length - index).join("/"));
}
