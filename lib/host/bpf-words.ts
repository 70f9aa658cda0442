/** What the verifier says is long, and only the end of its log matters. */

/** Lines of the verifier's log that are kept: the instructions before the one that it refused. */
const KEPT = 24;

/**
 * What a failed `bpftool prog load` said, with the verifier's log cut to its end; undefined for another command.
 *
 * @param line the line of the batch
 */
export function explainLoad(line: string, stderr: string): string | undefined {
  if (!/^prog load(all)? /.test(line)) return undefined;
  const said = stderr.split("\n").filter((one) => one.trim() !== "" && !/^libbpf: loading /.test(one));
  const [from, to] = [/-- BEGIN PROG LOAD LOG --/, /-- END PROG LOAD LOG --/].map((mark) =>
    said.findIndex((one) => mark.test(one)),
  );
  if (from === undefined || to === undefined || from < 0 || to < from)
    return `the object was not loaded:\n${said.slice(-KEPT).join("\n")}`;
  const program = /prog '([^']+)'/.exec(said[from] ?? "")?.[1] ?? "";
  // The statistics at the end of the log say nothing about what is wrong.
  const log = said
    .slice(from + 1, to)
    .filter((one) => !/^(processed \d+ insns|verification time|stack depth)/.test(one));
  const left = log.length > KEPT ? [`… (${log.length - KEPT} lines before)`] : [];
  return `the verifier refused the program ${program}:\n${[...left, ...log.slice(-KEPT)].join("\n")}`;
}
