// What bpf/verify prints, and how it is kept in bpf/ceilings.

/**
 * The figures of a table that bpf/verify has printed: the kernel, and a line of bpf/ceilings for each program.
 * @param {string} table
 */
export function figuresOf(table) {
  const kernel = /^Linux (\d+\.\d+)$/m.exec(table)?.[1];
  if (!kernel) throw new Error(`no table of bpf/verify:\n${table}`);
  const programs = [...table.matchAll(/^(\S+) +(\S+) +(\d+) +(\d+) +(\d+)(?: |$)/gm)];
  return { kernel, lines: programs.map(([, ...fields]) => [kernel, ...fields].join(" ")) };
}

/**
 * `bpf/ceilings` with these lines in the place of the kernel's old ones; comments and other kernels stay.
 * @param {string} ceilings
 * @param {{ kernel: string, lines: string[] }} figures
 */
export function withFigures(ceilings, { kernel, lines }) {
  const old = ceilings.split("\n").filter((line) => line !== "");
  const kept = old.filter((line) => !line.startsWith(`${kernel} `));
  const newer = (line) => !line.startsWith("#") && compare(line.split(" ")[0], kernel) > 0;
  const at = kept.findIndex(newer);
  kept.splice(at < 0 ? kept.length : at, 0, ...lines);
  return kept.join("\n") + "\n";
}

/** 5.10 is older than 6.1, and 6.1 older than 6.12. */
function compare(one, other) {
  const [a, b] = [one, other].map((version) => version.split(".").map(Number));
  return a[0] - b[0] || a[1] - b[1];
}
