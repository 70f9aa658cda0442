import { HostError } from "./operation";

/**
 * One word of a POSIX shell that stands for exactly `text`: in single quotes nothing has a meaning but the
 * quote itself.
 *
 * @throws HostError for a NUL byte, which no argument and no shell word can hold.
 */
export function quote(text: string): string {
  if (text.includes("\0"))
    throw new HostError("a text for the host holds a NUL byte, which cannot be passed on");
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** An argument vector as words of a POSIX shell. */
export function quoteAll(words: readonly string[]): string {
  return words.map(quote).join(" ");
}

/** What an argument in a batch may hold: nothing that `ip -batch` splits, unquotes or takes for a comment. */
const batchWord = /^[A-Za-z0-9_.:/@%+,=-]+$/;

/**
 * One line of `ip -batch` or `tc -batch` (both split at blanks and know quotes, `\` and `#`). Anything but
 * plain words is refused rather than quoted: no object of the kernel that these tools make needs more.
 *
 * @throws HostError that names the argument's place; not the argument, which may be a secret.
 */
export function batchLine(tool: "ip" | "tc" | "bpftool", args: readonly string[]): string {
  args.forEach((arg, index) => {
    if (batchWord.test(arg)) return;
    const found =
      arg === ""
        ? "is empty"
        : `holds ${JSON.stringify([...arg].find((character) => !batchWord.test(character)))}`;
    throw new HostError(
      `argument ${index + 1} of "${commandWords(tool, args)}" ${found}: ` +
        "only letters, digits and _ . : / @ % + , = - can be passed",
    );
  });
  if (!/^[a-z]/.test(args[0] ?? ""))
    throw new HostError(`a line of a batch of ${tool} begins with an object such as "link", not an option`);
  return args.join(" ");
}

/** What a command is called in messages: the tool and its first two words. Values stay out, some are secret. */
export function commandWords(tool: string, args: readonly string[]): string {
  return [tool, ...args.slice(0, 2).filter((word) => /^[a-z][a-z0-9_-]*$/.test(word))].join(" ");
}

/**
 * A network namespace's name as `ip netns` takes it.
 *
 * @throws HostError for what is no file name or could be taken as an option.
 */
export function netnsName(name: string): string {
  if (!/^[A-Za-z0-9_.:@%+=,][A-Za-z0-9_.:@%+=,-]*$/.test(name) || name === "." || name === "..")
    throw new HostError(`${JSON.stringify(name)} is no name for a network namespace`);
  return name;
}

/**
 * The file of a kernel setting given by its `/`-separated key.
 *
 * @throws HostError for a key that would leave `/proc/sys`.
 */
export function sysctlPath(key: string): string {
  const segments = key.split("/");
  if (!/^[^\0\n]+$/.test(key) || segments.some((segment) => ["", ".", ".."].includes(segment)))
    throw new HostError(`${JSON.stringify(key)} is no kernel setting: write it like net/ipv4/ip_forward`);
  return `/proc/sys/${key}`;
}

/**
 * A path on the host.
 *
 * @throws HostError for one that is not absolute or climbs.
 */
export function absolutePath(path: string): string {
  if (!path.startsWith("/") || path.endsWith("/") || /[\0\n]/.test(path) || path.split("/").includes(".."))
    throw new HostError(`${JSON.stringify(path)} is no absolute path of a file`);
  return path;
}
