import type { Step } from "../kinds/step";
import { bpfCommand, enter } from "./bpf-tools";
import { explainLoad } from "./bpf-words";
import { buildCommand, explainBuild, install } from "./build-tools";
import type { Answer } from "./exchange";
import { linkCommand } from "./link-tools";
import { moduleCommand } from "./module-tools";
import { netaggCommand } from "./netagg-tool";
import { HostError } from "./operation";
import { absolutePath, batchLine, commandWords, netnsName, quote, quoteAll, sysctlPath } from "./quote";
import { inNetns } from "./render-query";
import { systemCommand } from "./system-tools";
import type { Run, Share } from "./segments";

/** What went wrong in a run. */
export interface RunFailure {
  /**
   * Index of the share whose step failed. `all`: it fails every one of them alike. `parts`: nothing of the run has
   * happened, and who is to blame shows when each share is tried by itself.
   */
  readonly share: number | "all" | "parts";
  /** Whether a step of a share that failed may have run. */
  readonly began: boolean;
  /** The command and what it said. */
  readonly message: string;
}

/** A run as the shell runs it. */
export interface RenderedRun {
  /** Programs that the host must have. */
  readonly needs: readonly string[];
  readonly script: string;
  /** Reads the answer of a run that failed. */
  failure(answer: Answer): RunFailure;
}

type StepOf<Tool extends Step["tool"]> = Extract<Step, { tool: Tool }>;

/** What a rendered run may use on the host. */
export interface Workplace {
  /** A random word of this session: it ends here-documents and names temporary files. */
  readonly word: string;
  /** A private folder that is there while the lock is held. */
  readonly folder: string;
}

/**
 * Renders a run.
 *
 * @throws HostError for a step that cannot be passed on as it is.
 */
export function renderRun(run: Run, { word, folder }: Workplace): RenderedRun {
  const steps = run.shares.flatMap((share) => share.steps);
  const tools = run.netns === undefined ? [] : ["ip"];
  switch (run.tool) {
    case "ip":
    case "tc":
    case "bpftool":
      return batch(run.tool, run, folder);
    case "nft":
      return {
        needs: [...tools, "nft"],
        script: heredoc(`${inNetns(run.netns)}nft -j -f -`, nftables(steps as StepOf<"nft">[]), word),
        failure: (answer) => ({
          share: noNetns.test(answer.stderr) ? "all" : run.shares.length === 1 ? 0 : "parts",
          began: false,
          message: said("nft", run.netns, answer),
        }),
      };
    case "sysctl":
      return settings(run, tools, word);
    case "write":
      return alone(run, ["mv", "chmod", "chown", "mkdir"], write(steps[0] as StepOf<"write">, word));
    case "remove":
      return alone(run, ["rm", "rmdir"], remove(steps[0] as StepOf<"remove">));
    case "install":
      return alone(run, ["base64", "mv", "mkdir"], install(steps[0] as StepOf<"install">));
    case "clang":
    case "cc": {
      const { needs, script } = buildCommand(steps[0] as StepOf<"clang" | "cc">);
      return alone(run, needs, script);
    }
    case "kbuild":
    case "module-load":
    case "module-dkms":
    case "module-unload":
    case "module-remove": {
      const { needs, script } = moduleCommand(
        steps[0] as StepOf<"kbuild" | "module-load" | "module-dkms" | "module-unload" | "module-remove">,
      );
      return alone(run, needs, script);
    }
    case "bpf-mkdir":
    case "bpf-rm":
    case "bpf-ln":
    case "bpf-copy":
    case "clsact-del": {
      const { needs, script } = bpfCommand(
        steps[0] as StepOf<"bpf-mkdir" | "bpf-rm" | "bpf-ln" | "bpf-copy" | "clsact-del">,
      );
      return alone(run, needs, script);
    }
    case "symlink": {
      const { needs, script } = linkCommand(steps[0] as StepOf<"symlink">);
      return alone(run, needs, script);
    }
    case "netagg": {
      const { netns, args } = steps[0] as StepOf<"netagg">;
      const { needs, script } = netaggCommand(netns, args);
      return alone(run, needs, script);
    }
    case "ethtool":
    case "modprobe": {
      const { tool, args } = steps[0] as StepOf<"ethtool" | "modprobe">;
      return alone(run, [...tools, tool], `${inNetns(run.netns)}${tool} ${quoteAll(args)} </dev/null`);
    }
    case "systemctl":
    case "apt-get":
    case "dpkg": {
      const { needs, script } = systemCommand(steps[0] as StepOf<"systemctl" | "apt-get" | "dpkg">);
      return alone(run, needs, script);
    }
  }
}

/** What `ip` says instead of running anything in a namespace that is not there. */
const noNetns =
  /^(Cannot open network namespace|setting the network namespace) |^nsenter: cannot open \/run\/netns\//m;

/** Shell functions that rendered runs use; sent once, when the shell starts. */
export const stepPreamble = `
nl_batch() {
  nl_b=$1/batch; umask 077
  { printf '%s\\n' "$2" >"$nl_b"; }; nl_r=$?
  umask 022; shift 2
  [ $nl_r = 0 ] && command exec 8<"$nl_b" || return 1
  "$@" - <&8; nl_r=$?
  if [ $nl_r != 0 ]; then
    set -- "$1" $(wc -lc <&8); printf '\\nnl-unread %s %s\\n' "$2" "$3"
    [ "$*" != "bpftool 0 0" ] || nl_r=0
  fi
  exec 8<&-; : >"$nl_b"; return $nl_r
}
nl_links() {
  echo "nl-links $(ip \${2:+-n "$2"} -o link show </dev/null 2>/dev/null | sed 's/^[0-9]*: \\([^:@]*\\).*/\\1/' | tr '\\n' ' ')"
  return $1
}
nl_set() {
  { printf '%s\\n' "$3" >"$2"; } 2>/dev/null && return
  if [ -e "$2" ]; then printf '%s\\n' "$3" | cat >"$2" && return; else echo "no such kernel setting" >&2; fi
  echo "nl-failed $1"; return 1
}
nl_put() {
  [ ! -d "$1" ] || { echo "a folder is in its place" >&2; return 1; }
  [ -d "$2" ] || mkdir -p -- "$2" || return
  umask "$4"; set -C
  { printf '%s' "$7" >"$3"; }; nl_r=$?
  set +C; umask 022
  if [ $nl_r = 0 ] && nl_own "$3" "$6" && { [ -z "$5" ] || chmod -- "$5" "$3"; } && mv -f -- "$3" "$1"
  then return 0; else rm -f -- "$3"; return 1; fi
}
nl_own() { [ "$2" = root:root ] && [ -O "$1" ] && [ -G "$1" ] || chown -- "$2" "$1"; }
nl_rm() {
  nl_p=$1; shift
  if [ -e "$nl_p" ] || [ -L "$nl_p" ]; then rm -f -- "$nl_p" || return; fi
  [ $# = 0 ] || rmdir -- "$@" 2>/dev/null || :
}`;

function heredoc(command: string, text: string, word: string): string {
  return `${command} <<'${word}'\n${text}\n${word}`;
}

/**
 * A batch is a file, of which `nl_batch` tells how much was left unread when the tool failed. For most mistakes the
 * tool names the line itself, but some (an address that is none) end it on the spot without a word about where; the
 * C library then puts the file's offset back to what was not read yet, as POSIX wants it of exit(3). bpftool may end
 * with a failure after the last line though none failed, for an errno that a library left: nothing is unread then.
 */
function batch(tool: "ip" | "tc" | "bpftool", run: Run, folder: string): RenderedRun {
  const lines: string[] = [];
  /** For each line, its share. */
  const owners: number[] = [];
  run.shares.forEach(({ steps }, share) => {
    for (const step of steps as StepOf<"ip" | "tc" | "bpftool">[]) {
      lines.push(batchLine(tool, step.args));
      owners.push(share);
    }
  });
  // Something is always left after a line that failed: nothing left means that the offset was not put back.
  const text = `${lines.join("\n")}\n# end`;
  const pins = run.netns !== undefined && lines.some((line) => line.includes(" /sys/"));
  const options = [
    ...(run.family === 6 ? ["-6"] : []),
    ...(run.force ? ["-force"] : []),
    ...(run.netns === undefined || pins ? [] : [`-n ${quote(netnsName(run.netns))}`]),
    tool === "bpftool" ? "batch file" : "-batch",
  ];
  const command = `${pins ? enter(run.netns) : ""}${tool} ${options.join(" ")}`;
  return {
    needs: pins ? [tool, "nsenter"] : [tool],
    script: `nl_batch ${quote(folder)} ${quote(text)} ${command} || nl_links $? ${quote(run.netns ?? "")}`,
    failure(answer) {
      if (noNetns.test(answer.stderr))
        return { share: "all", began: false, message: said(tool, run.netns, answer) };
      const line = namedLine(answer) ?? unreadFrom(`${text}\n`, answer);
      const share = line === undefined ? undefined : owners[line];
      if (line === undefined || share === undefined) {
        const blame = run.shares.length === 1 ? 0 : "all";
        return { share: blame, began: true, message: said(tool, run.netns, answer) };
      }
      return {
        share,
        began: owners[line - 1] === share,
        message:
          explainLoad(lines[line]!, answer.stderr) ??
          said(commandWords(tool, lines[line]!.split(" ")), run.netns, answer),
      };
    },
  };
}

/** Index of the line that the tool says failed. */
function namedLine({ stderr }: Answer): number | undefined {
  const line = /^Command failed \S*:(\d+)\s*$/m.exec(stderr)?.[1];
  return line === undefined ? undefined : Number(line) - 1;
}

/** Index of the last line that was read, by how many lines and bytes were not; undefined when these do not fit. */
function unreadFrom(text: string, { stdout }: Answer): number | undefined {
  const [, lines, bytes] = /^nl-unread\s+(\d+)\s+(\d+)\s*$/m.exec(stdout.toString("utf8")) ?? [];
  if (lines === undefined || lines === "0") return undefined;
  const read = text.slice(0, text.length - Number(bytes));
  const count = read.split("\n").length - 1;
  const whole = read.endsWith("\n") && count + Number(lines) === text.split("\n").length - 1;
  return whole ? count - 1 : undefined;
}

function nftables(steps: readonly StepOf<"nft">[]): string {
  return JSON.stringify({ nftables: steps.flatMap(({ commands }) => commands) });
}

function settings(run: Run, needs: readonly string[], word: string): RenderedRun {
  const writes = run.shares.flatMap(({ steps }: Share, share) =>
    (steps as StepOf<"sysctl">[]).flatMap(({ values }) =>
      Object.entries(values).map(([key, value]) => ({ share, key, value })),
    ),
  );
  const calls = writes
    .map(({ key, value }, index) => `nl_set ${index} ${quote(sysctlPath(key))} ${quote(value)}`)
    .join(" &&\n");
  const script = calls === "" ? ":" : calls;
  return {
    needs,
    script:
      run.netns === undefined
        ? script
        : heredoc(`${inNetns(run.netns)}sh`, `${stepPreamble}\n${script}`, word),
    failure(answer) {
      const nth = /^nl-failed (\d+)$/m.exec(answer.stdout.toString("utf8"))?.[1];
      const write = nth === undefined ? undefined : writes[Number(nth)];
      if (!write) return { share: "all", began: false, message: said("sysctl", run.netns, answer) };
      return {
        share: write.share,
        began: writes[Number(nth) - 1]?.share === write.share,
        message: said(`setting ${write.key}`, run.netns, answer),
      };
    },
  };
}

function write({ path, file }: StepOf<"write">, word: string): string {
  absolutePath(path);
  if (!/^0[0-7]{3}$|^[0-7]{4}$/.test(file.mode))
    throw new HostError(
      `${JSON.stringify(file.mode)} is no mode for ${path}: write four octal digits, such as 0644`,
    );
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]*:[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(file.owner))
    throw new HostError(
      `${JSON.stringify(file.owner)} is no owner for ${path}: write user:group, such as root:root`,
    );
  const slash = path.lastIndexOf("/");
  const folder = path.slice(0, slash) || "/";
  const temporary = `${path.slice(0, slash)}/.${word}`;
  // A file without x, s and t bits gets its mode from the umask and spares the host a process.
  const mode = Number.parseInt(file.mode, 8);
  const plain = (mode & 0o7111) === 0;
  const umask = plain ? (0o777 & ~mode).toString(8).padStart(3, "0") : "077";
  return [
    "nl_put",
    ...[path, folder, temporary, umask, plain ? "" : file.mode, file.owner, file.content].map(quote),
  ].join(" ");
}

function remove({ path, prune = [] }: StepOf<"remove">): string {
  return `nl_rm ${quoteAll([path, ...prune].map(absolutePath))}`;
}

const MAY_DO_HALF: ReadonlySet<Step["tool"]> = new Set([
  "write",
  "systemctl",
  "apt-get",
  "dpkg",
  "module-load",
  "module-dkms",
  "module-remove",
]);

function alone(run: Run, needs: readonly string[], script: string): RenderedRun {
  const [step] = run.shares[0]?.steps ?? [];
  const doing = run.tool === "write" ? "writing" : run.tool === "symlink" ? "linking" : "removing";
  const name =
    step && "path" in step
      ? `${doing} ${step.path}`
      : commandWords(run.tool, step && "args" in step ? step.args : []);
  return {
    needs,
    script,
    // A file that could not be written may have left new folders, a package some of its files.
    failure: (answer) => ({
      share: 0,
      began: MAY_DO_HALF.has(run.tool),
      message: explainBuild(run.tool, answer.stderr) ?? said(name, run.netns, answer),
    }),
  };
}

/** The command and the end of what it said; the batch's own line about a line number means nothing to a user. */
function said(command: string, netns: string | undefined, answer: Answer): string {
  const words = answer.stderr
    .split("\n")
    .map((line) => line.trim().replace(/^sh: \d+: /, ""))
    .filter((line) => line !== "" && !/^Command failed /.test(line));
  const where = netns === undefined ? "" : ` in netns ${netns}`;
  const what = `${command}${where} failed: ${words.slice(-3).join("; ") || `status ${answer.status}`}`;
  return what + (/Cannot find device/.test(answer.stderr) ? linksThere(answer) : "");
}

/** Most links that a message names. */
const LINKS = 20;

/** What a batch adds to an error about a link that is not there: those that are. */
function linksThere({ stdout }: Answer): string {
  const names =
    /^nl-links (.*)$/m.exec(stdout.toString("utf8"))?.[1]?.trim().split(" ").filter(Boolean) ?? [];
  if (names.length === 0) return "";
  return ` (there are ${names.slice(0, LINKS).join(", ")}${names.length > LINKS ? " and others" : ""})`;
}
