import type { Fact, Step } from "../kinds/step";
import type { Answer } from "./exchange";
import { absolutePath, quote, quoteAll } from "./quote";

/** How a host is asked for symbolic links, and told to make one. */

/** Renders the question where links lead. */
export function linksQuestion(paths: readonly string[]) {
  return {
    needs: [],
    script: `nl_links_to ${quoteAll(paths.map(absolutePath))}`,
    read: (answer: Answer): Fact => {
      if (answer.status !== 0)
        return { ok: false, error: answer.stderr || `readlink ended with status ${answer.status}` };
      const lines = answer.stdout.toString("utf8").split("\n");
      const there = paths.flatMap((path, nth) => {
        const [, target] = /^there (.*)$/.exec(lines[nth] ?? "") ?? [];
        return target === undefined ? [] : [[path, target] as const];
      });
      return { ok: true, value: Object.fromEntries(there) };
    },
  };
}

/** Renders the making of a link. */
export function linkCommand({ path, target }: Extract<Step, { tool: "symlink" }>) {
  const [, folder = "", name = ""] = /^(.*)\/[^/]+\/([^/]+)$/.exec(absolutePath(target)) ?? [];
  return {
    needs: ["ln", "mv", "mkdir", "rm"],
    script: `nl_link ${[absolutePath(path), target, folder, name].map(quote).join(" ")}`,
  };
}

/** Shell functions that these use; sent once, when the shell starts. */
export const linkPreamble = `
nl_links_to() {
  for nl_p; do
    if [ -L "$nl_p" ]; then echo "there $(readlink "$nl_p")"; elif [ -e "$nl_p" ]; then echo "there "; else echo; fi
  done
}
nl_link() {
  if [ -e "$1" ] || [ -L "$1" ]; then
    case $(readlink "$1") in "$3"/*/"$4") ;; *) echo "something else is in its place" >&2; return 1 ;; esac
  fi
  [ -d "\${1%/*}" ] || mkdir -p -- "\${1%/*}" || return
  rm -f -- "$1.netloom" && ln -s -- "$2" "$1.netloom" && mv -f -- "$1.netloom" "$1"
}`;
