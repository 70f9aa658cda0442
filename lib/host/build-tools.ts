import type { Fact, Step } from "../kinds/step";
import type { Answer } from "./exchange";
import { HostError } from "./operation";
import { absolutePath, quote, quoteAll } from "./quote";

/**
 * How a host builds from sources: in a folder of their own, from which what comes out is moved into place when it
 * is whole, the record of it last. A build that fails leaves what was there before.
 */

type BuildStep = Extract<Step, { tool: "clang" | "cc" }>;

/** A source's path below the folder that it is built in. */
const SOURCE = /^[A-Za-z0-9_][A-Za-z0-9_.-]*(\/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$/;

/**
 * Renders a build.
 *
 * @throws HostError for a path that leads out of its folder
 */
export function buildCommand({ tool, files, args, object, record }: BuildStep) {
  const folder = `${absolutePath(object)}_build`;
  const script = [
    ...sourceWrites(folder, files),
    `nl_build ${quoteAll([folder, object, absolutePath(record), tool, ...args])}`,
  ].join(" &&\n");
  return { needs: [tool, "sha256sum", "mkdir", "mv", "rm"], script };
}

/**
 * The commands that put sources in a folder of their own, made anew.
 *
 * @throws HostError for a path that leads out of the folder
 */
export function sourceWrites(folder: string, files: Readonly<Record<string, string>>): string[] {
  const names = Object.keys(files);
  const bad = names.find((name) => !SOURCE.test(name));
  if (bad !== undefined) throw new HostError(`${JSON.stringify(bad)} is no path of a source`);
  const folders = [...new Set(names.map((name) => `${folder}/${name}`.replace(/\/[^/]*$/, "")))];
  const writes = names.map(
    (name) => `printf '%s' ${quote(files[name] ?? "")} >${quote(`${folder}/${name}`)}`,
  );
  return [`rm -rf -- ${quote(folder)} && mkdir -p -- ${quoteAll([folder, ...folders])}`, ...writes];
}

/** The command that puts a file of any bytes in its place when it is whole, and its record beside it after that. */
export function install({ content, path, record }: Extract<Step, { tool: "install" }>): string {
  const [file, made] = [quote(absolutePath(path)), quote(`${path}_new`)];
  const [told, telling] = [quote(absolutePath(record.path)), quote(`${record.path}_new`)];
  return [
    `mkdir -p -- ${quote(path.replace(/\/[^/]*$/, ""))}`,
    `printf '%s' ${quote(content)} | base64 -d >${made}`,
    `printf '%s' ${quote(record.text)} >${telling}`,
    `mv -f -- ${made} ${file}`,
    `mv -f -- ${telling} ${told}`,
  ].join(" &&\n");
}

/** What the compiler said, whole: file, line and column of each error. Undefined for a tool that builds nothing. */
export function explainBuild(tool: Step["tool"], stderr: string): string | undefined {
  if (tool !== "clang" && tool !== "cc" && tool !== "kbuild") return undefined;
  const refused = /^nl-(no-headers|no-key|unsigned) .*$/m.exec(stderr)?.[0];
  if (refused !== undefined) return refused;
  return `${tool === "kbuild" ? "make" : tool} could not build it:\n${stderr.trim() || "it ended without a word"}`;
}

/** The C compiler's name and version, as a shell asks for it. */
export const compilerQuestion = {
  script: "! command -v cc >/dev/null || cc --version </dev/null",
  read: (answer: Answer): Fact =>
    answer.status === 0
      ? { ok: true, value: answer.stdout.toString("utf8").split("\n", 1)[0] ?? "" }
      : { ok: false, error: answer.stderr || `cc --version ended with status ${answer.status}` },
};

/** Shell functions that builds use; sent once, when the shell starts. */
export const buildPreamble = `
nl_build() {
  nl_d=$1 nl_o=$2 nl_w=$3 nl_t=$4; shift 4
  ( cd -- "$nl_d" && exec "$nl_t" "$@" -o out.o </dev/null ) && nl_h=$(sha256sum <"$nl_d/out.o") || { rm -rf -- "$nl_d"; rmdir -- "\${nl_o%/*}" 2>/dev/null; return 1; }
  { printf '%s\\n' "\${nl_h%% *}"; "$nl_t" --version | head -n1; } >"$nl_d/out.record" &&
    mv -f -- "$nl_d/out.o" "$nl_o" && mv -f -- "$nl_d/out.record" "$nl_w"; nl_r=$?
  rm -rf -- "$nl_d"; return $nl_r
}`;
