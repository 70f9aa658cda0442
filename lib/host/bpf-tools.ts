import type { Fact, Query, Step } from "../kinds/step";
import type { Answer } from "./exchange";
import { HostError } from "./operation";
import { absolutePath, netnsName, quote, quoteAll } from "./quote";

/**
 * How a host loads and pins eBPF programs: bpftool(8) and the bpf file system. Programs and maps
 * are pinned below one folder, of which `current` names the version in use.
 */

type BpfQuery = Extract<Query, { tool: "bpftool" | "bpf-pins" | "sha256sum" }>;
type BpfStep = Extract<Step, { tool: "bpf-mkdir" | "bpf-rm" | "bpf-ln" | "bpf-copy" | "clsact-del" }>;

/** Where all pins are. */
const PINS = "/sys/fs/bpf/netloom";

/** A query of this sort as the shell runs it, and how its answer becomes a fact. */
export interface BpfQuestion {
  /** Programs that the host must have. */
  readonly needs: readonly string[];
  readonly script: string;
  read(answer: Answer): Fact;
}

/** Renders a query. */
export function bpfQuestion(query: BpfQuery): BpfQuestion {
  switch (query.tool) {
    case "bpftool": {
      const within = query.netns === undefined ? [] : ["nsenter"];
      const script = `${enter(query.netns)}bpftool -j ${quoteAll(query.args)} </dev/null`;
      return { needs: ["bpftool", ...within], script, read: readJson };
    }
    case "bpf-pins":
      return { needs: ["bpftool"], script: `nl_pins ${quote(pinPath(query.path))}`, read: readPins };
    case "sha256sum": {
      const files = query.paths.map((path) => quote(absolutePath(path)));
      // A file that is absent is left out; one that cannot be read fails the query.
      const script = [
        "set --",
        ...files.map((file) => `[ ! -f ${file} ] || set -- "$@" ${file}`),
        '[ $# = 0 ] || sha256sum -- "$@" </dev/null',
      ].join("\n");
      return { needs: ["sha256sum"], script, read: readSums };
    }
  }
}

/** The words before a command that is to run in a network namespace and still see the host's pins. */
export function enter(netns: string | undefined): string {
  return netns === undefined ? "" : `nsenter --net=/run/netns/${netnsName(netns)} `;
}

function readJson(answer: Answer): Fact {
  const text = answer.stdout.toString("utf8").trim();
  let value: unknown;
  try {
    value = text === "" ? [] : (JSON.parse(text) as unknown);
  } catch {
    if (answer.status === 0) return { ok: false, error: "bpftool printed something that is not JSON" };
  }
  if (answer.status === 0) return { ok: true, value };
  // With -j an error is an object on standard output.
  const said = (value as { error?: unknown } | undefined)?.error;
  return { ok: false, error: typeof said === "string" ? said : failure("bpftool", answer) };
}

/** One `word JSON` a line; see `nl_pins`. */
function readPins(answer: Answer): Fact {
  if (answer.status !== 0) return { ok: false, error: failure("bpftool", answer) };
  const programs: Record<string, unknown> = {};
  const maps: Record<string, unknown> = {};
  const pins: Record<string, unknown> = { programs, maps, versions: [] };
  for (const line of answer.stdout.toString("utf8").split("\n")) {
    const [, word = "", name = "", rest = ""] = /^(\S+) (\S+) ?(.*)$/s.exec(line) ?? [];
    try {
      if (word === "current") pins.current = name;
      if (word === "version") (pins.versions as string[]).push(name);
      if (word === "program") programs[name] = JSON.parse(rest) as unknown;
      if (word === "map") maps[name] = JSON.parse(rest) as unknown;
      if (word === "btf") pins.btf = JSON.parse(rest) as unknown;
    } catch {
      return { ok: false, error: `bpftool printed something that is not JSON for the pin ${name}` };
    }
  }
  return { ok: true, value: pins };
}

function readSums(answer: Answer): Fact {
  if (answer.status !== 0) return { ok: false, error: failure("sha256sum", answer) };
  const value: Record<string, string> = {};
  for (const line of answer.stdout.toString("utf8").split("\n")) {
    const [, sum, path] = /^([0-9a-f]{64}) [ *](.+)$/.exec(line) ?? [];
    if (sum !== undefined && path !== undefined) value[path] = sum;
  }
  return { ok: true, value };
}

function failure(tool: string, answer: Answer): string {
  return answer.stderr || `${tool} ended with status ${answer.status}`;
}

/**
 * Renders a step.
 *
 * @throws HostError for a path outside of its place, or a name that is none
 */
export function bpfCommand(step: BpfStep): { needs: readonly string[]; script: string } {
  switch (step.tool) {
    case "bpf-mkdir":
      return { needs: ["mount"], script: `nl_bpffs && mkdir -p -- ${quote(pinPath(step.path))}` };
    case "bpf-rm":
      return { needs: ["rm"], script: remove(step) };
    case "clsact-del": {
      const tc = `tc${step.netns === undefined ? "" : ` -n ${quote(netnsName(step.netns))}`}`;
      const link = quote(step.link);
      const show = (side: string) => `$(${tc} filter show dev ${link} ${side} </dev/null)`;
      const script = `[ -n "${show("ingress")}${show("egress")}" ] || ${tc} qdisc del dev ${link} clsact 2>/dev/null || :`;
      return { needs: ["tc"], script };
    }
    case "bpf-ln": {
      const [target, path] = [pinName(step.target), pinPath(step.path)];
      const made = `${path}_new`;
      const script = `rm -f -- ${quote(made)} && ln -s -- ${quote(target)} ${quote(made)} && mv -fT -- ${quoteAll([made, path])}`;
      return { needs: ["ln", "mv", "rm"], script };
    }
    case "bpf-copy":
      return {
        needs: ["bpftool", "awk"],
        script: `nl_copy ${quoteAll([pinPath(step.from), pinPath(step.to)])}`,
      };
  }
}

function remove({ path, keep }: Extract<Step, { tool: "bpf-rm" }>): string {
  const folder = quote(pinPath(path));
  if (keep === undefined) {
    // The last program takes our folder along.
    const isProgram = path.lastIndexOf("/") === PINS.length;
    const all = isProgram ? ` && { rmdir -- ${PINS} 2>/dev/null || :; }` : "";
    return `rm -rf --one-file-system -- ${folder}${all}`;
  }
  const kept =
    keep.length === 0 ? "" : `case \${nl_p##*/} in ${keep.map(pinName).join(" | ")}) continue ;; esac; `;
  return `for nl_p in ${folder}/*; do ${kept}[ ! -e "$nl_p" ] || rm -rf --one-file-system -- "$nl_p" || break; done`;
}

/** A path below {@link PINS}. The bpf file system keeps names with a dot for itself. */
function pinPath(path: string): string {
  const [name, ...rest] = path.startsWith(`${PINS}/`) ? path.slice(PINS.length + 1).split("/") : [];
  if (name === undefined) throw new HostError(`${JSON.stringify(path)} is not below ${PINS}`);
  [name, ...rest].forEach(pinName);
  return path;
}

function pinName(name: string): string {
  if (!/^[A-Za-z0-9_-]+$/.test(name) || name.startsWith("-"))
    throw new HostError(`${JSON.stringify(name)} is no name for a pin: letters, digits, "_" and "-" only`);
  return name;
}

/** Shell functions that these use; sent once, when the shell starts. */
export const bpfPreamble = `
nl_bpffs() {
  [ "$(stat -f -c %T /sys/fs/bpf)" = bpf_fs ] || mount -t bpf bpf /sys/fs/bpf
}
nl_pins() {
  for nl_p in "$1"/*/; do
    [ -L "\${nl_p%/}" ] || [ ! -d "$nl_p" ] || { nl_v=\${nl_p%/}; echo "version \${nl_v##*/}"; }
  done
  [ -L "$1/current" ] || return 0
  echo "current $(readlink "$1/current")"
  nl_b=
  for nl_p in "$1"/current/programs/*; do
    [ -e "$nl_p" ] || continue
    printf 'program %s ' "\${nl_p##*/}"; bpftool -j prog show pinned "$nl_p" </dev/null || return; echo
    [ -n "$nl_b" ] || { nl_b=1; printf 'btf of '; bpftool -j btf dump prog pinned "$nl_p" </dev/null || echo '{}'; echo; }
  done
  for nl_p in "$1"/current/maps/*; do
    [ -e "$nl_p" ] || continue
    printf 'map %s ' "\${nl_p##*/}"; bpftool -j map show pinned "$nl_p" </dev/null || return; echo
  done
}
nl_copy() {
  bpftool -j map dump pinned "$1" </dev/null |
    awk -v RS='"key":' -v to="$2" 'function bytes(s) { gsub(/[^0-9a-fx,]/, "", s); gsub(/0x/, "", s); gsub(/,/, " ", s); return s }
      { if ($0 !~ /^\\["0x/ || split($0, part, /"value":/) < 2) next
        value = part[2]; sub(/\\].*/, "", value)
        print "map update pinned " to " key hex " bytes(part[1]) " value hex " bytes(value) }' |
    bpftool batch file - >/dev/null
}`;
